"""Which moves a job's state may make, and which state a finished round ends in: pure."""

from collections.abc import Mapping
from enum import StrEnum

from models.jobs import ItemState, JobState

_ENDS = frozenset({JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED, JobState.FAILED})
#: The legal moves (docs/states.md draws the same table).
MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: _ENDS | {JobState.RUNNING, JobState.PAUSED, JobState.CANCELLING},
    JobState.RUNNING: _ENDS | {JobState.PAUSED, JobState.CANCELLING},
    JobState.PAUSED: _ENDS | {JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING},
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.PARTIALLY_SUCCEEDED: frozenset({JobState.RUNNING}),
    JobState.FAILED: frozenset({JobState.RUNNING}),
    JobState.CANCELLED: frozenset(),
}
ENDED = _ENDS | {JobState.CANCELLED}
#: Nothing more of the job is begun.
STOPPED = ENDED | {JobState.CANCELLING}


class Move(StrEnum):
    """What a person may ask of a job, in the word that a refusal says it with."""

    PAUSE = "paused"
    RESUME = "resumed"
    CANCEL = "cancelled"
    RETRY = "retried"
    PRIORITISE = "given another priority"
    RESCHEDULE = "rescheduled"
    UNDO = "undone"
    CLONE = "cloned"


#: The states in which each of them is possible; in all others it changes nothing.
MAY: Mapping[Move, frozenset[JobState]] = {
    Move.PAUSE: frozenset({JobState.QUEUED, JobState.RUNNING}),
    Move.RESUME: frozenset({JobState.PAUSED}),
    Move.CANCEL: frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PAUSED}),
    Move.RETRY: frozenset({JobState.PARTIALLY_SUCCEEDED, JobState.FAILED}),
    Move.PRIORITISE: frozenset(JobState) - ENDED,
    Move.RESCHEDULE: frozenset({JobState.QUEUED}),
    Move.UNDO: ENDED,
    Move.CLONE: ENDED,
}
#: What helps who asked for a move in a state that does not allow it; the first that fits is said.
_INSTEAD: tuple[tuple[frozenset[Move], frozenset[JobState], str], ...] = (
    (frozenset({Move.PAUSE}), frozenset({JobState.PAUSED}), "It is paused already."),
    (frozenset({Move.RESUME}), MAY[Move.PAUSE], "It is not paused."),
    (frozenset({Move.CANCEL}), STOPPED - _ENDS, "It is cancelled already."),
    (frozenset({Move.RETRY}), frozenset({JobState.SUCCEEDED}), "Every item succeeded."),
    (
        frozenset({Move.RETRY, Move.RESUME}),
        frozenset({JobState.CANCELLED}),
        "Use Run again for the cancelled rows.",
    ),
    (
        frozenset({Move.RESCHEDULE}),
        frozenset({JobState.PAUSED}),
        "Resume it first; it can be moved if it has not begun.",
    ),
    (
        frozenset({Move.RETRY, Move.UNDO, Move.CLONE}),
        frozenset(JobState) - STOPPED,
        "Let it end or cancel it first.",
    ),
    (frozenset(Move), frozenset({JobState.CANCELLING}), "It is being cancelled: wait for its end."),
    (frozenset({Move.RESCHEDULE}), frozenset({JobState.RUNNING}), "It has begun."),
    (frozenset(Move), ENDED, "It has ended."),
)


def instead_of(move: Move, state: JobState) -> str:
    """A sentence for who asked for a move that the state does not allow; empty if it does."""
    if state in MAY[move]:
        return ""
    return next(says for moves, states, says in _INSTEAD if move in moves and state in states)


def allowed_in(state: JobState) -> list[str]:
    """The moves that the state allows, by name, as a problem document lists them."""
    return [move.name.lower() for move, states in MAY.items() if state in states]


#: A job ends when no item is in one of these.
OPEN_ITEMS = frozenset({ItemState.PENDING, ItemState.RUNNING, ItemState.RETRYING})


def end_state(counts: Mapping[ItemState, int], *, is_cancelled: bool) -> JobState:
    """The state of a job none of whose items is open.

    Succeeded if every item did; failed if none did and none waits for a person; else partial.
    A skipped item is an expected no, but it is no success either.
    """
    if is_cancelled:
        return JobState.CANCELLED
    done = counts.get(ItemState.SUCCEEDED, 0)
    bad = sum(
        counts.get(state, 0)
        for state in (ItemState.FAILED, ItemState.NEEDS_REVIEW, ItemState.CANCELLED)
    )
    skipped = counts.get(ItemState.SKIPPED, 0)
    if bad == 0 and skipped == 0:
        return JobState.SUCCEEDED
    if done == 0 and counts.get(ItemState.NEEDS_REVIEW, 0) == 0:
        return JobState.FAILED
    return JobState.PARTIALLY_SUCCEEDED
