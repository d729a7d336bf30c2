"""The demo's seed may run twice, and its summary notices whatever is not as it must be."""

import csv
import io
from datetime import date

import psycopg
import pytest

from models.database import create_database_engine, scoped_transaction, sessions_of
from models.schema import migrate
from models.scope import PLATFORM, SYSTEM
from ops.demo import ids
from ops.demo.card_files import card_file
from ops.demo.seed import seed_demo
from ops.demo.seed_credit import CLIENT_MINOR
from ops.demo.seed_people import PEOPLE
from ops.demo.summary import EXPECTED, differences, outcome_of, seconds_of
from ops.proof import prove_at
from pipelines.access.demo_people import demo_people
from pipelines.credit.hold import payer_of
from pipelines.pools.card_rows import Card, CardRules, check_card
from pipelines.reconciliation.invariants import INVARIANTS

JOB = {
    "id": "job",
    "state": "partially_succeeded",
    "created_at": "2026-11-20T14:00:00Z",
    "finished_at": "2026-11-20T14:00:04Z",
    "counts": {
        "total": 1000,
        "pending": 0,
        "running": 0,
        "retrying": 0,
        "succeeded": 997,
        "failed": 1,
        "skipped": 2,
        "needs_review": 0,
        "cancelled": 0,
    },
    "sources": {"csv": 600, "buffer": 200, "api": 197},
    "money": {
        "currency": "USD",
        "held_minor": 0,
        "captured_minor": 2_492_500,
        "released_minor": 0,
    },
}
FAILURES = [{"code": "duplicate_recipient", "count": 2}, {"code": "invalid_email", "count": 1}]


@pytest.fixture
def urls(database):
    migrate(database.urls["largesse_owner"])
    return database.urls


def counts(urls):
    tables = "users agencies clients campaigns brands brand_routes prices vendor_accounts accounts transfers "
    tables += "books user_pools user_pool_members client_users"
    with psycopg.connect(urls["largesse_readonly"]) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in tables.split()
        }


def test_seeding_twice_is_seeding_once(urls):
    seed_demo(urls["largesse_worker"])
    first = counts(urls)

    seed_demo(urls["largesse_worker"])

    assert first == {
        "users": 8,
        "agencies": 1,
        "clients": 1,
        "campaigns": 1,
        "brands": 5,
        "brand_routes": 5,
        "prices": 1,
        "vendor_accounts": 4,
        "accounts": 2 * 7,
        "transfers": 2 * 3,
        "books": 4,
        "user_pools": 2,
        "user_pool_members": 5 + 2,
        "client_users": 3 + 3,
    }
    assert counts(urls) == first


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_the_demo_s_campaign_draws_on_its_client_s_credit(urls, currency):
    seed_demo(urls["largesse_worker"])
    engine = create_database_engine(urls["largesse_web"], pool_size=1)

    with scoped_transaction(sessions_of(engine), PLATFORM) as session:
        payer = payer_of(session, ids.CAMPAIGN, currency)
    engine.dispose()

    assert (payer.available, payer.held, payer.unlimited) == (CLIENT_MINOR, 0, False)


def test_the_seed_leaves_the_books_in_order(urls):
    seed_demo(urls["largesse_worker"])

    proof = prove_at(urls["largesse_readonly"]).as_json()

    assert proof["ok"] is True
    assert [finding["id"] for finding in proof["invariants"]] == [i.id for i in INVARIANTS]


def test_sec037_production_knows_everybody_whom_the_demo_brings(urls):
    seed_demo(urls["largesse_worker"])
    engine = create_database_engine(urls["largesse_web"], pool_size=1)

    with scoped_transaction(sessions_of(engine), SYSTEM) as session:
        (told,) = demo_people(session)
    engine.dispose()

    assert told.startswith(f"{len(PEOPLE)} demo users, whose passwords are known, can sign in.")


def test_a_card_file_has_as_many_different_good_cards_as_asked():
    rows = list(csv.DictReader(io.StringIO(card_file(50).decode())))
    rules = CardRules(today=date(2026, 11, 20), pin_required=True)

    assert len({row["card_number"] for row in rows}) == 50
    assert {len(row["card_number"]) for row in rows} == {16}
    assert all(isinstance(check_card(row, rules=rules), Card) for row in rows)
    assert card_file(1) != card_file(1)


def test_the_expected_end_of_the_demo_differs_in_nothing():
    outcome = outcome_of(JOB, FAILURES)

    assert outcome == EXPECTED
    assert differences(outcome) == []
    assert seconds_of(JOB) == 4.0


def test_each_difference_is_told():
    job = JOB | {"sources": {"csv": 599, "buffer": 200, "api": 197}}

    told = differences(outcome_of(job, [*FAILURES, {"code": "out_of_stock", "count": 1}]))

    assert told == ["from csv: expected 600, got 599", "out_of_stock: expected 0, got 1"]
