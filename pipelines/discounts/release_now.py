"""Give a slot back before its time, by whoever runs the code: the one place where pages do it."""

from uuid import UUID

from models import clock
from models.database import Sessions, scoped_transaction
from models.discounts import UsageState
from models.scope import Scope
from pipelines.audit.record import record
from pipelines.discounts.read import read_reservation
from pipelines.discounts.release import ReleaseReason, release


def release_now(
    sessions: Sessions, scope: Scope, usage_id: UUID, *, reason: str, actor_id: UUID
) -> None:
    """Release it; one that is released already stays so, and nothing more is told.

    The code's own history says who did it and why. Raises `NotFound`, `ReservationEnded`.
    """
    with scoped_transaction(sessions, scope) as session:
        row = read_reservation(session, usage_id)
        was_live = row.state == UsageState.RESERVED
        now = clock.now(session)
        release(session, usage_id, ReleaseReason.MANAGER, now=now, actor_id=actor_id)
        if was_live:
            record(
                session,
                "discount.slot_released",
                object_kind="discount",
                object_id=row.code_id,
                actor_id=actor_id,
                agency_id=row.agency_id,
                client_id=row.client_id,
                detail={"reservation_id": str(usage_id), "reason": reason},
            )
