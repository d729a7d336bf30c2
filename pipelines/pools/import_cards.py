"""Work a card file in: judge, seal, find duplicates, insert; all of it in one transaction.

The verdict of an imported row is the card itself (`cards.import_job_id`); rejected rows become
items of the job, so that nothing is echoed and 100,000 good cards do not write twice.
"""

from functools import partial
from itertools import starmap
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock
from pipelines.errors import FieldError
from pipelines.jobs.csv_reader import CsvRow
from pipelines.jobs.file_rows import Repeated, Writing, land, stage, table_of
from pipelines.jobs.imports import Landing, values_of
from pipelines.jobs.kinds import OnError
from pipelines.jobs.run_import import FileInHand, ImportKind
from pipelines.jobs.stored_input import Tenant
from pipelines.pools.batches import free_file, keep_batch
from pipelines.pools.card_rows import COLUMNS, Card, CardRules, check_card
from pipelines.queue.kinds import IMPORT_CARDS
from pipelines.sealing import Keyring, Purpose, masked

_JOB = text("""
SELECT j.id, j.state, j.agency_id, j.client_id, j.spec, p.id AS pool_id, p.brand_id,
       p.denomination_minor, p.currency, p.kind, p.cost_per_card_minor, p.client_id AS pool_client
FROM jobs j JOIN card_pools p ON p.id = CAST(j.spec->>'pool_id' AS uuid)
WHERE j.id = :job FOR NO KEY UPDATE OF j
""")
#: The same card is the same to its blind index.
_TABLE = table_of(
    {
        "sealed_number": "bytea",
        "sealed_pin": "bytea",
        "same_as": "bytea",
        "last4": "text",
        "expires_on": "date",
        "cost_minor": "bigint",
    }
)
_REPEATED = Repeated(code="duplicate_card", field="card_number", thing="card")
# Any pool of the platform counts; a row elsewhere is named to its owner alone (B52, EC-069).
_KNOWN_ALREADY = text("""
UPDATE file_rows SET problem = 'duplicate_card', field = 'card_number',
    detail = 'This card is known already'
        || coalesce(': batch #' || b.number || ', row ' || c.import_row, '') || '.'
FROM cards c LEFT JOIN card_batches b ON b.id = c.import_job_id
    AND (CAST(:pool_client AS uuid) IS NULL OR b.client_id = CAST(:pool_client AS uuid))
WHERE file_rows.problem IS NULL AND c.brand_id = :brand AND c.blind_index = file_rows.same_as
""")
_INSERT = text("""
INSERT INTO cards (id, pool_id, client_id, brand_id, denomination_minor, currency, source,
    sealed_number, sealed_pin, blind_index, last4, expires_on, cost_minor, cost_currency,
    import_job_id, import_row)
SELECT id, :pool, :pool_client, :brand, :denomination, :currency, :source, sealed_number,
    sealed_pin, same_as, last4, coalesce(expires_on, '2099-12-31'), cost_minor,
    CASE WHEN cost_minor IS NULL THEN NULL ELSE CAST(:currency AS text) END, :job,
    row_number
FROM file_rows WHERE problem IS NULL ORDER BY row_number
""")


def _hold(session: Session, job: Row[Any]) -> None:
    # A front that knew no batches may have accepted it.
    tenant = Tenant(job.agency_id, job.client_id)
    keep_batch(session, job.id, pool_id=job.pool_id, tenant=tenant)
    wait_for_lock(session, Namespace.CARD_IMPORT, str(job.brand_id))


def _work(session: Session, file: FileInHand) -> Landing:
    job = file.job
    rules = CardRules(
        today=file.now.date(),
        refuse_damage=OnError(job.spec["on_error"]) is OnError.ABORT,
        default_cost_minor=job.cost_per_card_minor,
    )
    columns = partial(_columns, rules=rules, job=job, keyring=file.keyring)
    stage(session, _TABLE, file.rows(COLUMNS), lambda rows: list(starmap(columns, rows)))
    values = values_of(job) | {
        "pool": job.pool_id,
        "pool_client": job.pool_client,
        "brand": job.brand_id,
        "denomination": job.denomination_minor,
        "currency": job.currency,
        "source": job.kind,
    }
    writing = Writing((_INSERT,), values, "uq_cards_brand_id_blind_index")
    return land(session, job, _REPEATED, _KNOWN_ALREADY, writing)


def _columns(
    row: CsvRow, identity: str, *, rules: CardRules, job: Row[Any], keyring: Keyring
) -> tuple[Any, ...] | FieldError:
    """The sealed card, or the first thing that is wrong with it."""
    card = check_card(row.cells, rules=rules, row=row.number)
    if not isinstance(card, Card):
        return card[0]
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
    return sealed, pin, index, masked(number)[-4:], card.expires_on, card.cost_minor


def _tell(session: Session, job: Row[Any], landing: Landing) -> None:
    if landing.succeeded == 0:
        free_file(session, job.id)


CARDS = ImportKind(IMPORT_CARDS, _work, "cards.imported", job=_JOB, hold=_hold, tell=_tell)
