"""A job's life in order: what happened to it, who wanted it, and what it waits for now."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.jobs.read import job_row, stands_on_paused_queue
from pipelines.jobs.states import ENDED, STOPPED

#: Audit entries read for one timeline; of more, the youngest.
ENTRIES_MAX = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `actor_id` is None for what the system did by itself."""

    at: datetime
    event: str
    actor_id: UUID | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events, oldest first; `is_cut` if older ones than shown were left out."""

    events: list[Event]
    is_cut: bool


_ENTRIES = text("""
SELECT at, action, actor_id, detail FROM audit_entries
WHERE object_id = :job AND object_kind = 'job'
ORDER BY at DESC, id DESC LIMIT :limit
""")
_WAITING = text("""
SELECT postponed_for AS reason, min(run_after) AS until
FROM tasks WHERE job_id = :job AND state = 'ready' AND postponed_for IS NOT NULL
GROUP BY postponed_for ORDER BY postponed_for
""")
_IN_REVIEW = text("""
SELECT code, count(*) AS items FROM items
WHERE job_id = :job AND state = 'needs_review' GROUP BY code ORDER BY code
""")
_SUBMITTED = ("job.submitted", "cards.import_submitted", "user_pool.import_submitted")
#: The words of the audit, where the timeline's are others. None: told by another event already.
_EVENTS: dict[str, str | None] = {
    "job.undo_asked": "undone",
    "job.results_downloaded": None,
    **dict.fromkeys(_SUBMITTED),
}
#: The system's own doing, though the audit names who submitted the job.
_BY_ITSELF = frozenset({"finished"})
#: One transaction may do several of these: then this is their order.
_FIRST = {"submitted": 0, "scheduled": 1, "planned": 2, "resumed": 3, "started": 4}
_OF_ENTRIES = frozenset({"round", "was"})
#: What keeps work from being begun holds up nothing where nothing more is begun.
_REASONS_TO_BEGIN = frozenset({"job_paused", "campaign_paused", "scheduled"})


def timeline_of(session: Session, job_id: UUID, *, now: datetime) -> Timeline:
    """What happened to the job, oldest first, then what it waits for at this moment.

    Raises `NotFound` if this scope cannot see the job.
    """
    job = job_row(session, job_id)
    entries = session.execute(_ENTRIES, {"job": job_id, "limit": ENTRIES_MAX + 1}).all()
    told = [event for entry in reversed(entries[:ENTRIES_MAX]) for event in _told(entry)]
    events = [*_begun(job, entries), *told, *_untold(job, told)]
    events.sort(key=lambda event: (event.at, _FIRST.get(event.event, len(_FIRST))))
    return Timeline([*events, *_present(session, job, now)], len(entries) > ENTRIES_MAX)


def _begun(job: Row[Any], entries: Any) -> Iterator[Event]:
    """What the job's own columns tell of its beginning."""
    detail: dict[str, Any] = {}
    for entry in entries:
        if entry.action in _SUBMITTED:
            detail = dict(entry.detail)
    for name in ("cloned_from_id", "undoes_id"):
        if (other := getattr(job, name)) is not None:
            detail[name] = str(other)
    yield Event(job.created_at, "submitted", job.submitted_by, detail)
    if (at := _first_start(job, entries)) is not None:
        yield Event(job.created_at, "scheduled", job.submitted_by, {"scheduled_for": at})
    if job.started_at is not None:
        yield Event(job.started_at, "started")


def _first_start(job: Row[Any], entries: Any) -> str | None:
    """The start that the job was submitted with: the first move says what it moved from."""
    moves = [entry.detail for entry in entries if entry.action == "job.rescheduled"]
    if moves:
        first: str | None = moves[-1].get("scheduled_was")
        return first
    return job.scheduled_for.isoformat() if job.scheduled_for is not None else None


def _told(entry: Row[Any]) -> Iterator[Event]:
    """An audit entry as an event; its round is the one that the event opened or ended."""
    event = _EVENTS.get(entry.action, entry.action.removeprefix("job."))
    if event is None:
        return
    detail = {name: value for name, value in entry.detail.items() if name not in _OF_ENTRIES}
    if event == "retried":
        detail["round"] = entry.detail["round"] + 1
    elif event == "finished":
        detail["round"] = entry.detail["round"]
    yield Event(entry.at, event, None if event in _BY_ITSELF else entry.actor_id, detail)


def _untold(job: Row[Any], told: list[Event]) -> Iterator[Event]:
    """Where the job stands, if nobody's act and no settlement has told it."""
    last = {event.event: event for event in told}
    if JobState(job.state) in ENDED and job.finished_at is not None:
        finished = last.get("finished")
        if finished is None or finished.detail["round"] != job.round:
            yield Event(job.finished_at, "finished", None, {"state": job.state, "round": job.round})
    if job.state == JobState.PAUSED and "paused" not in last:
        yield Event(job.paused_at, "paused", None, {"reason": job.pause_reason})


def _present(session: Session, job: Row[Any], now: datetime) -> Iterator[Event]:
    """What holds the job up at this moment."""
    for row in session.execute(_WAITING, {"job": job.id}):
        if not _holds(row.reason, job, now):
            continue
        ahead = row.until > now and row.reason != "job_paused"
        until = {"until": row.until.isoformat()} if ahead else {}
        yield Event(now, "waiting", None, {"reason": row.reason} | until)
    for row in session.execute(_IN_REVIEW, {"job": job.id}):
        yield Event(now, "needs_review", None, {"code": row.code, "items": row.items})
    if stands_on_paused_queue(job):
        yield Event(now, "waiting", None, {"reason": "queue_paused", "queue": job.paused_queue})


def _holds(reason: str, job: Row[Any], now: datetime) -> bool:
    """Whether a task's reason to wait is still one: the task tells anew only when it is begun."""
    if JobState(job.state) in STOPPED and reason in _REASONS_TO_BEGIN:
        return False
    match reason:
        case "job_paused":
            return JobState(job.state) is JobState.PAUSED
        case "campaign_paused":
            return bool(job.campaign_paused)
        case "scheduled":
            return bool(job.scheduled_for is not None and job.scheduled_for > now)
    return True
