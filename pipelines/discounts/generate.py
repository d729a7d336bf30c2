"""Accept the generation of discount codes: a job of chunks, each of which makes its number of them (EC-028)."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.locks import Namespace, wait_for_lock
from pipelines.audit.record import record
from pipelines.books.capacity import capacity
from pipelines.books.patterns import Pattern, check_pattern, check_space
from pipelines.books.read import pattern_json
from pipelines.discounts.batches import agency_of, open_batch
from pipelines.discounts.options import USUAL, CodeOptions, option_values
from pipelines.discounts.rule_checks import check_rules
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import told_rules
from pipelines.jobs.counted import lay_counted
from pipelines.jobs.create import AcceptedJob, NewJob, create_job
from pipelines.jobs.kinds import DISCOUNT_GENERATION
from pipelines.jobs.quotas import QueueSaturated, admit_job
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result, remember

#: Codes that one chunk makes in a transaction: half a second's work.
CODES_PER_CHUNK = 5_000

#: A row of a code takes more than this: ids, times and counts alone do.
_ROW_BYTES_MIN = 128
# More codes than all clients have, without a look at any; and what other jobs will make of the pattern.
_AT_MOST = text("""
SELECT pg_relation_size('discount_codes') / :row_bytes AS codes,
    (SELECT coalesce(sum(c.pending), 0) FROM jobs j JOIN chunks c ON c.job_id = j.id
     WHERE j.client_id = :client AND j.kind = 'discount_generation'
       AND j.state IN ('queued', 'running', 'paused', 'cancelling')
       AND j.spec->'pattern' @> CAST(:shape AS jsonb)) AS pending
""")
# Codes of the pattern that are there, whoever made them, up to as many as leave no room.
_EXISTING = text("""
SELECT count(*) FROM (SELECT FROM discount_codes
    WHERE client_id = :client AND length(code) = :length
      AND starts_with(code, :front) AND right(code, length(:back)) = :back
      AND translate(substr(code, length(:front) + 1, :random), :alphabet, '') = ''
    LIMIT :enough) AS found
""")


@dataclass(frozen=True, slots=True)
class Generation:
    """So many codes of a pattern, with what each of them does; a limit of None is none."""

    client_id: UUID
    pattern: Pattern
    count: int
    rules: DiscountRules
    max_uses: int | None = None
    max_uses_per_customer: int | None = 1
    options: CodeOptions = USUAL

    @property
    def is_bearer(self) -> bool:
        """Whether each code is worth what it takes off to whoever finds it (decision 0047)."""
        return self.max_uses == 1


def accept_generation(
    session: Session,
    asked: Generation,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Take the wish for new codes of a client that the caller's scope can see; the job is their batch.

    Raises `NotFound`, `ValidationFailed`, `PatternSpaceTooSmall`, `TenantQuotaExceeded`, and
    `saturated`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    if saturated is not None:
        raise saturated
    check_pattern(asked.pattern)
    check_rules(asked.rules)
    wait_for_lock(session, Namespace.DISCOUNT_GENERATION, str(asked.client_id))
    admit_job(session, asked.client_id, limits=limits)
    existing = _existing(session, asked)
    check_space(asked.pattern, existing=existing, count=asked.count, is_bearer=asked.is_bearer)
    job_id = lay_generation(session, asked, actor_id=actor_id, limits=limits, size=CODES_PER_CHUNK)
    if key is not None:
        remember(session, key, status=202, resource_kind="job", resource_id=job_id)
    return AcceptedJob(job_id)


def lay_generation(
    session: Session, asked: Generation, *, actor_id: UUID, limits: Limits, size: int
) -> UUID:
    """Write the job and its batch with chunks of `size` codes, and start the first of them.

    Pattern and rules are kept as they were agreed to. Raises `NotFound` (client).
    """
    agency_id, now = agency_of(session, asked.client_id), clock.now(session)
    new = NewJob(
        kind=DISCOUNT_GENERATION,
        agency_id=agency_id,
        client_id=asked.client_id,
        spec=_spec(asked),
        submitted_by=actor_id,
        total=asked.count,
    )
    job_id = create_job(session, new, now=now, limits=limits)
    open_batch(session, job_id, agency_id, asked.client_id, actor_id=actor_id)
    lay_counted(session, job_id, new, size=size, now=now, limits=limits)
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=job_id,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=asked.client_id,
        detail={"discount_codes": asked.count},
    )
    return job_id


def _existing(session: Session, asked: Generation) -> int:
    """How many codes of the pattern there are or will be, as far as it matters for its room.

    A pattern that has room beside all codes that there can be, and those are most, is not counted:
    a client may have millions, and whoever asks holds its lock.
    """
    pattern, client_id = asked.pattern, asked.client_id
    # Of another alphabet, codes to come may be of this pattern all the same: they count, too.
    shape = {name: part for name, part in pattern_json(pattern).items() if name != "alphabet"}
    bound = {"row_bytes": _ROW_BYTES_MIN, "client": client_id, "shape": json.dumps(shape)}
    found = session.execute(_AT_MOST, bound).one()
    most = capacity(pattern, existing=0, is_bearer=asked.is_bearer).room_for
    pending = int(found.pending)
    if found.codes + pending + asked.count <= most:
        return pending
    front, _mark, back = pattern.around("|" * pattern.random_length).partition(
        "|" * pattern.random_length
    )
    values = {
        "client": client_id,
        "length": pattern.characters,
        "front": front,
        "back": back,
        "random": pattern.random_length,
        "alphabet": pattern.alphabet,
        "enough": most + 1,
    }
    return pending + int(session.execute(_EXISTING, values).scalar_one())


def _spec(asked: Generation) -> dict[str, Any]:
    rules = told_rules(asked.rules)
    for name in ("starts_at", "expires_at"):
        rules[name] = rules[name] and rules[name].isoformat()
    limits = {name: getattr(asked, name) for name in ("max_uses", "max_uses_per_customer")}
    options = {"options": option_values(asked.options)}
    return {"pattern": pattern_json(asked.pattern), "rules": rules} | limits | options
