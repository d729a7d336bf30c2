"""Find a coupon by its code, and take it in hand: locked, and in the state that it is in now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponMove, CouponState
from models.locks import Namespace, try_lock
from pipelines.books.codes import canonical, is_code
from pipelines.books.coupon_states import CouponFacts
from pipelines.books.history import Moved, move_coupon
from pipelines.books.refusals import ConcurrentRedemption
from pipelines.errors import NotFound, Refusal
from pipelines.sealing import Keyring

_COLUMNS = """SELECT c.id, c.book_id, c.agency_id, c.client_id, c.state, c.user_id, c.locked_until,
    c.redemptions, c.version, c.draw_key, c.code FROM coupons c"""
_BY_CODE = text(f"""
{_COLUMNS} JOIN code_index x ON c.book_id = x.book_id AND c.id = x.coupon_id
JOIN unnest(CAST(:clients AS uuid[]), CAST(:indexes AS bytea[])) AS w (client, index)
  ON x.client_id = w.client AND x.blind_index = w.index
WHERE CAST(:holder AS uuid) IS NULL OR c.user_id = :holder LIMIT 2
""")
_BY_ID = text(f"{_COLUMNS} WHERE c.book_id = :book AND c.id = :coupon")
_LOCK = text(f"{_COLUMNS} WHERE c.book_id = :book AND c.id = :coupon FOR NO KEY UPDATE")
# Clients of whom somebody may hold coupons; who is known to more of them names one.
_CLIENTS_OF = text("SELECT client_id FROM client_users WHERE user_id = :user LIMIT :limit")
_OWNER = text("SELECT client_id FROM books WHERE id = :book")
_IN_SIGHT = text("SELECT id FROM clients LIMIT :limit")
#: A code is looked for at so many clients at once.
CLIENTS_MAX = 200


@dataclass(frozen=True, slots=True)
class CouponInHand:
    """A coupon as one statement read it; `version` is what the next move builds upon."""

    id: UUID
    book_id: UUID
    agency_id: UUID
    client_id: UUID
    version: int
    draw_key: int
    #: None where the book seals its codes.
    code: str | None
    facts: CouponFacts


class SeveralCoupons(Refusal):
    """Two clients have coupons with this text for a code: the request names the one it means."""

    code = "client_required"
    detail = "Two coupons that you see have this code. Name the client in `client_id`."


def find_coupon(
    session: Session,
    code: str,
    *,
    clients: Sequence[UUID],
    keyring: Keyring,
    holder: UUID | None = None,
) -> CouponInHand:
    """The coupon with this code at one of these clients, if `holder` holds it where one is named.

    Raises `NotFound`: for no code, a stranger's and one of another client alike (EC-024, EC-087);
    `SeveralCoupons` where there are two.
    """
    text_of_code = canonical(code)
    if not is_code(text_of_code):
        raise NotFound
    indexes = [keyring.blind_index(text_of_code, scope=client.bytes) for client in clients]
    values = {"clients": list(clients), "indexes": indexes, "holder": holder}
    found = session.execute(_BY_CODE, values).all()
    if not found:
        raise NotFound
    if len(found) > 1:
        raise SeveralCoupons
    return _in_hand(found[0])


def coupon_by_id(session: Session, book_id: UUID, coupon_id: UUID) -> CouponInHand:
    """The coupon as it is now, not locked; `NotFound` if this scope cannot see it."""
    values = {"book": book_id, "coupon": coupon_id}
    row = session.execute(_BY_ID, values).one_or_none()
    if row is None:
        raise NotFound
    return _in_hand(row)


def client_of_book(session: Session, book_id: UUID) -> UUID:
    """The client whose scope work on the book runs in; `NotFound` outside the caller's scope."""
    client_id = session.execute(_OWNER, {"book": book_id}).scalar_one_or_none()
    if client_id is None:
        raise NotFound
    return UUID(str(client_id))


def is_in_sight(session: Session, book_id: UUID) -> bool:
    """Whether this scope shows the book."""
    return session.execute(_OWNER, {"book": book_id}).one_or_none() is not None


def clients_of_person(session: Session, user_id: UUID) -> list[UUID]:
    """The clients that know the person, in the SYSTEM scope."""
    values = {"user": user_id, "limit": CLIENTS_MAX}
    return list(session.execute(_CLIENTS_OF, values).scalars())


def clients_in_sight(session: Session) -> list[UUID]:
    """The clients that this scope shows; one more than `CLIENTS_MAX` says that they are too many."""
    return list(session.execute(_IN_SIGHT, {"limit": CLIENTS_MAX + 1}).scalars())


def take_coupon(
    session: Session, coupon: CouponInHand, *, now: datetime, actor_id: UUID | None
) -> CouponInHand:
    """The coupon, locked; a lock of its holder that ran out is tidied first (EC-086).

    Whoever acts on the same coupon at this moment has it: `ConcurrentRedemption` (EC-085).
    """
    if not try_lock(session, Namespace.COUPON, str(coupon.id)):
        raise ConcurrentRedemption
    values = {"book": coupon.book_id, "coupon": coupon.id}
    found = _in_hand(session.execute(_LOCK, values).one())
    if (
        found.facts.state is CouponState.LOCKED
        and found.facts.standing(now) is not found.facts.state
    ):
        move_coupon(session, found, Moved(CouponMove.LOCK_EXPIRED, at=now, actor_id=actor_id))
        found = _in_hand(session.execute(_LOCK, values).one())
    return found


def _in_hand(row: Row[Any]) -> CouponInHand:
    return CouponInHand(
        row.id,
        row.book_id,
        row.agency_id,
        row.client_id,
        row.version,
        row.draw_key,
        row.code,
        CouponFacts(CouponState(row.state), row.user_id, row.locked_until, row.redemptions),
    )
