"""The kind of job that generates discount codes; the job is their batch (S2-131)."""

import os
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.books.code_chunks import CodeMaker, Draw, Write, code_generation
from pipelines.discounts.batches import state_of_batch
from pipelines.discounts.options import options_in
from pipelines.discounts.read import LIMIT_NAMES
from pipelines.discounts.refusals import BatchArchived
from pipelines.discounts.stored_rules import RULE_NAMES, rules_from
from pipelines.discounts.write_codes import Series, write_codes
from pipelines.errors import Refusal
from pipelines.jobs.kinds import DISCOUNT_GENERATION, JobKind

#: Why jobs that make discount codes are not taken back.
BATCH_IS_PUT_AWAY = "Put the batch of codes away instead: what was paid with them keeps its price."

_JOB = text("""
SELECT j.id, j.state, j.spec, j.agency_id, j.client_id, j.submitted_by,
    l.suspended_at IS NOT NULL AS is_suspended, c.pending
FROM jobs j JOIN chunks c ON c.job_id = j.id AND c.number = :chunk
JOIN clients l ON l.id = j.client_id
WHERE j.id = :job
""")
_TAKEN = (
    "Too many codes of this pattern are taken. Make the random part longer and generate what is "
    "missing."
)


def discount_generation_kind(*, draw: Draw = os.urandom) -> JobKind:
    """The kind of job that generates discount codes; `draw` gives that many random bytes."""
    maker = CodeMaker(
        _JOB,
        ended=_ended,
        write=_write,
        taken=_TAKEN,
        action="discount_batch.generated",
        object_kind="discount_batch",
        object_id=lambda job: job.id,
    )
    return code_generation(DISCOUNT_GENERATION, maker, draw=draw, undo=BATCH_IS_PUT_AWAY)


def _ended(session: Session, job: Row[Any]) -> Refusal | None:
    """The batch is shared from now on: it is not moved past codes that are being made."""
    return BatchArchived() if state_of_batch(session, job.id) is CodeState.ARCHIVED else None


def _write(session: Session, job: Row[Any]) -> Write:
    series, state = _series(job), state_of_batch(session, job.id)
    return lambda codes: write_codes(session, series, codes, state=state)


def _series(job: Row[Any]) -> Series:
    limits = {name: job.spec[name] for name in LIMIT_NAMES}
    rules = rules_from(_with_times(job.spec["rules"]))
    return Series(
        job.id,
        job.agency_id,
        job.client_id,
        rules,
        # A job of a release before has none.
        options=options_in(job.spec.get("options", {})),
        created_by=job.submitted_by,
        **limits,
    )


def _with_times(kept: dict[str, Any]) -> dict[str, Any]:
    """The rules as they were kept, their times read again; a job from before a rule has none of it."""
    rules = {name: kept.get(name) for name in RULE_NAMES}
    times = {name: rules[name] for name in ("starts_at", "expires_at")}
    return rules | {name: at and datetime.fromisoformat(at) for name, at in times.items()}
