"""Give a slot back before its time, by whoever runs the code: the one place where pages do it."""

from uuid import UUID

from sqlalchemy.orm import Session

from models.database import Sessions
from models.scope import Scope, tenant_scope
from pipelines.audit.record import record
from pipelines.checkout.end import release_reservation
from pipelines.discounts.read import read_reservation
from pipelines.discounts.release import ReleaseReason
from pipelines.payments.page import Pages


def release_now(
    sessions: Sessions,
    scope: Scope,
    usage_id: UUID,
    *,
    reason: str,
    pages: Pages,
    actor_id: UUID,
) -> None:
    """Release it; one that is released already, or meanwhile by others, stays so: nothing more is told.

    A page on which it could be paid is ended first. The history of each of its codes says who did it
    and why, in the transaction that gives it back.
    Raises `NotFound`, `ReservationEnded`, `PaymentUnderWay` and `PaymentProviderUnavailable`.
    """

    def tell(session: Session) -> None:
        row = read_reservation(session, usage_id)
        for code in row.codes:
            record(
                session,
                "discount.slot_released",
                object_kind="discount",
                object_id=UUID(code["code_id"]),
                actor_id=actor_id,
                agency_id=row.agency_id,
                client_id=row.client_id,
                detail={"reservation_id": str(usage_id), "reason": reason},
            )

    with tenant_scope(scope):
        release_reservation(
            sessions, usage_id, ReleaseReason.MANAGER, pages=pages, actor_id=actor_id, tell=tell
        )
