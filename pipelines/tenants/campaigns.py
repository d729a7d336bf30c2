"""Campaigns of clients: made, listed, changed (conditions too), paused and resumed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, insert, literal_column, or_, select
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.tenants import Campaign, CampaignState, Client, RewardCount
from pipelines.audit.record import Detail, Fact, record
from pipelines.errors import NotFound
from pipelines.limits import Limits
from pipelines.tenants.conditions import check_conditions, keep_counting, lock_conditions
from pipelines.tenants.refusals import InvalidCampaignState
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name

_NOW: ColumnElement[datetime] = literal_column(clock.SQL)
_CAMPAIGNS = select(
    Campaign.id,
    Campaign.agency_id,
    Campaign.client_id,
    Campaign.name,
    Campaign.time_zone,
    Campaign.state,
    Campaign.pause_reason,
    Campaign.budget_mode,
    Campaign.starts_at,
    Campaign.ends_at,
    Campaign.max_rewards,
    Campaign.max_rewards_per_recipient,
    select(RewardCount.counted)
    .where(RewardCount.campaign_id == Campaign.id, RewardCount.person_key == b"")
    .scalar_subquery()
    .label("rewards_counted"),
    and_(
        Campaign.state == CampaignState.ACTIVE,
        or_(Campaign.starts_at.is_(None), Campaign.starts_at <= _NOW),
        or_(Campaign.ends_at.is_(None), Campaign.ends_at > _NOW),
    ).label("is_open"),
    Campaign.version,
    Campaign.created_at,
)
PAUSED_BY_PERSON = "user"


def create_campaign(
    session: Session,
    *,
    client_id: UUID,
    name: str,
    time_zone: str | None,
    conditions: Mapping[str, Any] | None = None,
    actor_id: UUID,
    limits: Limits,
) -> UUID:
    """Make an active campaign of a client that the caller's scope can see.

    `conditions`: any of `starts_at`, `ends_at`, `max_rewards`, `max_rewards_per_recipient`.
    Raises `NotFound`, `NameTaken`, `ValidationFailed`.
    """
    given = dict(conditions or {})
    check_conditions({}, given)
    owner = session.execute(
        select(Client.agency_id, Client.time_zone).where(Client.id == client_id)
    ).one_or_none()
    if owner is None:
        raise NotFound
    identity = new_id()
    statement = insert(Campaign).values(
        id=identity,
        agency_id=owner.agency_id,
        client_id=client_id,
        name=name,
        time_zone=time_zone or owner.time_zone,
        **given,
    )
    under_unique_name(session, lambda: session.execute(statement))
    keep_counting(session, identity, {}, given, limits=limits)
    made = campaign(session, identity)
    audit_campaign(session, "campaign.created", made, actor_id, {"name": name})
    return identity


def change_campaign(
    session: Session,
    identity: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    limits: Limits,
) -> None:
    """Raises `NotFound`, `VersionConflict`, `NameTaken`, `ValidationFailed`, `TooManyToCount`.

    A new limit counts what was given before it; one below that takes nothing back and gives no more.
    """
    before = lock_conditions(session, identity, values)
    check_conditions(before, values)
    told = change(session, Campaign, identity, values, version=version)
    keep_counting(session, identity, before, values, limits=limits)
    audit_campaign(session, "campaign.changed", campaign(session, identity), actor_id, told)


def pause_campaign(session: Session, identity: UUID, *, actor_id: UUID) -> None:
    """Accept nothing new for it; only a person lifts a person's pause."""
    values = {"state": CampaignState.PAUSED.value, "pause_reason": PAUSED_BY_PERSON}
    told = _move(session, identity, CampaignState.ACTIVE, values, move="paused")
    audit_campaign(session, "campaign.paused", campaign(session, identity), actor_id, told)


def resume_campaign(session: Session, identity: UUID, *, actor_id: UUID) -> None:
    """Accept work for it again."""
    values = {"state": CampaignState.ACTIVE.value, "pause_reason": None}
    told = _move(session, identity, CampaignState.PAUSED, values, move="resumed")
    audit_campaign(session, "campaign.resumed", campaign(session, identity), actor_id, told)


def list_campaigns(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    return page_of(session, _CAMPAIGNS, Campaign, before=before, limit=limit)


def campaign(session: Session, identity: UUID) -> Row[Any]:
    return one_of(session, _CAMPAIGNS, Campaign, identity)


def _move(
    session: Session,
    identity: UUID,
    only_from: CampaignState,
    values: Mapping[str, Any],
    *,
    move: str,
) -> dict[str, list[Fact]]:
    row = campaign(session, identity)
    if row.state != only_from:
        raise InvalidCampaignState(state=row.state, move=move)
    return change(session, Campaign, identity, values, version=row.version)


def audit_campaign(
    session: Session,
    action: str,
    row: Row[Any],
    actor_id: UUID,
    detail: Detail | None = None,
) -> None:
    """One audit entry about a campaign."""
    record(
        session,
        action,
        object_kind="campaign",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
