"""What a chunk reads grows with the chunk, never with its job, the stock or what was given before.

Whatever the planner believes: its statistics are from when every table was empty, as they are in
the minutes after a large file came in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import client
from models.tables import CLASSES
from ops.bootstrap import database_url
from pipelines.jobs.control import cancel_job
from pipelines.jobs.read import list_jobs
from pipelines.provisioning.effects import OpenItem, job_in_hand
from pipelines.provisioning.order_list import list_orders
from pipelines.provisioning.orders import routes_tried
from pipelines.queue.handlers import Handler, InTransaction
from pipelines.queue.kinds import PLACE_ORDER, RUN_CHUNK, RUN_SINGLE, TaskKind
from pipelines.queue.work import TaskInHand
from pipelines.wiring import House, build_handlers
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, submit, view
from tests.emptied import own_database
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import ask_card, ask_undo
from tests.workers.tasks import wrapper_with

CHUNK = 500
CHUNKS = 8
ITEMS = CHUNKS * CHUNK
#: Each statement looks at each of its rows once or twice, by one index or two.
READS_PER_CHUNK_MAX = 8 * CHUNK
TABLES = (
    *("jobs", "chunks", "items", "cards", "provisions", "provider_orders"),
    *("holds", "postings", "transfers", "audit_entries"),
)

_READS = text("""
SELECT c.relname AS name, pg_stat_get_xact_tuples_returned(c.oid)
    + CASE c.relkind WHEN 'r' THEN pg_stat_get_xact_tuples_fetched(c.oid) ELSE 0 END AS reads
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE coalesce(i.indrelid, c.oid) = ANY (CAST(:tables AS regclass[]))
""")


@dataclass
class Reads:
    """The most that any task read of a table or of an index."""

    most: dict[str, int] = field(default_factory=dict)
    chunks: int = 0

    def note(self, before: dict[str, int], after: dict[str, int]) -> None:
        self.chunks += 1
        for name, reads in after.items():
            self.most[name] = max(self.most.get(name, 0), reads - before[name])

    def too_many(self, most: int = READS_PER_CHUNK_MAX) -> dict[str, int]:
        return {name: reads for name, reads in self.most.items() if reads > most}


def reads_so_far(session: Session) -> dict[str, int]:
    """Of this connection, since it last told the server's statistics."""
    found = session.execute(_READS, {"tables": list(TABLES)})
    return {row.name: row.reads for row in found}


@pytest.fixture(params=["nothing", "strangers"])
def database(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Database]:
    """Its statistics know nothing, or only a small job of another tenant; they never change."""
    with own_database(ground) as made:
        with psycopg.connect(database_url(made.admin_url, made.name), autocommit=True) as admin:
            for name in CLASSES:
                table = sql.Identifier(name)
                admin.execute(
                    sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(table)
                )
            if request.param == "strangers":
                with a_house(ground, made) as house:
                    strangers(house)
            admin.execute("ANALYZE")
        yield made


