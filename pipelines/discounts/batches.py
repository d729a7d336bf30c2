"""The codes that one job made, as one: read, paused, resumed and put away together (S2-131)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from models.tenants import Client
from pipelines.audit.record import record
from pipelines.discounts.move_codes import OF_BATCH, move_codes
from pipelines.discounts.refusals import BatchArchived
from pipelines.errors import NotFound

_NEW = text("""
INSERT INTO discount_batches (id, agency_id, client_id, created_by)
VALUES (:batch, :agency, :client, :actor)
""")
_READ = text("""
SELECT b.*, n.codes, n.used FROM discount_batches b
CROSS JOIN LATERAL (SELECT count(*) AS codes, coalesce(sum(used), 0) AS used
                    FROM discount_codes WHERE batch_id = b.id) n
WHERE b.id = :batch
""")
# Whoever makes codes of the batch shares its row: they come before the move, and are moved, or after
# it, and begin as it says.
_HOLD = text("SELECT * FROM discount_batches WHERE id = :batch FOR NO KEY UPDATE")
_SHARE = text("SELECT state FROM discount_batches WHERE id = :batch FOR SHARE")
_MOVE = text("""
UPDATE discount_batches SET state = :state, version = version + 1, updated_at = :now
WHERE id = :batch
""")
_MOVED = {
    CodeState.ACTIVE: "discount_batch.resumed",
    CodeState.PAUSED: "discount_batch.paused",
    CodeState.ARCHIVED: "discount_batch.archived",
}


def agency_of(session: Session, client_id: UUID) -> UUID:
    """The agency of a client that this scope can see; raises `NotFound`."""
    found = session.execute(
        select(Client.agency_id).where(Client.id == client_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def open_batch(
    session: Session, batch_id: UUID, agency_id: UUID | None, client_id: UUID, *, actor_id: UUID
) -> None:
    """Write the batch of a job that was just created, without codes."""
    values = {"batch": batch_id, "agency": agency_id, "client": client_id, "actor": actor_id}
    session.execute(_NEW, values)


def read_batch(session: Session, batch_id: UUID) -> dict[str, Any]:
    """A batch with how many codes it has, and how often they are used; `NotFound` beyond the scope."""
    row = session.execute(_READ, {"batch": batch_id}).one_or_none()
    if row is None:
        raise NotFound
    return dict(row._mapping) | {"codes": int(row.codes), "used": int(row.used)}


def state_of_batch(session: Session, batch_id: UUID) -> CodeState:
    """How codes of the batch begin; it does not change before this transaction ends."""
    return CodeState(session.execute(_SHARE, {"batch": batch_id}).scalar_one())


def move_batch(
    session: Session, batch_id: UUID, state: CodeState, *, actor_id: UUID, now: datetime
) -> None:
    """Pause, resume or put away all codes of a batch, also those that its job has yet to make.

    A batch that is so already is gone through again: its codes may have been moved one by one. What
    is reserved may still be paid (EC-004, EC-026). Raises `NotFound`, `BatchArchived`.
    """
    batch = session.execute(_HOLD, {"batch": batch_id}).one_or_none()
    if batch is None:
        raise NotFound
    if batch.state == CodeState.ARCHIVED:
        if state == CodeState.ARCHIVED:
            return
        raise BatchArchived
    moved = move_codes(session, OF_BATCH, batch, state, now=now)
    if batch.state != state:
        session.execute(_MOVE, {"batch": batch_id, "state": state.value, "now": now})
    elif not moved:
        return
    _tell(session, batch, state, moved, actor_id)


def _tell(session: Session, batch: Row[Any], state: CodeState, moved: int, actor_id: UUID) -> None:
    record(
        session,
        _MOVED[state],
        object_kind="discount_batch",
        object_id=batch.id,
        actor_id=actor_id,
        agency_id=batch.agency_id,
        client_id=batch.client_id,
        detail={"codes": moved},
    )
