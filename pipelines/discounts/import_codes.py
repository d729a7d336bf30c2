"""Work a file of discount codes in: judge, insert; all of it in one transaction (S2-131, EC-024).

The verdict of a row that was taken is its code, in the batch of the job; rejected rows become items
of the job.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TypeGuard, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_ids
from models.discounts import CodeState
from models.jobs import JobState
from models.locks import Namespace, wait_for_lock
from pipelines.audit.record import record
from pipelines.discounts.batches import state_of_batch
from pipelines.discounts.code_rows import COLUMNS, NO_USER, CodeRow, check_row, of_codes
from pipelines.discounts.customers import Customer, KnownCustomer, known_customers
from pipelines.discounts.options import (
    OPTION_LIST,
    OPTION_NAMES,
    OPTIONS_DECLARED,
    option_values,
)
from pipelines.discounts.refusals import BatchArchived
from pipelines.discounts.stored_rules import RULE_LIST, RULE_NAMES, RULES_DECLARED, rule_values
from pipelines.errors import Fault, FieldError, Refusal
from pipelines.jobs.copying import BATCH_ROWS, copy_rows
from pipelines.jobs.counted import AccountSuspended
from pipelines.jobs.csv_reader import CsvRow, CsvRowError, open_csv
from pipelines.jobs.imports import (
    CANCELLED,
    Landing,
    end_import,
    file_refused,
    given_up,
    is_refused_for_rows,
    landed,
    rows_refused,
)
from pipelines.jobs.states import ENDED
from pipelines.jobs.stored_input import StoredInput
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Somebody may make the same code between the look and the insert, but not again and again.
LOOKS_MAX = 3

_JOB = text("""
SELECT j.id, j.state, j.agency_id, j.client_id, j.spec, j.submitted_by,
    l.suspended_at IS NOT NULL AS is_suspended
FROM jobs j JOIN clients l ON l.id = j.client_id
WHERE j.id = :job FOR NO KEY UPDATE OF j
""")
_CREATE = text(f"""
CREATE TEMPORARY TABLE discount_intake (
    row_number integer NOT NULL, id uuid, code text, max_uses integer,
    max_uses_per_customer integer, {OPTIONS_DECLARED}, assignee_keys bytea[],
    assigned_user_id uuid, {RULES_DECLARED}, problem text, detail text, field text) ON COMMIT DROP
""")
_COPY = (
    f"COPY discount_intake (row_number, id, code, max_uses, max_uses_per_customer, {OPTION_LIST}, "
    f"assignee_keys, assigned_user_id, {RULE_LIST}, problem, detail, field) FROM STDIN"
)
_INDEX = text("CREATE INDEX ON discount_intake (code)")
_REPEATED_IN_FILE = text("""
UPDATE discount_intake SET problem = 'duplicate_row', field = 'code',
    detail = 'The same code stands in row ' || f.first_row || '.'
FROM (SELECT row_number, min(row_number) OVER (PARTITION BY code) AS first_row
      FROM discount_intake WHERE problem IS NULL) f
WHERE discount_intake.row_number = f.row_number AND f.first_row < f.row_number
""")
# Another client's code with the same text is another code, and is not looked for.
_KNOWN_ALREADY = text("""
UPDATE discount_intake SET problem = 'code_exists', field = 'code',
    detail = 'The client has this code already.'
FROM discount_codes c
WHERE discount_intake.problem IS NULL AND c.client_id = :client AND c.code = discount_intake.code
""")
_TALLY = text("""
SELECT count(*) AS rows, count(*) FILTER (WHERE problem IS NOT NULL) AS rejected
FROM discount_intake
""")
# In the order of the codes, as whoever else writes many; ids keep the order of the file.
_INSERT = text(f"""
INSERT INTO discount_codes (id, agency_id, client_id, batch_id, code, state, max_uses,
    max_uses_per_customer, {OPTION_LIST}, assignee_keys, assigned_user_id, created_by)
SELECT id, :agency, :client, :job, code, :state, max_uses, max_uses_per_customer, {OPTION_LIST},
    assignee_keys, assigned_user_id, :actor
FROM discount_intake WHERE problem IS NULL ORDER BY code
ON CONFLICT (client_id, code) DO NOTHING
""")
_INSERT_RULES = text(f"""
INSERT INTO discount_rules (code_id, version, agency_id, client_id, {RULE_LIST}, created_by)
SELECT id, 1, :agency, :client, {RULE_LIST}, :actor
FROM discount_intake WHERE problem IS NULL
""")
_REJECTS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field)
SELECT :job, row_number, 1, :agency, :client, 'failed', problem, detail, field
FROM discount_intake WHERE problem IS NOT NULL
""")
_Assignees = Sequence[KnownCustomer | None]
_NOTHING = (None,) * (6 + len(OPTION_NAMES) + len(RULE_NAMES))


class CodesMoved(Fault):
    """Codes of the file were made elsewhere while it was worked in, more than once."""


