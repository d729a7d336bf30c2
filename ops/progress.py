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
#: Without a terminal a line is printed this often, and at the end.
LINE_SECONDS = 2.0
ENDED = frozenset({"succeeded", "partially_succeeded", "failed", "cancelled"})
OPEN = ("pending", "running", "retrying")

Job = dict[str, Any]


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
        while True:
            job = api.job(job_id)
            _show(progress, bar, job)
            if job["state"] in ENDED:
                return job
            _pause(stop)


def _show(progress: Progress, bar: TaskID, job: Job) -> None:
    progress.update(
        bar,
        total=job["counts"]["total"] or None,
        completed=done_of(job),
        pace=pace_of(job),
        sources=sources_of(job),
    )
    progress.refresh()


def _with_lines(api: Api, job_id: str, title: str, console: Console, stop: threading.Event) -> Job:
    told_at = time.monotonic()
    while True:
        job = api.job(job_id)
        is_over = job["state"] in ENDED
        if is_over or time.monotonic() - told_at >= LINE_SECONDS:
            told_at = time.monotonic()
            console.print(line_of(title, job), soft_wrap=True, highlight=False, markup=False)
        if is_over:
            return job
        _pause(stop)


def _pause(stop: threading.Event) -> None:
    if stop.wait(POLL_SECONDS):
        raise Interrupted("asked to stop while a job was running")


def line_of(title: str, job: Job) -> str:
    """`Recipients 580/1000 (58.0 %) 210.5/s, 2 s left, csv 300 buffer 100 api 180`."""
    total = job["counts"]["total"]
    parts = [f"{title} {done_of(job)}/{total} ({job['progress']['percent']:.1f} %)"]
    return " ".join([*parts, *filter(None, (pace_of(job), sources_of(job), _pause_of(job)))])


def done_of(job: Mapping[str, Any]) -> int:
    counts = job["counts"]
    return int(counts["total"] - sum(counts[state] for state in OPEN))


def pace_of(job: Mapping[str, Any]) -> str:
    """Items per second and the time to go, as far as they are known."""
    rate, eta = job["progress"]["rate_per_second"], job["progress"]["eta_seconds"]
    pace = f"{rate:.1f}/s" if rate else ""
    return f"{pace}, {eta} s left" if pace and eta is not None else pace


def sources_of(job: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {count}" for name, count in job["sources"].items() if count)


def _pause_of(job: Mapping[str, Any]) -> str:
    pause = job.get("pause")
    return f"paused: {pause['reason']}, resumes on {pause['resumes_on']}" if pause else ""
