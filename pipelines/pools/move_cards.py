"""Set cards aside, give them back to stock, or end them: a whole batch, or one card.

Nothing here waits for a claim, and no claim for this: what a claim has locked is passed over and
looked at again by a task, until the claim has given the card away or let it go. A card that a claim
waits for meanwhile is not taken: the claim looks at its state again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.cards import CardState
from models.scope import Scope, ScopeRole
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.states import ENDED
from pipelines.queue.defer import defer
from pipelines.queue.kinds import MOVE_CARDS
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Cards moved in one transaction.
MOVED_AT_ONCE = 20_000
#: Longer than a claim may hold what it has locked.
LOOK_AGAIN = timedelta(seconds=5)


class CardMove(StrEnum):
    """What is done with cards of the stock; the order is what tasks name them by."""

    QUARANTINE = "quarantine"
    RELEASE = "release"
    VOID = "void"


_MOVES = tuple(CardMove)
#: Only what was set aside is ended or given back, so that neither meets a claim.
_FROM_TO = {
    CardMove.QUARANTINE: (CardState.AVAILABLE, CardState.QUARANTINED),
    CardMove.RELEASE: (CardState.QUARANTINED, CardState.AVAILABLE),
    CardMove.VOID: (CardState.QUARANTINED, CardState.VOID),
}
_OF_BATCH = {
    CardMove.QUARANTINE: "card_batch.quarantined",
    CardMove.RELEASE: "card_batch.released",
    CardMove.VOID: "card_batch.voided",
}
_OF_CARD = {
    CardMove.QUARANTINE: "card.quarantined",
    CardMove.RELEASE: "card.released",
    CardMove.VOID: "card.voided",
}


class ImportRunning(Refusal):
    """The file is still being worked in."""

    code = "import_running"
    kind = Kind.CONFLICT
    detail = "The file is still being worked in. Wait for its end, then ask again."


class InvalidCardState(Refusal):
    """The card's state does not allow this move."""

    code = "invalid_card_state"
    kind = Kind.CONFLICT


class CardWithoutPool(Refusal):
    """There is no stock that the card could be given back to or set aside from."""

    code = "card_without_pool"
    kind = Kind.CONFLICT
    detail = (
        "This card is in no pool. Make a buffer pool of its brand and amount, or let the one "
        "there is adopt it; a card that is no good can be voided."
    )


