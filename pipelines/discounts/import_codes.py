"""Work a file of discount codes in: judge, insert; all of it in one transaction (S2-131, EC-024).

The verdict of a row that was taken is its code, in the batch of the job; rejected rows become items
of the job.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from models.locks import Namespace, wait_for_lock
from pipelines.discounts.batches import state_of_batch
from pipelines.discounts.code_rows import COLUMNS, NO_USER, CodeRow, check_row, of_codes
from pipelines.discounts.customers import Customer, KnownCustomer, known_customers
from pipelines.discounts.options import OPTION_LIST, OPTION_NAMES, OPTION_TYPES, option_values
from pipelines.discounts.read import IS_BEARER, masked
from pipelines.discounts.refusals import BatchArchived
from pipelines.discounts.stored_rules import RULE_LIST, RULE_NAMES, RULE_TYPES, rule_values
from pipelines.errors import FieldError
from pipelines.jobs.counted import AccountSuspended
from pipelines.jobs.file_rows import Judged, Named, Repeated, Writing, land, stage, table_of
from pipelines.jobs.imports import Landing, values_of
from pipelines.jobs.record_work import record_work
from pipelines.jobs.run_import import FileInHand, ImportKind
from pipelines.queue.kinds import IMPORT_DISCOUNTS

_JOB = text("""
SELECT j.id, j.state, j.agency_id, j.client_id, j.spec, j.submitted_by,
    l.suspended_at IS NOT NULL AS is_suspended
FROM jobs j JOIN clients l ON l.id = j.client_id
WHERE j.id = :job FOR NO KEY UPDATE OF j
""")
#: `same_as` is the code itself.
_TABLE = table_of(
    {
        "same_as": "text",
        "max_uses": "integer",
        "max_uses_per_customer": "integer",
        "assignee_keys": "bytea[]",
        "assigned_user_id": "uuid",
        **OPTION_TYPES,
        **RULE_TYPES,
    }
)
#: What a reject is called: its code, if it has one, as lists show it to who does not manage codes. It is
#: masked if the client's code of this text, or any row with it, is good once for whoever has it.
_SHOWN = masked(
    "same_as",
    unless=f"""same_as IS NULL OR NOT EXISTS (
        SELECT FROM file_rows c WHERE c.same_as = file_rows.same_as AND {IS_BEARER})
    AND NOT EXISTS (
        SELECT FROM discount_codes c
        WHERE c.client_id = :client AND c.code = file_rows.same_as AND {IS_BEARER})""",
)
_REPEATED = Repeated(code="duplicate_row", field="code", thing="code")
# Another client's code with the same text is another code, and is not looked for.
_KNOWN_ALREADY = text("""
UPDATE file_rows SET problem = 'code_exists', field = 'code',
    detail = 'The client has this code already.'
FROM discount_codes c
WHERE file_rows.problem IS NULL AND c.client_id = :client AND c.code = file_rows.same_as
""")
# In the order of the codes, as whoever else writes many; ids keep the order of the file.
_INSERT = text(f"""
INSERT INTO discount_codes (id, agency_id, client_id, batch_id, code, state, max_uses,
    max_uses_per_customer, assignee_keys, assigned_user_id, {OPTION_LIST}, created_by)
SELECT id, :agency, :client, :job, same_as, :state, max_uses, max_uses_per_customer,
    assignee_keys, assigned_user_id, {OPTION_LIST}, :actor
FROM file_rows WHERE problem IS NULL ORDER BY same_as
""")
_INSERT_RULES = text(f"""
INSERT INTO discount_rules (code_id, version, agency_id, client_id, {RULE_LIST}, created_by)
SELECT id, 1, :agency, :client, {RULE_LIST}, :actor
FROM file_rows WHERE problem IS NULL
""")


def _hold(session: Session, job: Row[Any]) -> None:
    wait_for_lock(session, Namespace.DISCOUNT_IMPORT, str(job.client_id))


def _work(session: Session, file: FileInHand) -> Landing:
    job = file.job
    state = state_of_batch(session, job.id)
    if job.is_suspended:
        raise AccountSuspended
    if state is CodeState.ARCHIVED:
        raise BatchArchived
    judge = partial(_judged, session, file)
    stage(session, _TABLE, file.rows(COLUMNS, of_codes(file.limits)), judge)
    values = values_of(job) | {"actor": job.submitted_by, "state": state.value}
    writing = Writing((_INSERT, _INSERT_RULES), values, "uq_discount_codes_code", _SHOWN)
    return land(session, job, _REPEATED, _KNOWN_ALREADY, writing)


def _judged(session: Session, file: FileInHand, rows: Sequence[Named]) -> Sequence[Judged]:
    """Each code as it will be, or the first thing that is wrong with it; whom they name is asked once."""
    read = [check_row(row.cells) for row, _identity in rows]
    assigned = [one for one in read if isinstance(one, CodeRow) and one.is_assigned]
    named = [
        Customer(one.assigned_user_id, one.assigned_email, one.assigned_external_id)
        for one in assigned
    ]
    people = iter(known_customers(session, file.job.client_id, named, file.person_secret))
    return [
        one
        if isinstance(one, FieldError)
        else _columns(one, next(people) if one.is_assigned else None)
        for one in read
    ]


def _columns(read: CodeRow, assignee: KnownCustomer | None) -> Judged:
    if assignee is None and read.is_assigned:
        return FieldError(NO_USER.code, NO_USER.detail, field="assigned_user_id")
    rules, options = rule_values(read.rules), option_values(read.options)
    return (
        read.code,
        read.max_uses,
        read.max_uses_per_customer,
        assignee and list(assignee.keys),
        assignee and assignee.user_id,
        *(options[name] for name in OPTION_NAMES),
        *(rules[name] for name in RULE_NAMES),
    )


def _tell(session: Session, job: Row[Any], landing: Landing) -> None:
    if landing.succeeded:
        record_work(
            session,
            "discount_batch.imported",
            job,
            object_kind="discount_batch",
            object_id=job.id,
            detail={"codes": landing.succeeded, "refused": landing.failed},
        )


DISCOUNTS = ImportKind(
    IMPORT_DISCOUNTS, _work, "discounts.imported", job=_JOB, hold=_hold, tell=_tell
)
