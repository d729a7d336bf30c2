"""What cards brought in and what they cost, and what is said where nobody knows (S4-083..086)."""

from typing import Any

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, agency
from pipelines.pools.change import change_pool
from pipelines.provisioning.profit import COLUMNS, campaign_profit, card_rows, client_profit
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, submit
from tests.replacing import report
from tests.seeding import ACTOR, Seeded, seed


def served(house: House, seeded: Seeded, count: int, start: int = 0) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(count, prefix=f"P{start}"))
    submit(house, seeded, recipients_csv(count, start=start))
    drain(house)


def told(house: House, seeded: Seeded) -> dict[str, Any]:
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        return campaign_profit(session, seeded.campaign_id)


def test_s4_085_profit_is_what_was_charged_less_what_the_cards_cost(house: House) -> None:
    """S4-083..085: cards of 2500 that cost 2300 earn 200 each."""
    seeded = seed(house, vendor=False)
    served(house, seeded, 3)

    (total,) = told(house, seeded)["totals"]

    assert (total["cards"], total["revenue_minor"], total["cost_minor"]) == (3, 7_500, 6_900)
    assert (total["profit_minor"], total["findings"]) == (600, [])


def test_ec078_a_missing_cost_is_told_and_never_counted_as_nothing(house: House) -> None:
    """EC-078: two cards of three have a cost; profit speaks of those."""
    seeded = seed(house, vendor=False)
    served(house, seeded, 3)
    rows(
        house,
        "UPDATE provisions SET cost_minor = NULL, cost_currency = NULL "
        "WHERE position = 1 RETURNING 1",
    )

    (total,) = told(house, seeded)["totals"]

    assert (total["profit_minor"], total["cards_without_cost"]) == (400, 1)
    assert total["findings"] == [{"code": "cost_missing", "cards": 1}]


def test_where_no_cost_is_known_there_is_no_profit(house: House) -> None:
    seeded = seed(house, vendor=False)
    served(house, seeded, 1)
    rows(house, "UPDATE provisions SET cost_minor = NULL, cost_currency = NULL RETURNING 1")

    (total,) = told(house, seeded)["totals"]

    assert (total["cost_minor"], total["profit_minor"]) == (None, None)


def test_a_cost_in_another_currency_is_told_apart(house: House) -> None:
    seeded = seed(house, vendor=False)
    served(house, seeded, 2)
    rows(house, "UPDATE provisions SET cost_currency = 'EUR' WHERE position = 1 RETURNING 1")

    (total,) = told(house, seeded)["totals"]

    assert (total["cost_minor"], total["profit_minor"]) == (2_300, 200)
    assert total["findings"] == [{"code": "other_cost_currency", "cards": 1}]


def test_s4_122_a_cost_set_on_the_pool_is_that_of_cards_imported_from_then_on(
    house: House,
) -> None:
    seeded = seed(house, vendor=False)
    served(house, seeded, 1)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        change = {"cost_per_card_minor": 2_400}
        now = clock.now(session)
        change_pool(session, seeded.csv_pool, change, actor_id=ACTOR, now=now)
    served(house, seeded, 1, start=10)

    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        (total,) = client_profit(session, seeded.client_id)["totals"]
    assert (total["cost_minor"], total["profit_minor"]) == (4_700, 300)


def test_ec067_a_card_that_was_replaced_is_a_cost_without_revenue(house: House) -> None:
    """EC-067: charged once, bought twice; the sum of the rows is the sum of the totals."""
    seeded = seed(house, vendor=False)
    served(house, seeded, 2)
    first = rows(house, "SELECT id FROM provisions ORDER BY id LIMIT 1")[0].id
    import_cards_now(house, seeded.csv_pool, cards_csv(1, prefix="SPARE"))

    report(house, seeded, first)
    hasten(house)
    drain(house)
    (total,) = told(house, seeded)["totals"]
    cells = list(card_rows(house.sessions, agency(seeded.agency_id), seeded.campaign_id))

    assert (total["cards"], total["cards_replaced"]) == (2, 1)
    assert (total["revenue_minor"], total["cost_minor"]) == (5_000, 6_900)
    assert total["profit_minor"] == 5_000 - 6_900
    assert total["findings"] == [{"code": "replaced", "cards": 1}]
    assert sum(row[COLUMNS.index("profit_minor")] for row in cells) == total["profit_minor"]


def test_every_card_is_a_row_with_its_own_profit(house: House) -> None:
    seeded = seed(house, vendor=False)
    served(house, seeded, 2)

    cells = list(card_rows(house.sessions, agency(seeded.agency_id), seeded.campaign_id))

    assert [row[COLUMNS.index("profit_minor")] for row in cells] == [200, 200]
