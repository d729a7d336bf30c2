"""Open the sealed code of a coupon for its holder, audited."""

from uuid import UUID

from sqlalchemy import text

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM, client
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.sealing import Keyring, Purpose, Secret

# The index on holders leads to it; an id alone would not.
_HELD = text("""
SELECT c.book_id, c.agency_id, c.client_id, c.code, s.code_sealed
FROM coupons c LEFT JOIN coupon_codes s ON s.id = c.id WHERE c.user_id = :holder AND c.id = :coupon
""")


def reveal_own_code(
    sessions: Sessions, coupon_id: UUID, *, holder: UUID, keyring: Keyring
) -> Secret:
    """The text of a coupon that the person holds; `NotFound` of any other.

    The audit entry commits before the code leaves.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        row = session.execute(_HELD, {"holder": holder, "coupon": coupon_id}).one_or_none()
    if row is None:
        raise NotFound
    if row.code_sealed is None:
        return Secret(row.code)
    code = keyring.open_sealed(
        Purpose.CODES, row.code_sealed, table="coupon_codes", row_id=coupon_id, column="code_sealed"
    )
    with scoped_transaction(sessions, client(row.client_id)) as session:
        record(
            session,
            "coupon.revealed",
            object_kind="coupon",
            object_id=coupon_id,
            actor_id=holder,
            agency_id=row.agency_id,
            client_id=row.client_id,
            detail={"book_id": str(row.book_id)},
        )
    return code