_BATCH = text("""
SELECT t.id, t.number, t.agency_id, t.client_id, t.quarantined_at, j.state
FROM card_batches t JOIN jobs j ON j.id = t.id WHERE t.id = :batch FOR NO KEY UPDATE OF t
""")
_MARK = text("UPDATE card_batches SET quarantined_at = :at WHERE id = :batch")
# What was set aside as a single card is given back as one, not with its batch.
_MOVE = text("""
UPDATE cards SET state = :to WHERE id = ANY (ARRAY(
    SELECT id FROM cards WHERE import_job_id = :batch AND state = :was
      AND NOT (:to = 'available' AND set_aside_alone)
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)) AND state = :was
""")
_ANY_LEFT = text("""
SELECT 1 FROM cards WHERE import_job_id = :batch AND state = :was
  AND NOT (:to = 'available' AND set_aside_alone) LIMIT 1
""")
_CARD = text("""
SELECT c.id, c.pool_id, c.state, c.set_aside_alone, p.agency_id, p.client_id
FROM cards c LEFT JOIN card_pools p ON p.id = c.pool_id WHERE c.id = :card FOR NO KEY UPDATE OF c
""")
_STOCK_CARD = text("""
SELECT c.id, c.last4, c.state, c.import_row, c.expires_on, p.id AS redemption_id, c.issued_at,
    o.agency_id, o.client_id
FROM cards c LEFT JOIN card_pools o ON o.id = c.pool_id
LEFT JOIN provisions p ON p.card_id = c.id AND p.undone_at IS NULL
WHERE c.id = :card
""")
_MOVE_CARD = text("""
UPDATE cards SET state = :to, set_aside_alone = (:to = 'quarantined') WHERE id = :card
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """How many cards were moved at once; whether a task goes on with more."""

    cards: int
    goes_on: bool


def move_batch(
    session: Session,
    batch_id: UUID,
    move: CardMove,
    *,
    reason: str,
    actor_id: UUID,
    now: datetime,
) -> Moved:
    """Move the batch's cards, in the SYSTEM scope, for a caller whose scope has the batch.

    Cards that were given stay given; one that comes back joins those set aside while the batch is.
    Raises `NotFound`, `ImportRunning`.
    """
    batch = session.execute(_BATCH, {"batch": batch_id}).one_or_none()
    if batch is None:
        raise NotFound
    if batch.state not in ENDED:
        raise ImportRunning
    if move is not CardMove.VOID:
        at = now if move is CardMove.QUARANTINE else None
        session.execute(_MARK, {"batch": batch_id, "at": at})
    moved = _pass(session, batch_id, move)
    goes_on = move is CardMove.QUARANTINE or moved == MOVED_AT_ONCE
    if goes_on:
        _go_on(session, batch_id, move, now, is_full=moved == MOVED_AT_ONCE)
    record(
        session,
        _OF_BATCH[move],
        object_kind="card_batch",
        object_id=batch_id,
        actor_id=actor_id,
        agency_id=batch.agency_id,
        client_id=batch.client_id,
        detail={"reason": reason, "batch": batch.number, "cards": moved},
    )
    log.info("cards.moved", batch_id=str(batch_id), move=move.value, cards=moved)
    return Moved(moved, goes_on)


def go_on_moving(session: Session, task: TaskInHand, now: datetime) -> None:
    """The work of MOVE_CARDS: the next cards of the batch, unless a later wish contradicts it."""
    batch_id, move = UUID(str(task.args["batch_id"])), _MOVES[int(task.args["move"])]
    batch: Row[tuple[datetime]] = session.execute(_BATCH, {"batch": batch_id}).one()
    if (batch.quarantined_at is None) != (move is CardMove.RELEASE):
        return
    moved = _pass(session, batch_id, move)
    was, to = _FROM_TO[move]
    left = {"batch": batch_id, "was": was.value, "to": to.value}
    if session.execute(_ANY_LEFT, left).scalar_one_or_none() is not None:
        _go_on(session, batch_id, move, now, is_full=moved == MOVED_AT_ONCE)


def move_card(
    session: Session,
    card_id: UUID,
    move: CardMove,
    *,
    reason: str,
    actor_id: UUID,
) -> None:
    """Move one card, in the SYSTEM scope; as often as one likes. One in no pool can only be ended.

    It waits for a claim that has it in hand. One that was set aside with its batch may be set aside
    by itself too: then it stays so when the batch is given back. Raises `NotFound`,
    `CardWithoutPool`, `InvalidCardState`.
    """
    card = session.execute(_CARD, {"card": card_id}).one_or_none()
    if card is None:
        raise NotFound
    was, to = _FROM_TO[move]
    is_outside = card.pool_id is None and card.state == CardState.QUARANTINED
    if is_outside and move is not CardMove.VOID:
        raise CardWithoutPool
    if card.state == to and (move is not CardMove.QUARANTINE or card.set_aside_alone):
        return
    if card.state not in {was, to}:
        raise InvalidCardState(
            f"Only a card that is {was} can be {_OF_CARD[move].removeprefix('card.')}; "
            f"this one is {card.state}."
        )
    session.execute(_MOVE_CARD, {"card": card_id, "to": to.value})
    record(
        session,
        _OF_CARD[move],
        object_kind="card",
        object_id=card_id,
        actor_id=actor_id,
        agency_id=card.agency_id,
        client_id=card.client_id,
        detail={"reason": reason},
    )


def stock_card(session: Session, scope: Scope, card_id: UUID) -> Row[Any]:
    """A card of a pool of `scope`, or `NotFound`; read in the SYSTEM scope.

    Tenants do not see cards that are not given, so whose pool it is decides here; what is in none
    is the platform's.
    """
    card: Row[Any] | None = session.execute(_STOCK_CARD, {"card": card_id}).one_or_none()
    if card is None or not (
        scope.role is ScopeRole.PLATFORM
        or (scope.role is ScopeRole.AGENCY and card.agency_id == scope.agency_id)
        or (scope.role is ScopeRole.CLIENT and card.client_id == scope.client_id)
    ):
        raise NotFound
    return card


def _pass(session: Session, batch_id: UUID, move: CardMove) -> int:
    was, to = _FROM_TO[move]
    values = {"batch": batch_id, "was": was.value, "to": to.value, "limit": MOVED_AT_ONCE}
    return int(session.execute(_MOVE, values).rowcount)  # type: ignore[attr-defined]


def _go_on(
    session: Session, batch_id: UUID, move: CardMove, now: datetime, *, is_full: bool
) -> None:
    """A full pass is followed at once, any other once claims have let go."""
    defer(
        session,
        MOVE_CARDS,
        args={"batch_id": str(batch_id), "move": _MOVES.index(move)},
        now=now,
        run_after=now if is_full else now + LOOK_AGAIN,
    )
