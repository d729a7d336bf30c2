"""Work a card file in: judge, seal, find duplicates, insert; all of it in one transaction.

The verdict of an imported row is the card itself (`cards.import_job_id`); rejected rows become
items of the job, so that nothing is echoed and 100,000 good cards do not write twice.
"""

from datetime import datetime
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import JobState
from models.locks import Namespace, wait_for_lock
from pipelines.errors import Refusal
from pipelines.jobs.copying import copy_rows
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
from pipelines.jobs.kinds import OnError
from pipelines.jobs.states import ENDED
from pipelines.jobs.stored_input import StoredInput, Tenant
from pipelines.limits import Limits
from pipelines.pools.batches import free_file, keep_batch
from pipelines.pools.card_rows import COLUMNS, Card, CardRules, check_card
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose, masked
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("""
SELECT j.id, j.state, j.agency_id, j.client_id, j.spec, p.id AS pool_id, p.brand_id,
       p.denomination_minor, p.currency, p.kind, p.cost_per_card_minor, p.client_id AS pool_client
FROM jobs j JOIN card_pools p ON p.id = CAST(j.spec->>'pool_id' AS uuid)
WHERE j.id = :job FOR NO KEY UPDATE OF j
""")
_CREATE = text("""
CREATE TEMPORARY TABLE card_intake (
    row_number integer NOT NULL, id uuid, sealed_number bytea, sealed_pin bytea,
    blind_index bytea, last4 text, expires_on date, cost_minor bigint,
    code text, detail text, field text) ON COMMIT DROP
""")
_COPY = (
    "COPY card_intake (row_number, id, sealed_number, sealed_pin, blind_index, last4, "
    "expires_on, cost_minor, code, detail, field) FROM STDIN"
)
_REPEATED_IN_FILE = text("""
UPDATE card_intake SET code = 'duplicate_card', field = 'card_number',
    detail = 'The same card stands in row ' || f.first_row || '.'
FROM (SELECT row_number, min(row_number) OVER (PARTITION BY blind_index) AS first_row
      FROM card_intake WHERE code IS NULL) f
WHERE card_intake.row_number = f.row_number AND f.first_row < f.row_number
""")
# Any pool of the platform counts; a row elsewhere is named to its owner alone (B52, EC-069).
_KNOWN_ALREADY = text("""
UPDATE card_intake SET code = 'duplicate_card', field = 'card_number',
    detail = 'This card is known already'
        || coalesce(': batch #' || b.number || ', row ' || c.import_row, '') || '.'
FROM cards c LEFT JOIN card_batches b ON b.id = c.import_job_id
    AND (CAST(:pool_client AS uuid) IS NULL OR b.client_id = CAST(:pool_client AS uuid))
WHERE card_intake.code IS NULL AND c.brand_id = :brand AND c.blind_index = card_intake.blind_index
""")
_INSERT = text("""
INSERT INTO cards (id, pool_id, client_id, brand_id, denomination_minor, currency, source,
    sealed_number, sealed_pin, blind_index, last4, expires_on, cost_minor, cost_currency,
    import_job_id, import_row)
SELECT id, :pool, :pool_client, :brand, :denomination, :currency, :source, sealed_number,
    sealed_pin, blind_index, last4, coalesce(expires_on, '2099-12-31'), cost_minor,
    CASE WHEN cost_minor IS NULL THEN NULL ELSE CAST(:currency AS text) END, :job,
    row_number
FROM card_intake WHERE code IS NULL ORDER BY row_number
""")
_REJECTS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field)
SELECT :job, row_number, 1, :agency, :client, 'failed', code, detail, field
FROM card_intake WHERE code IS NOT NULL
""")
_TALLY = text("""
SELECT count(*) AS rows, count(*) FILTER (WHERE code IS NOT NULL) AS rejected FROM card_intake
""")


def import_cards(
    session: Session, task: TaskInHand, now: datetime, *, keyring: Keyring, limits: Limits
) -> None:
    """The work of IMPORT_CARDS. With `on_error=abort` one bad row means that nothing is kept."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    if JobState(job.state) in ENDED:
        return
    if job.state == JobState.CANCELLING:
        _end(session, job, CANCELLED, now)
        return
    tenant = Tenant(job.agency_id, job.client_id)
    # A front that knew no batches may have accepted it.
    keep_batch(session, job.id, pool_id=job.pool_id, tenant=tenant)
    wait_for_lock(session, Namespace.CARD_IMPORT, str(job.brand_id))
    savepoint = session.begin_nested()
    try:
        _stage(session, job, now, keyring, limits)
        landing = _land(session, job)
        savepoint.commit()
    except Refusal as refusal:
        savepoint.rollback()
        landing = file_refused(refusal.code, refusal.detail)
    _end(session, job, landing, now)
    log.info(
        "cards.imported",
        job_id=str(job.id),
        rows=landing.total,
        imported=landing.succeeded,
        state=landing.state.value,
    )


