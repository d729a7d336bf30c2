"""The end of a job as it is told: settled, refused before it began, or worked in at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import ItemState, JobState
from pipelines.jobs.verdicts import CANCELLED, Verdict
from pipelines.queue.work import TaskInHand
from pipelines.webhooks.catalogue import JOB_FINISHED
from pipelines.webhooks.happened import Event, happened

#: What of a job's row an event tells, with the state and the counts.
TOLD_COLUMNS = "id, kind, round, agency_id, client_id, campaign_id, is_single"

_TOLD_STATES = (
    ItemState.SUCCEEDED,
    ItemState.FAILED,
    ItemState.SKIPPED,
    ItemState.NEEDS_REVIEW,
    ItemState.CANCELLED,
)
_END = text(f"""
UPDATE jobs SET state = CASE state WHEN 'cancelling' THEN 'cancelled' ELSE 'failed' END,
    error = CASE state WHEN 'cancelling' THEN error ELSE CAST(:error AS jsonb) END,
    finished_at = :now, upload_sha256 = NULL, paused_at = NULL, pause_reason = NULL,
    paused_by = NULL, version = version + 1
WHERE id = :job AND state IN ('queued', 'running', 'paused', 'cancelling')
RETURNING {TOLD_COLUMNS}, state
""")
_END_ITEMS = text("""
UPDATE items SET state = :state, code = :code, detail = :detail
WHERE job_id = :job AND state = 'pending'
""")
_CLOSE_CHUNKS = text("""
UPDATE chunks SET state = 'closed', holds_slot = false WHERE job_id = :job AND state <> 'closed'
""")


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job as a whole failed; `status` is what HTTP calls it, for readers of jobs."""

    code: str
    detail: str
    status: int = 422
    more: Mapping[str, Any] | None = None

    def as_json(self) -> str:
        said = {"status": self.status, "code": self.code, "detail": self.detail}
        return json.dumps(said | dict(self.more or {}), default=str)


def internal_error(detail: str) -> JobError:
    """A failure of ours that no later attempt mended."""
    return JobError("internal_error", detail, status=500)


def tell_finished(
    session: Session,
    job: Row[Any],
    state: JobState,
    counts: Mapping[ItemState, int],
    *,
    now: datetime,
) -> None:
    """Note `job.finished` for whoever listens; `job` has `TOLD_COLUMNS`."""
    facts = {
        "kind": job.kind,
        "state": state.value,
        "round": job.round,
        "campaign_id": job.campaign_id and str(job.campaign_id),
        "is_single": job.is_single,
        **{one.value: counts.get(one, 0) for one in _TOLD_STATES},
    }
    happened(session, Event(JOB_FINISHED, job.id, job.agency_id, job.client_id, facts), now=now)


def fail_unbegun(session: Session, job_id: UUID, error: JobError, now: datetime) -> None:
    """End a job none of whose items was begun; one that was cancelled meanwhile ends cancelled.

    Its file may be submitted again.
    """
    values = {"job": job_id, "error": error.as_json(), "now": now}
    job = session.execute(_END, values).one_or_none()
    if job is None:
        return
    state = JobState(job.state)
    verdict = CANCELLED
    if state is JobState.FAILED:
        verdict = Verdict(ItemState.FAILED, error.code, error.detail)
    said = {"state": verdict.state.value, "code": verdict.code, "detail": verdict.detail}
    ended = session.execute(_END_ITEMS, said | {"job": job_id})
    session.execute(_CLOSE_CHUNKS, {"job": job_id})
    counts = {verdict.state: ended.rowcount}  # type: ignore[attr-defined]
    tell_finished(session, job, state, counts, now=now)


def give_up_unplanned(session: Session, task: TaskInHand, now: datetime, detail: str) -> None:
    """The attempts to plan a job are spent: it ends, with nothing of it begun."""
    fail_unbegun(session, UUID(task.args["job_id"]), internal_error(detail), now)
