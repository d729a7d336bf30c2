"""Partners made, changed, disabled and enabled by whoever manages them (S0-29)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, wait_for_lock
from models.partners import Partner
from pipelines.audit.record import changes, record
from pipelines.books.refusals import PreconditionFailed
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.partners.offers import live_offers, write_offers
from pipelines.partners.rules import NAMES, OfferWanted, PartnerWanted, check_partner
from pipelines.partners.sessions import revoke_sessions

PARTNERS_MAX = 500

_AGENCY = text("SELECT agency_id FROM clients WHERE id = :client")
_COUNT = text("SELECT count(*) FROM partners WHERE client_id = :client")
_HOLD = text("SELECT * FROM partners WHERE id = :partner FOR NO KEY UPDATE")
_CHANGE = text("""
UPDATE partners SET name = :name, time_zone = :time_zone, origins = :origins,
    version = version + 1, updated_at = :now
WHERE id = :partner
""")
_DISABLE = text("""
UPDATE partners SET disabled_at = CASE WHEN :disables THEN CAST(:now AS timestamptz) END,
    version = version + 1, updated_at = :now
WHERE id = :partner
""")


class TooManyPartners(Refusal):
    """The client has as many as it may."""

    code = "too_many_partners"
    kind = Kind.CONFLICT
    detail = f"The client has {PARTNERS_MAX} partners already."


def create_partner(
    session: Session,
    client_id: UUID,
    wanted: PartnerWanted,
    *,
    actor_id: UUID,
    anywhere: bool,
    now: datetime,
) -> UUID:
    """Make one, without a secret yet. Raises `NotFound` (client), `ValidationFailed`, `TooManyPartners`."""
    agency_id = session.execute(_AGENCY, {"client": client_id}).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    if session.execute(_COUNT, {"client": client_id}).scalar_one() >= PARTNERS_MAX:
        raise TooManyPartners
    check_partner(session, wanted, client_id, anywhere=anywhere, named=NAMES)
    made = new_id()
    session.execute(
        insert(Partner).values(
            id=made,
            agency_id=agency_id,
            client_id=client_id,
            name=wanted.name,
            time_zone=wanted.time_zone,
            origins=list(wanted.origins),
            created_by=actor_id,
            created_at=now,
            updated_at=now,
        )
    )
    row = held_partner(session, made)
    write_offers(session, row, wanted.offers, now=now)
    _audit(session, "partner.created", row, actor_id, {"name": wanted.name})
    return made


def change_partner(
    session: Session,
    partner_id: UUID,
    values: dict[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    anywhere: bool,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Write what is in `values`: any of `PartnerWanted`, and `is_disabled`, perhaps for a `reason`.

    Visits of a site are refused while it is off the list; those of a disabled partner are ended. What
    is as it was already is no change. `version` is what the caller last read. Raises `NotFound`, `PreconditionFailed`, `ValidationFailed`.
    """
    if "is_disabled" in values or "origins" in values:
        # As the lock order wants: before any row.
        wait_for_lock(session, Namespace.PARTNER, str(partner_id))
    before = held_partner(session, partner_id)
    if version is not None and version != before.version:
        raise PreconditionFailed(current=before.version)
    offers = values.get("offers", offers_wanted(session, partner_id))
    wanted = PartnerWanted(
        name=values.get("name", before.name),
        time_zone=values.get("time_zone", before.time_zone),
        origins=values.get("origins", before.origins),
        offers=offers,
    )
    # What stands already and is good no more keeps nobody from disabling the partner.
    check_partner(session, wanted, before.client_id, anywhere=anywhere, named=values.keys())
    plain = {
        "name": wanted.name,
        "time_zone": wanted.time_zone,
        "origins": list(wanted.origins),
    }
    shown = {**before._mapping, "origins": " ".join(before.origins)}
    told: dict[str, Any] = changes(shown, plain | {"origins": " ".join(wanted.origins)})
    if "offers" in values and write_offers(session, before, wanted.offers, now=now):
        told["offers"] = len(wanted.offers)
    if told:
        session.execute(_CHANGE, plain | {"partner": partner_id, "now": now})
        _audit(session, "partner.changed", before, actor_id, told)
    if "is_disabled" in values:
        why: dict[str, Any] = {} if reason is None else {"reason": reason}
        disables = values["is_disabled"]
        _stand(session, before, why, disables=disables, actor_id=actor_id, now=now)


def held_partner(session: Session, partner_id: UUID) -> Row[Any]:
    """The partner, locked; raises `NotFound`."""
    row = session.execute(_HOLD, {"partner": partner_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def offers_wanted(session: Session, partner_id: UUID) -> list[OfferWanted]:
    """The offers as they stand, as a change of the partner says them."""
    return [
        OfferWanted(row.book_id, row.title, row.description)
        for row in live_offers(session, partner_id)
    ]


def _stand(
    session: Session,
    before: Row[Any],
    why: dict[str, Any],
    *,
    disables: bool,
    actor_id: UUID,
    now: datetime,
) -> None:
    """A disabled partner's tokens and visits are good for nothing; its visits do not come back."""
    if disables == (before.disabled_at is not None):
        return
    session.execute(_DISABLE, {"partner": before.id, "disables": disables, "now": now})
    if disables:
        ended = revoke_sessions(session, before.id, now=now)
        _audit(session, "partner.disabled", before, actor_id, why | {"visits_ended": ended})
    else:
        _audit(session, "partner.enabled", before, actor_id, why)


def _audit(
    session: Session, action: str, row: Row[Any], actor_id: UUID, detail: dict[str, Any]
) -> None:
    record(
        session,
        action,
        object_kind="partner",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