def _stage(
    session: Session, job: Row[Any], now: datetime, keyring: Keyring, limits: Limits
) -> None:
    on_error = OnError(job.spec["on_error"])
    rules = CardRules(
        today=now.date(),
        refuse_damage=on_error is OnError.ABORT,
        default_cost_minor=job.cost_per_card_minor,
    )
    session.execute(_CREATE)
    stored = cast(BinaryIO, StoredInput(session, job.id, keyring, purpose=Purpose.CODES))
    table = open_csv(stored, columns=COLUMNS, limits=limits)
    columns = (_columns(row, rules, job, keyring) for row in table)
    copy_rows(session, _COPY, columns)
    session.execute(_REPEATED_IN_FILE)
    session.execute(_KNOWN_ALREADY, {"brand": job.brand_id, "pool_client": job.pool_client})


def _columns(
    row: CsvRow | CsvRowError, rules: CardRules, job: Row[Any], keyring: Keyring
) -> tuple[Any, ...]:
    """A row of `card_intake`: the sealed card, or only what is wrong with it."""
    if isinstance(row, CsvRowError):
        return (row.number, *_NO_CARD, row.code, row.detail, row.column)
    card = check_card(row.cells, rules=rules, row=row.number)
    if not isinstance(card, Card):
        first = card[0]
        return (row.number, *_NO_CARD, first.code, first.detail, first.field)
    identity = new_id()
    number = card.number.reveal()
    sealed = keyring.seal(
        Purpose.CODES, number, table="cards", row_id=identity, column="sealed_number"
    )
    pin = (
        keyring.seal(Purpose.PINS, card.pin, table="cards", row_id=identity, column="sealed_pin")
        if card.pin
        else None
    )
    index = keyring.blind_index(number, scope=job.brand_id.bytes)
    return (
        row.number,
        identity,
        sealed,
        pin,
        index,
        masked(number)[-4:],
        card.expires_on,
        card.cost_minor,
        None,
        None,
        None,
    )


_NO_CARD = (None,) * 7


def _land(session: Session, job: Row[Any]) -> Landing:
    """Insert what is good, list what is not, and say how the job ends."""
    values = {
        "job": job.id,
        "agency": job.agency_id,
        "client": job.client_id,
        "pool": job.pool_id,
        "pool_client": job.pool_client,
        "brand": job.brand_id,
        "denomination": job.denomination_minor,
        "currency": job.currency,
        "source": job.kind,
    }
    tally = session.execute(_TALLY).one()
    session.execute(_REJECTS, values)
    good = tally.rows - tally.rejected
    if is_refused_for_rows(job, tally.rejected):
        return rows_refused(good, failed=tally.rejected, nothing="nothing was imported")
    session.execute(_INSERT, values)
    return landed(good, failed=tally.rejected)


def _end(session: Session, job: Row[Any], landing: Landing, now: datetime) -> None:
    end_import(session, job.id, landing, now)
    if landing.succeeded == 0:
        free_file(session, job.id)


def give_up_import(session: Session, task: TaskInHand, now: datetime) -> None:
    """An import that keeps failing ends `failed internal_error` with nothing imported."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    _end(session, job, given_up("nothing was kept"), now)
