"""What the generic job machinery asks of an undo: plan, chunks, settlement, another try."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.jobs.kinds import PROVISIONING_UNDO, JobKind, Reopened
from pipelines.jobs.layout import reopen_chunks
from pipelines.jobs.undo import give_up_undo_plan
from pipelines.provisioning.undo_chunk import give_up_undo, run_undo_chunk
from pipelines.provisioning.undo_plan import plan_undo

_REOPEN_ITEMS = text("""
WITH reopened AS (
    UPDATE items SET state = 'pending', round = :round, code = NULL, detail = NULL, field = NULL
    WHERE job_id = :job AND state = 'failed' AND charge_minor > 0
    RETURNING chunk_number
)
SELECT count(*) AS items, array_agg(DISTINCT chunk_number) AS chunks FROM reopened
""")


def settle(_session: Session, _job: Row[Any], _now: datetime) -> None:
    """An undo holds no credit: each chunk has given back what it took."""


def reopen(session: Session, job: Row[Any], round_number: int, _now: datetime) -> Reopened:
    """Try again what failed for a reason of ours; what was revealed stays as it is."""
    values = {"job": job.id, "round": round_number}
    found = session.execute(_REOPEN_ITEMS, values).one()
    reopen_chunks(session, job.id, found.chunks)
    return Reopened(int(found.items), 0)


KIND = JobKind(
    PROVISIONING_UNDO,
    settle=settle,
    plan=plan_undo,
    give_up_plan=give_up_undo_plan,
    run_chunk=run_undo_chunk,
    give_up=give_up_undo,
    reopen=reopen,
    undo="An undo is not undone. Run the original job again for its recipients.",
)
