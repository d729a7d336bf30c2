"""The moves a job may make, and the state in which a finished round ends."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.jobs import ItemState, JobState
from pipelines.jobs.states import (
    ENDED,
    MAY,
    MOVES,
    OPEN_ITEMS,
    Move,
    allowed_in,
    end_state,
    instead_of,
)

S = JobState
LEGAL = {
    S.QUEUED: {S.RUNNING, S.PAUSED, S.CANCELLING, S.SUCCEEDED, S.PARTIALLY_SUCCEEDED, S.FAILED},
    S.RUNNING: {S.PAUSED, S.CANCELLING, S.SUCCEEDED, S.PARTIALLY_SUCCEEDED, S.FAILED},
    S.PAUSED: {S.QUEUED, S.RUNNING, S.CANCELLING, S.SUCCEEDED, S.PARTIALLY_SUCCEEDED, S.FAILED},
    S.CANCELLING: {S.CANCELLED},
    S.SUCCEEDED: set(),
    S.PARTIALLY_SUCCEEDED: {S.RUNNING},
    S.FAILED: {S.RUNNING},
    S.CANCELLED: set(),
}
COUNTS = st.dictionaries(
    st.sampled_from([state for state in ItemState if state not in OPEN_ITEMS]),
    st.integers(0, 3),
)


@pytest.mark.parametrize(("was", "then"), list(product(JobState, JobState)))
def test_every_pair_of_states_is_a_move_or_is_not(was: JobState, then: JobState) -> None:
    assert (then in MOVES[was]) is (then in LEGAL[was])


def test_what_a_person_may_ask_is_a_legal_move_of_the_state() -> None:
    becomes = {
        Move.PAUSE: {S.PAUSED},
        Move.RESUME: {S.RUNNING, S.QUEUED},
        Move.CANCEL: {S.CANCELLING},
        Move.RETRY: {S.RUNNING},
    }

    assert {
        (m, s) for m, s in product(becomes, S) if s in MAY[m] and not becomes[m] <= MOVES[s]
    } == set()
    assert MAY[Move.PRIORITISE] == set(S) - ENDED
    assert MAY[Move.RESCHEDULE] == {S.QUEUED}


@pytest.mark.parametrize(("move", "state"), list(product(Move, JobState)))
def test_every_refused_move_has_a_sentence_that_helps_and_no_other(
    move: Move, state: JobState
) -> None:
    assert bool(instead_of(move, state)) is (state not in MAY[move])
    assert (move.name.lower() in allowed_in(state)) is (state in MAY[move])


@pytest.mark.parametrize(
    ("move", "state", "words"),
    [
        (Move.PAUSE, S.PAUSED, "It is paused already."),
        (Move.RESUME, S.RUNNING, "It is not paused."),
        (Move.RESUME, S.CANCELLED, "Use Run again for the cancelled rows."),
        (Move.RETRY, S.CANCELLED, "Use Run again for the cancelled rows."),
        (Move.RETRY, S.PAUSED, "Let it end or cancel it first."),
        (Move.RETRY, S.SUCCEEDED, "Every item succeeded."),
        (Move.CANCEL, S.CANCELLING, "It is cancelled already."),
        (Move.UNDO, S.CANCELLING, "It is being cancelled: wait for its end."),
        (Move.RESCHEDULE, S.PAUSED, "Resume it first; it can be moved if it has not begun."),
        (Move.RESCHEDULE, S.RUNNING, "It has begun."),
        (Move.PRIORITISE, S.FAILED, "It has ended."),
    ],
)
def test_a_refused_move_names_what_may_be_done_instead(
    move: Move, state: JobState, words: str
) -> None:
    assert instead_of(move, state) == words


def test_an_ended_job_moves_only_to_try_its_failed_items_again() -> None:
    assert {state for state in JobState if not MOVES[state] - {S.RUNNING}} == ENDED


@pytest.mark.parametrize(
    ("counts", "ends"),
    [
        ({ItemState.SUCCEEDED: 3}, S.SUCCEEDED),
        ({ItemState.SUCCEEDED: 1, ItemState.SKIPPED: 1}, S.PARTIALLY_SUCCEEDED),
        ({ItemState.SUCCEEDED: 1, ItemState.FAILED: 1}, S.PARTIALLY_SUCCEEDED),
        ({ItemState.SUCCEEDED: 1, ItemState.CANCELLED: 1}, S.PARTIALLY_SUCCEEDED),
        ({ItemState.NEEDS_REVIEW: 1}, S.PARTIALLY_SUCCEEDED),
        ({ItemState.NEEDS_REVIEW: 1, ItemState.FAILED: 5}, S.PARTIALLY_SUCCEEDED),
        ({ItemState.FAILED: 1}, S.FAILED),
        ({ItemState.FAILED: 1, ItemState.SKIPPED: 1}, S.FAILED),
        ({ItemState.CANCELLED: 1}, S.FAILED),
    ],
)
def test_a_round_ends_as_its_items_did(counts: dict[ItemState, int], ends: JobState) -> None:
    assert end_state(counts, is_cancelled=False) is ends


@given(COUNTS)
def test_a_job_that_was_asked_to_end_is_cancelled_whatever_its_items(
    counts: dict[ItemState, int],
) -> None:
    assert end_state(counts, is_cancelled=True) is S.CANCELLED


@given(COUNTS)
def test_success_means_that_every_item_succeeded(counts: dict[ItemState, int]) -> None:
    others = sum(counts.values()) - counts.get(ItemState.SUCCEEDED, 0)

    assert (end_state(counts, is_cancelled=False) is S.SUCCEEDED) is (others == 0)


@given(COUNTS)
def test_every_end_can_be_reached_from_running(counts: dict[ItemState, int]) -> None:
    assert end_state(counts, is_cancelled=False) in MOVES[S.RUNNING]
