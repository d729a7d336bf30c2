"""Write down that somebody tried a coupon which another person holds (EC-087)."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.books.look_up import SeveralCoupons, find_coupon
from pipelines.errors import NotFound
from pipelines.sealing import Keyring


def note_stranger(
    session: Session, code: str, *, clients: Sequence[UUID], keyring: Keyring, actor_id: UUID
) -> None:
    """Tell the audit of the coupon's tenant who tried it, if somebody else holds it; SYSTEM scope."""
    try:
        found = find_coupon(session, code, clients=clients, keyring=keyring)
    except (NotFound, SeveralCoupons):
        return
    if found.facts.user_id in (None, actor_id):
        return
    record(
        session,
        "coupon.tried_by_stranger",
        object_kind="coupon",
        object_id=found.id,
        actor_id=actor_id,
        agency_id=found.agency_id,
        client_id=found.client_id,
        detail={"book_id": str(found.book_id)},
    )
