"""Percent, rate and time to go: none is promised while nothing moves."""

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.jobs.progress import progress_of

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def progress(*, quiet_seconds: float, is_moving: bool = True):
    now = START + timedelta(seconds=100)
    return progress_of(
        total=100,
        still_open=50,
        pending=50,
        started_at=START,
        finished_at=None,
        last_progress_at=now - timedelta(seconds=quiet_seconds),
        is_moving=is_moving,
        now=now,
        stalled_seconds=90.0,
    )


@pytest.mark.parametrize(
    ("quiet_seconds", "eta_seconds", "stalled"),
    [(0, 101, False), (10, 101, False), (10.5, None, False), (91, None, True)],
)
def test_a_job_that_stands_still_has_no_time_to_go(quiet_seconds, eta_seconds, stalled):
    seen = progress(quiet_seconds=quiet_seconds)

    assert (seen.eta_seconds, seen.stalled) == (eta_seconds, stalled)
    assert (seen.percent, seen.rate_per_second) == (50.0, 0.5)


def test_a_paused_job_has_neither_time_to_go_nor_a_stall():
    seen = progress(quiet_seconds=91, is_moving=False)

    assert (seen.eta_seconds, seen.stalled) == (None, False)


@pytest.mark.parametrize(("finished_at", "percent"), [(None, 0.0), (START, 100.0)])
def test_a_job_without_items_is_at_its_beginning_until_it_has_ended(finished_at, percent):
    seen = progress_of(
        total=0,
        still_open=0,
        pending=0,
        started_at=None,
        finished_at=finished_at,
        last_progress_at=None,
        is_moving=False,
        now=START,
        stalled_seconds=90.0,
    )

    assert seen.percent == percent
