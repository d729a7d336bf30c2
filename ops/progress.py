"""Watch a job to its end: a live bar on a terminal, a line now and then elsewhere."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from ops.client import Api
from pipelines.errors import Interrupted

POLL_SECONDS = 0.25
#: Without a terminal a line is printed when something changed, at most this often.
LINE_SECONDS = 2.0
#: A job in which nothing moved for so long is said to wait, and without a terminal so often.
QUIET_SECONDS = 10.0
ENDED = frozenset({"succeeded", "partially_succeeded", "failed", "cancelled"})
OPEN = ("pending", "running", "retrying")
#: Why a job is paused, in words.
PAUSED = {
    "user": "by somebody",
    "no_credit": "for want of credit",
    "provider_auth": "because the vendor refuses our keys",
    "account_restricted": "until its account has paid what it owes",
}

Job = dict[str, Any]


class Stillness:
    """For how long nothing has moved in a job, as far as we have seen."""

    def __init__(self, now: float) -> None:
        self._seen: object = None
        self._since = now

    def seconds(self, job: Mapping[str, Any], now: float) -> float:
        seen = (job["state"], job["counts"], job["sources"])
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since


class Lines:
    """Decides when a line is due where nobody sees a bar."""

    def __init__(self, now: float) -> None:
        self._still = Stillness(now)
        self._told_at = now
        self._was_told = False

    def due(self, job: Mapping[str, Any], now: float) -> float | None:
        """For how long nothing has moved, if a line is due now; None if it is not."""
        still = self._still.seconds(job, now)
        if still == 0:
            self._was_told = False
        since_told = now - self._told_at
        is_due = since_told >= (QUIET_SECONDS if self._was_told else LINE_SECONDS)
        if not is_due and job["state"] not in ENDED:
            return None
        self._told_at, self._was_told = now, True
        return still


def watch_job(api: Api, job_id: str, title: str, *, console: Console, stop: threading.Event) -> Job:
    """The job after its end. Raises `Interrupted` when `stop` is set before that."""
    if console.is_terminal:
        return _with_bar(api, job_id, title, console, stop)
    return _with_lines(api, job_id, title, console, stop)


def _with_bar(api: Api, job_id: str, title: str, console: Console, stop: threading.Event) -> Job:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[sources]}"),
    )
    with Progress(*columns, console=console, auto_refresh=False, expand=True) as progress:
        bar = progress.add_task(title, total=None, pace="", sources="")
        stillness = Stillness(time.monotonic())
        while True:
            job = api.job(job_id)
            _show(progress, bar, job, stillness.seconds(job, time.monotonic()))
            if job["state"] in ENDED:
                return job
            _pause(stop)


def _show(progress: Progress, bar: TaskID, job: Job, still_seconds: float) -> None:
    progress.update(
        bar,
        total=job["counts"]["total"] or None,
        completed=done_of(job),
        pace=pace_of(job, still_seconds),
        sources=sources_of(job),
    )
    progress.refresh()


def _with_lines(api: Api, job_id: str, title: str, console: Console, stop: threading.Event) -> Job:
    lines = Lines(time.monotonic())
    while True:
        job = api.job(job_id)
        if (still := lines.due(job, time.monotonic())) is not None:
            line = line_of(title, job, still)
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        if job["state"] in ENDED:
            return job
        _pause(stop)


def _pause(stop: threading.Event) -> None:
    if stop.wait(POLL_SECONDS):
        raise Interrupted("asked to stop while a job was running")


def line_of(title: str, job: Job, still_seconds: float = 0.0) -> str:
    """`Recipients 580/1000 (58.0 %) 210.5/s, 2 s left, csv 300 buffer 100 api 180`."""
    total = job["counts"]["total"]
    parts = [f"{title} {done_of(job)}/{total} ({job['progress']['percent']:.1f} %)"]
    return " ".join(
        [*parts, *filter(None, (pace_of(job, still_seconds), sources_of(job), _pause_of(job)))]
    )


def done_of(job: Mapping[str, Any]) -> int:
    counts = job["counts"]
    return int(counts["total"] - sum(counts[state] for state in OPEN))


def pace_of(job: Mapping[str, Any], still_seconds: float = 0.0) -> str:
    """Items per second and the time to go, as far as they are known; or that nothing moves."""
    is_ours_to_move = job["state"] not in ENDED and not job.get("pause")
    if is_ours_to_move and still_seconds >= QUIET_SECONDS:
        return f"waiting, nothing has moved for {still_seconds:.0f} s"
    rate, eta = job["progress"]["rate_per_second"], job["progress"]["eta_seconds"]
    pace = f"{rate:.1f}/s" if rate else ""
    return f"{pace}, {eta} s left" if pace and eta is not None else pace


def sources_of(job: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {count}" for name, count in job["sources"].items() if count)


def _pause_of(job: Mapping[str, Any]) -> str:
    pause = job.get("pause")
    if not pause:
        return ""
    reason = PAUSED.get(pause["reason"], "")
    return f"paused {reason}".rstrip() + f", goes on when {pause['resumes_on']}"
