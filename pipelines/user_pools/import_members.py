"""Work a file of people into a pool: judge, make known, add; all of it in one transaction.

The verdict of a row that went in is the member; rows that did not become items of the job, so that
100,000 good rows do not write twice.
"""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import Refusal
from pipelines.jobs.csv_reader import CsvRowError, CsvTable
from pipelines.jobs.imports import Landing, is_refused_for_rows, landed, rows_refused, values_of
from pipelines.jobs.run_import import FileInHand, ImportKind
from pipelines.queue.kinds import IMPORT_MEMBERS
from pipelines.sealing import Purpose
from pipelines.user_pools.member_rows import COLUMNS, check_member
from pipelines.user_pools.pools import audit_pool, hold_open_pool
from pipelines.user_pools.staging import (
    Entry,
    Place,
    add_good,
    judge,
    make_known,
    stage,
)

_LEFT_OUT = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field,
    email, reference, name)
SELECT :job, position, 1, :agency, :client, v.state, v.code, v.detail, v.field, i.email,
    i.external_id, nullif(i.name, '')
FROM pool_verdicts v JOIN pool_intake i USING (position) WHERE v.state IS NOT NULL
""")
#: What became of the good rows of a file that went wrong.
_NOTHING = "nobody was added"


class _NobodyMade(Refusal):
    """Two rows turned out to be of one person only when people were made: nothing is kept."""

    code = "rows_refused"
    detail = "Rows give one person several identifiers. Send them in files of their own."


def _work(session: Session, file: FileInHand) -> Landing:
    """Add whom the good rows name, list the others, and say how the job ends."""
    job = file.job
    stage(session, _entries(file.rows(COLUMNS)))
    pool = hold_open_pool(session, UUID(job.spec["pool_id"]))
    place, makes = Place(pool.id, pool.agency_id, pool.client_id), job.spec["create_missing"]
    tally = judge(session, place, makes=makes)
    new = tally.new
    is_refused = is_refused_for_rows(job, tally.failed)
    if makes and not is_refused:
        make_known(session, place)
        tally = judge(session, place, makes=False)
        if is_refused_for_rows(job, tally.failed):
            raise _NobodyMade
    session.execute(_LEFT_OUT, values_of(job))
    if is_refused:
        return rows_refused(
            tally.good, failed=tally.failed, skipped=tally.skipped, nothing=_NOTHING
        )
    add_good(session, place, actor_id=job.submitted_by)
    told = {"added": tally.good, "new_people": new}
    audit_pool(session, "user_pool.members_added", pool, job.submitted_by, told)
    return landed(tally.good, failed=tally.failed, skipped=tally.skipped)


def _entries(table: CsvTable) -> Iterator[Entry]:
    for row in table:
        if isinstance(row, CsvRowError):
            yield Entry(row.number, row.as_field_error())
            continue
        shown = (row.cells.get(name) for name in ("email", "external_id", "name"))
        yield Entry(row.number, check_member(row.cells), *shown)


MEMBERS = ImportKind(IMPORT_MEMBERS, _work, "members.imported", Purpose.PII, nothing=_NOTHING)
