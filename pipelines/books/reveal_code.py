"""Open the sealed code of a coupon, for its holder or for who runs its book: audited."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope, client
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.sealing import Keyring, Purpose, Secret

# The index on holders leads to it; an id alone would not.
_HELD = text("SELECT book_id, client_id FROM coupons WHERE user_id = :holder AND id = :coupon")
_CODE = text("""
SELECT c.agency_id, c.client_id, c.code, s.code_sealed
FROM coupons c LEFT JOIN coupon_codes s ON s.id = c.id WHERE c.book_id = :book AND c.id = :coupon
""")


def reveal_own_code(
    sessions: Sessions, coupon_id: UUID, *, holder: UUID, scope: Scope, keyring: Keyring
) -> Secret:
    """The text of a coupon that the person holds, wherever this scope sees; `NotFound` of any other."""
    with scoped_transaction(sessions, scope) as session:
        row = session.execute(_HELD, {"holder": holder, "coupon": coupon_id}).one_or_none()
    if row is None:
        raise NotFound
    with scoped_transaction(sessions, client(row.client_id)) as session:
        return reveal_code(session, row.book_id, coupon_id, actor_id=holder, keyring=keyring)


def reveal_code(
    session: Session, book_id: UUID, coupon_id: UUID, *, actor_id: UUID, keyring: Keyring
) -> Secret:
    """The text of a coupon that this scope sees; `NotFound` otherwise.

    The audit entry commits before the code leaves; a code that is not sealed is no secret.
    """
    row = session.execute(_CODE, {"book": book_id, "coupon": coupon_id}).one_or_none()
    if row is None:
        raise NotFound
    if row.code_sealed is None:
        return Secret(row.code)
    record(
        session,
        "coupon.revealed",
        object_kind="coupon",
        object_id=coupon_id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail={"book_id": str(book_id)},
    )
    return keyring.open_sealed(
        Purpose.CODES, row.code_sealed, table="coupon_codes", row_id=coupon_id, column="code_sealed"
    )
