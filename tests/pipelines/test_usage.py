"""Usage by day is exact whenever it is read: each card once, undone ones taken off (S4-015, S4-044, S4-047)."""

from datetime import UTC, datetime

import psycopg

from models.database import scoped_transaction
from models.schema import MIGRATIONS
from models.scope import SYSTEM, agency, client
from ops.bootstrap import database_url
from pipelines.tenants.glance import campaigns_at_a_glance, clients_at_a_glance
from pipelines.usage.add_up import add_up
from pipelines.usage.read import Issued, issued_by_day
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded, seed
from tests.undoing import undo


def issue(house: House, cards: int) -> Seeded:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(cards))
    submit(house, seeded, recipients_csv(cards))
    drain(house)
    return seeded


def read(house: House, seeded: Seeded) -> tuple[object, ...]:
    """The same figures by every way of asking."""
    today = datetime.now(UTC).date()
    period = {"first": today, "last": today}
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        clients = clients_at_a_glance(session, **period)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        days = issued_by_day(session, **period)
        campaigns = campaigns_at_a_glance(session, **period)
    return (
        days.get(today),
        [Issued(one.currency, one.cards, one.charged) for one in clients],
        [Issued(one.currency, one.cards, one.charged) for one in campaigns],
    )


def sums(house: House, *, limit: int = 10_000) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return add_up(session, limit=limit)


def test_s4_044_usage_is_exact_before_and_after_it_is_added_up(house: House):
    seeded = issue(house, 7)
    expected = [Issued("USD", 7, 17_500)]

    before = read(house, seeded)
    sums(house)
    after = read(house, seeded)

    assert before == after == (expected, expected, expected)
    assert rows(house, "SELECT 1 FROM issued_deltas") == []


def test_what_was_undone_is_taken_off(house: House):
    seeded = issue(house, 3)
    sums(house)
    (job,) = rows(house, "SELECT id FROM jobs WHERE kind = 'provisioning'")

    undo(house, seeded, job.id)
    drain(house)

    nothing = [Issued("USD", 0, 0)]
    assert read(house, seeded) == (nothing, nothing, nothing)


def test_costs_are_summed_and_cards_without_one_are_counted_beside(house: House):
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    rows(
        house,
        "UPDATE cards SET cost_minor = NULL WHERE id = (SELECT id FROM cards LIMIT 1) RETURNING 1",
    )

    submit(house, seeded, recipients_csv(3))
    drain(house)

    (row,) = rows(house, "SELECT * FROM issued")
    assert (row.source, row.cards, row.charge_minor) == ("csv", 3, 7_500)
    assert (row.cost_minor, row.cards_without_cost) == (4_600, 1)


def test_strangers_see_none_of_it(house: House):
    seeded = issue(house, 1)
    sums(house)

    stranger = seed(house, vendor=False)

    nothing = [Issued("USD", 0, 0)]
    assert read(house, seeded)[0] is not None
    assert read(house, stranger) == (None, nothing, nothing)


def test_a_full_pass_leaves_the_rest_to_the_next_and_the_duty_does_all(house: House):
    seeded = issue(house, 1)
    submit(house, seeded, recipients_csv(1, start=5))
    import_cards_now(house, seeded.csv_pool, cards_csv(1, prefix="MORE"))
    submit(house, seeded, recipients_csv(1, start=6))
    drain(house)
    expected = read(house, seeded)

    assert sums(house, limit=1) is True
    assert sums(house, limit=1) is True
    assert sums(house, limit=1) is False
    assert read(house, seeded) == expected


def test_cards_issued_before_the_counting_began_are_counted_by_the_migration(
    house: House, database: Database
):
    seeded = issue(house, 4)
    expected = read(house, seeded)
    before = (MIGRATIONS / "sql" / "0017_issued_before.sql").read_text(encoding="utf-8")

    with psycopg.connect(database_url(database.admin_url, database.name)) as admin:
        admin.execute("TRUNCATE issued_deltas, issued_daily")
        admin.execute("SET ROLE largesse_owner")
        admin.execute(before.encode())

    assert read(house, seeded) == expected