def strangers(house: House) -> None:
    """A job of another tenant, half of it undone."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(20))
    for _job in range(2):
        job_id = submit(house, seeded, recipients_csv(10), allow_repeat=True)
        drain(house)
    ask_undo(house, seeded, job_id)
    drain(house)


def work(house: House, kind: TaskKind = RUN_CHUNK) -> Reads:
    """Do everything that is due but the calls to vendors; what each task of the kind read."""
    reads = Reads()
    ours = cast(InTransaction, build_handlers(house).by_name[kind.name].run)

    def measured(session: Session, task: TaskInHand, now: datetime) -> None:
        before = reads_so_far(session)
        ours(session, task, now)
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))  # as the commit will
        reads.note(before, reads_so_far(session))

    unsent = Handler(PLACE_ORDER, lambda _sessions, _task: None)
    drain(house, wrapper=wrapper_with(house, Handler(kind, measured), unsent))
    return reads


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, credit_minor=10 * ITEMS * 2500)


def test_chunks_served_from_a_pool_and_taken_back(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(ITEMS))
    job_id = submit(house, seeded, recipients_csv(ITEMS))

    given = work(house)

    assert view(house, job_id)["counts"]["succeeded"] == ITEMS
    assert (given.chunks, given.too_many()) == (CHUNKS, {})

    undo_id = ask_undo(house, seeded, job_id).resource_id
    taken_back = work(house)

    assert view(house, undo_id)["counts"]["succeeded"] == ITEMS
    assert (taken_back.chunks, taken_back.too_many()) == (CHUNKS, {})
    assert_proven(house)


def test_chunks_that_go_to_a_vendor_and_are_cancelled(house: House, seeded: Seeded) -> None:
    job_id = submit(house, seeded, recipients_csv(ITEMS))

    ordered = work(house)

    assert view(house, job_id)["counts"]["running"] == ordered.chunks * CHUNK
    assert (ordered.chunks, ordered.too_many()) == (house.limits.chunks_released_max, {})

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
    given_up = work(house)

    assert (given_up.chunks, given_up.too_many()) == (0, {})


#: A client's earlier requests for one card each: what they leave behind, in every table but items.
_HISTORY = """
SET session_replication_role = replica;
CREATE TEMP TABLE past AS SELECT gen_random_uuid() AS job, gen_random_uuid() AS transfer, n
    FROM generate_series(1, 20000) n;
INSERT INTO jobs (id, kind, agency_id, client_id, campaign_id, state, spec, total, currency,
        is_single, started_at, finished_at, retain_until)
    SELECT job, 'provisioning', %(agency)s, %(client)s, %(campaign)s, 'succeeded', '{}', 1, 'USD',
        true, now(), now(), now() FROM past;
INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency, amount, captured,
        state, closed_at)
    SELECT gen_random_uuid(), %(agency)s, %(client)s, %(account)s, job, 1, 'USD', 2500, 2500,
        'closed', now() FROM past;
INSERT INTO transfers (id, agency_id, client_id, kind, client_ref, amount, currency, job_id)
    SELECT transfer, %(agency)s, %(client)s, 'capture', transfer, 2500, 'USD', job FROM past;
INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount, currency,
        balance_after)
    SELECT transfer, %(account)s, %(agency)s, %(client)s, side, 'USD', 0
    FROM past, unnest(ARRAY[-2500, 2500]) side;
INSERT INTO provider_orders (id, agency_id, client_id, job_id, position, brand_id, vendor, product,
        face_value_minor, currency, state)
    SELECT gen_random_uuid(), %(agency)s, %(client)s, job, 1, %(brand)s, 'reloadly', '120', 2500,
        'USD', 'refused' FROM past;
"""


def test_a_single_request_of_a_client_with_a_long_past(
    house: House, seeded: Seeded, database: Database
) -> None:
    """What the ledger, the holds and the orders keep of it is not read again."""
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    with psycopg.connect(database_url(database.admin_url, database.name), autocommit=True) as admin:
        cursor = psycopg.ClientCursor(admin)
        cursor.execute(
            _HISTORY,
            {
                "agency": seeded.agency_id,
                "client": seeded.client_id,
                "campaign": seeded.campaign_id,
                "account": seeded.client_account,
                "brand": seeded.brand_id,
            },
        )
        admin.execute("ANALYZE")
    for _request in range(4):  # three cards, and one to order
        ask_card(house, seeded)
    hasten(house)  # who accepts a request rings for it

    asked = work(house, RUN_SINGLE)

    assert (asked.chunks, asked.too_many(100)) == (4, {})
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        before = reads_so_far(session)
        (order,) = list_orders(session, state="created", before=None, limit=50)
        list_jobs(session, kind=None, state=None, campaign_id=None, before=None, limit=50)
        job, _state = job_in_hand(session, order.job_id)
        item = OpenItem(1, seeded.brand_id, 2500, 2500, None, 1)
        assert routes_tried(session, job, item) == frozenset()
        after = reads_so_far(session)
    looked = {name: after[name] - before[name] for name in after}
    assert {name: reads for name, reads in looked.items() if reads > 500} == {}
