"""A further card for one recipient: a second person has to agree (EC-067)."""

from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.approvals.approvals import ApprovalKind, Detail, ask_for_approval
from pipelines.limits import Limits
from pipelines.provisioning.replace import APPROVAL, ReplacementLimit, replace_card
from pipelines.queue.keys import Done, Made, RequestKey, once_made

_OWNER = text("SELECT agency_id, client_id FROM provisions WHERE id = :provision")


def approval_kind(limits: Limits) -> ApprovalKind:
    """The kind, with what giving the card needs; who reports may also agree, to another's report."""
    return ApprovalKind(APPROVAL, Permission.CARDS_REPLACE, partial(_act, limits=limits))


def replace_or_ask(
    session: Session,
    caller: Principal,
    provision_id: UUID,
    *,
    reason: str,
    ask_approval: bool,
    key: RequestKey,
    limits: Limits,
    now: datetime,
) -> tuple[Done, UUID | None]:
    """A replacement (`job`), or the `approval` that it waits for; and the task to ring.

    Raises what `replace_card` raises; `ReplacementLimit` also where an approval waits already.
    """
    task_id: UUID | None = None

    def make() -> Made:
        nonlocal task_id
        try:
            done = replace_card(
                session, provision_id, reason=reason, actor_id=caller.actor_id, limits=limits
            )
        except ReplacementLimit as limit:
            if not ask_approval or limit.extra:
                raise
            asked = _ask(session, caller, provision_id, reason, limits, now)
            return Made(asked, 202, "approval")
        task_id = done.task_id
        return Made(done.job_id, 202, "job")

    return once_made(session, key, make), task_id


def _ask(
    session: Session,
    caller: Principal,
    provision_id: UUID,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    owner = session.execute(_OWNER, {"provision": provision_id}).one()
    return ask_for_approval(
        session,
        approval_kind(limits),
        caller,
        {"redemption_id": str(provision_id), "notes": reason},
        agency_id=owner.agency_id,
        client_id=owner.client_id,
        limits=limits,
        now=now,
    )


def _act(
    session: Session, _approval_id: UUID, detail: Detail, requested_by: UUID, *, limits: Limits
) -> UUID:
    return replace_card(
        session,
        UUID(str(detail["redemption_id"])),
        reason=str(detail["notes"]),
        actor_id=requested_by,
        limits=limits,
        is_approved=True,
    ).job_id
