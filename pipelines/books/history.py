"""Move coupons, each move with its event: one statement writes both, or neither."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from models.books import CouponMove
from pipelines.books.refusals import ConcurrentRedemption
from pipelines.jobs.verdicts import succeed_positions

#: What each move changes of a coupon, beside its version.
_CHANGES: Mapping[CouponMove, str] = {
    CouponMove.ASSIGNED: """state = 'assigned', user_id = m.holder, assigned_at = :at,
        assigned_job_id = CAST(:job AS uuid), assigned_position = m.position""",
    CouponMove.LOCKED: "state = 'locked', locked_until = :until",
    CouponMove.UNLOCKED: "state = 'assigned', locked_until = NULL",
    CouponMove.LOCK_EXPIRED: "state = 'assigned', locked_until = NULL",
    CouponMove.REDEEMED: """state = CASE WHEN :exhausts THEN 'redeemed' ELSE 'assigned' END,
        locked_until = NULL, redemptions = c.redemptions + 1""",
    CouponMove.RELEASED: """state = 'unassigned', user_id = NULL, assigned_at = NULL,
        assigned_job_id = NULL, assigned_position = NULL, draw_key = m.draw_key""",
    CouponMove.VOIDED: "state = 'void', locked_until = NULL",
}
# The version decides: whoever moved the coupon meanwhile was first; what is drawn has none yet, and
# goes by its state. OFFSET 0: the book is a value of the row, not of the statement, so that no plan
# goes through all coupons of the book, whatever the statistics believe.
_MOVE = """
WITH moved AS (
    UPDATE coupons c SET {changes}, version = c.version + 1
    FROM (SELECT CAST(:book AS uuid) AS book, u.* FROM unnest(
            CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:holders AS uuid[]),
            CAST(:positions AS integer[]), CAST(:draw_keys AS bigint[]))
          AS u (id, version, holder, position, draw_key) OFFSET 0) m
    WHERE c.book_id = m.book AND c.id = m.id AND {unmoved}
    RETURNING c.id, c.version, c.agency_id, c.client_id, m.holder, m.position
), told AS (
    INSERT INTO coupon_events (coupon_id, number, book_id, agency_id, client_id, move, user_id,
                               actor_id, job_id, position, at, reason)
    SELECT id, version, :book, agency_id, client_id, :move, holder, :actor, CAST(:job AS uuid),
           position, :at, :reason
    FROM moved
)
SELECT id FROM moved
"""
_SAME_VERSION = "c.version = m.version"
# As state = 'unassigned' says; said so, a plan would go through the whole deck.
_NOBODYS = "c.user_id IS NULL AND c.state <> 'void'"
_MOVES: Mapping[CouponMove, TextClause] = {
    move: text(_MOVE.format(changes=changes, unmoved=_SAME_VERSION))
    for move, changes in _CHANGES.items()
}
_GIVE = text(
    _MOVE.format(
        changes=_CHANGES[CouponMove.ASSIGNED],
        unmoved=f"CASE WHEN m.version IS NULL THEN {_NOBODYS} ELSE {_SAME_VERSION} END",
    )
)


class Movable(Protocol):
    """What a move builds upon."""

    @property
    def id(self) -> UUID: ...
    @property
    def book_id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def facts(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """A move, by whom and why; `reason` holds a person's own words, no codes."""

    move: CouponMove
    at: datetime
    actor_id: UUID | None
    job_id: UUID | None = None
    reason: str | None = None
    until: datetime | None = None
    #: Of a redemption: whether it was the last that the coupon had.
    exhausts: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One coupon of a move: whose it becomes or was, for which item, and its new place in the deck."""

    id: UUID
    #: None for one that was drawn: it is moved if nobody has it.
    version: int | None
    holder: UUID | None
    position: int | None = None
    draw_key: int | None = None


def move_coupons(session: Session, book_id: UUID, steps: Sequence[Step], moved: Moved) -> set[UUID]:
    """Move coupons of one book; those that were moved by nobody else meanwhile."""
    if not steps:
        return set()
    values = _values(book_id, steps, moved)
    if moved.move is CouponMove.LOCKED:
        values["until"] = moved.until
    if moved.move is CouponMove.REDEEMED:
        values["exhausts"] = moved.exhausts
    return set(session.execute(_MOVES[moved.move], values).scalars())


def give_coupons(session: Session, book_id: UUID, steps: Sequence[Step], moved: Moved) -> set[UUID]:
    """Assign coupons of one book to the pending items of one chunk, which succeed with them.

    Returns those that nobody had; their items alone have ended.
    """
    if not steps:
        return set()
    given = set(session.execute(_GIVE, _values(book_id, steps, moved)).scalars())
    assert moved.job_id is not None, "items belong to a job"
    ended = {step.position: step.id for step in steps if step.id in given and step.position}
    succeed_positions(session, moved.job_id, ended)
    return given


def _values(book_id: UUID, steps: Sequence[Step], moved: Moved) -> dict[str, object]:
    return {
        "book": book_id,
        "ids": [step.id for step in steps],
        "versions": [step.version for step in steps],
        "holders": [step.holder for step in steps],
        "positions": [step.position for step in steps],
        "draw_keys": [step.draw_key for step in steps],
        "move": moved.move.value,
        "actor": moved.actor_id,
        "job": moved.job_id,
        "at": moved.at,
        "reason": moved.reason,
    }


def move_coupon(
    session: Session,
    coupon: Movable,
    moved: Moved,
    *,
    holder: UUID | None = None,
    position: int | None = None,
    draw_key: int | None = None,
) -> None:
    """Move one coupon; `ConcurrentRedemption` if somebody else did meanwhile.

    `holder` defaults to whose it is.
    """
    whose = holder or coupon.facts.user_id
    step = Step(coupon.id, coupon.version, whose, position, draw_key)
    if not move_coupons(session, coupon.book_id, [step], moved):
        raise ConcurrentRedemption