def import_discounts(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    keyring: Keyring,
    person_secret: bytes,
    limits: Limits,
) -> None:
    """The work of IMPORT_DISCOUNTS. With `on_error=abort` one bad row means that nothing is kept."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    if JobState(job.state) in ENDED:
        return
    if job.state == JobState.CANCELLING:
        _end(session, job, CANCELLED, now)
        return
    wait_for_lock(session, Namespace.DISCOUNT_IMPORT, str(job.client_id))
    savepoint = session.begin_nested()
    try:
        state = state_of_batch(session, job.id)
        if job.is_suspended:
            raise AccountSuspended
        if state is CodeState.ARCHIVED:
            raise BatchArchived
        _stage(session, job, keyring, person_secret, limits)
        landing = _land(session, job, state)
        savepoint.commit()
    except Refusal as why:
        savepoint.rollback()
        landing = file_refused(why.code, why.detail)
    _end(session, job, landing, now)


def give_up_discounts(session: Session, task: TaskInHand, now: datetime) -> None:
    """An import that keeps failing ends `failed internal_error` with nothing imported."""
    end_import(session, UUID(task.args["job_id"]), given_up("nothing was kept"), now)


def _stage(
    session: Session, job: Row[Any], keyring: Keyring, person_secret: bytes, limits: Limits
) -> None:
    """Every row with its code or its problem; raises what is wrong with the file as a whole."""
    session.execute(_CREATE)
    stored = cast(BinaryIO, StoredInput(session, job.id, keyring, purpose=Purpose.CODES))
    file = iter(open_csv(stored, columns=COLUMNS, limits=of_codes(limits)))
    people = partial(_assignees, session, job.client_id, person_secret)
    copy_rows(session, _COPY, _rows(file, people))
    session.execute(_INDEX)
    session.execute(_REPEATED_IN_FILE)


def _rows(
    rows: Iterator[CsvRow | CsvRowError], people: Callable[[Sequence[CodeRow]], _Assignees]
) -> Iterator[tuple[Any, ...]]:
    """Rows of `discount_intake`: the code as it will be, or only what is wrong with the row."""
    while batch := list(islice(rows, BATCH_ROWS)):
        read = [
            check_row(row.cells)
            if isinstance(row, CsvRow)
            else FieldError(row.code, row.detail, field=row.column)
            for row in batch
        ]
        assignees = iter(people([one for one in read if _is_assigned(one)]))
        for row, one, identity in zip(batch, read, new_ids(len(batch)), strict=True):
            assignee = next(assignees) if _is_assigned(one) else None
            if isinstance(one, FieldError):
                yield row.number, *_NOTHING, one.code, one.detail, one.field
            elif assignee is None and one.is_assigned:
                yield row.number, *_NOTHING, NO_USER.code, NO_USER.detail, "assigned_user_id"
            else:
                yield row.number, identity, *_columns(one, assignee), None, None, None


def _is_assigned(read: CodeRow | FieldError) -> TypeGuard[CodeRow]:
    return isinstance(read, CodeRow) and read.is_assigned


def _assignees(
    session: Session, client_id: UUID, person_secret: bytes, rows: Sequence[CodeRow]
) -> _Assignees:
    """Whom each of these codes is for; None for an id of nobody."""
    named = [
        Customer(one.assigned_user_id, one.assigned_email, one.assigned_external_id) for one in rows
    ]
    return known_customers(session, client_id, named, person_secret)


def _columns(read: CodeRow, assignee: KnownCustomer | None) -> tuple[Any, ...]:
    rules, options = rule_values(read.rules), option_values(read.options)
    return (
        read.code,
        read.max_uses,
        read.max_uses_per_customer,
        *(options[name] for name in OPTION_NAMES),
        assignee and list(assignee.keys),
        assignee and assignee.user_id,
        *(rules[name] for name in RULE_NAMES),
    )


def _land(session: Session, job: Row[Any], state: CodeState) -> Landing:
    """Insert what is good, list what is not, and say how the job ends."""
    values = {
        "job": job.id,
        "agency": job.agency_id,
        "client": job.client_id,
        "actor": job.submitted_by,
        "state": state.value,
    }
    for _ in range(LOOKS_MAX):
        session.execute(_KNOWN_ALREADY, values)
        tally = session.execute(_TALLY).one()
        good = tally.rows - tally.rejected
        if is_refused_for_rows(job, tally.rejected):
            session.execute(_REJECTS, values)
            return rows_refused(good, failed=tally.rejected, nothing="nothing was imported")
        if _insert(session, values, good):
            session.execute(_REJECTS, values)
            return landed(good, failed=tally.rejected)
    raise CodesMoved


def _insert(session: Session, values: dict[str, Any], good: int) -> bool:
    """Insert every good row; if one finds its code taken, none is."""
    savepoint = session.begin_nested()
    done: Any = session.execute(_INSERT, values)
    if done.rowcount < good:
        savepoint.rollback()
        return False
    session.execute(_INSERT_RULES, values)
    savepoint.commit()
    return True


def _end(session: Session, job: Row[Any], landing: Landing, now: datetime) -> None:
    end_import(session, job.id, landing, now)
    if landing.succeeded:
        record(
            session,
            "discount_batch.imported",
            object_kind="discount_batch",
            object_id=job.id,
            actor_id=job.submitted_by,
            agency_id=job.agency_id,
            client_id=job.client_id,
            job_id=job.id,
            detail={"codes": landing.succeeded, "refused": landing.failed},
        )
    log.info("discounts.imported", job_id=str(job.id), rows=landing.total, made=landing.succeeded)
