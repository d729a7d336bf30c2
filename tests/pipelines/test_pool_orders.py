"""Orders that fill a pool ahead: the same life as an item's, and no tenant."""

from typing import Any

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.provisioning.orders import PoolInHand, create_pool_orders
from pipelines.provisioning.resolve_order import OrderNotOpen, Outcome
from pipelines.provisioning.waterfall import Route
from pipelines.queue.kinds import Queue
from pipelines.queue.ring import ring_due
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.pipelines.test_resolve_order import resolve
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox

ROUTE = Route("reloadly", "120", 100)


def buy(house: House, seeded: Seeded, count: int) -> None:
    pool = PoolInHand(seeded.buffer_pool, seeded.brand_id, 2500, "USD")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        create_pool_orders(session, pool, ROUTE, count, now=clock.now(session))


def settle(house: House, rounds: int = 40) -> None:
    for _ in range(rounds):
        drain(house)
        if not rows(house, "SELECT FROM tasks WHERE kind LIKE '%pool_order'"):
            return
        hasten(house)
    raise AssertionError("the orders do not end")


def stock(house: House) -> list[Any]:
    return rows(
        house,
        "SELECT pool_id, client_id, source, state, cost_minor, cost_currency, count(*) AS cards "
        "FROM cards GROUP BY 1, 2, 3, 4, 5, 6",
    )


def test_s4_115_a_card_bought_ahead_is_sealed_stock_with_its_own_cost(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)

    buy(vendor_house, seeded, 3)
    settle(vendor_house)

    (kept,) = stock(vendor_house)
    assert (kept.pool_id, kept.client_id, kept.source, kept.state, kept.cards) == (
        seeded.buffer_pool,
        None,
        "buffer",
        "available",
        3,
    )
    assert kept.cost_minor is not None
    assert sandbox.control("GET", "/reloadly/summary")["orders_successful"] == 3
    assert_proven(vendor_house)


def test_s4_117_a_job_draws_on_what_was_bought_ahead_before_it_buys(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    buy(vendor_house, seeded, 2)
    settle(vendor_house)

    job_id = submit(vendor_house, seeded, recipients_csv(3))
    drain(vendor_house)

    assert view(vendor_house, job_id)["sources"] == {"csv": 0, "buffer": 2, "api": 1}
    assert_proven(vendor_house)


@pytest.mark.parametrize("fault", ["drop_after_create", "drop_before_create"])
def test_ec059_an_unknown_order_of_a_pool_is_looked_up_and_bought_once(
    vendor_house: House, sandbox: Sandbox, fault: str
) -> None:
    """EC-059 without an item: the vendor's answer is lost, or the order is."""
    sandbox.arm(**{fault: {"next": 2}})
    seeded = seed(vendor_house)

    buy(vendor_house, seeded, 3)
    settle(vendor_house)

    assert sum(row.cards for row in stock(vendor_house)) == 3
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 3
    assert_proven(vendor_house)


def test_ec066_a_card_of_another_value_stays_out_of_stock_and_is_told(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066 without an item: it is set aside in its pool, and a person is asked."""
    sandbox.arm(wrong_value={"next": 1, "unit_price": 20})
    seeded = seed(vendor_house)

    buy(vendor_house, seeded, 1)
    settle(vendor_house)

    (kept,) = stock(vendor_house)
    assert (kept.state, kept.pool_id) == ("quarantined", seeded.buffer_pool)
    told = rows(vendor_house, "SELECT kind FROM alert_signals")
    assert [row.kind for row in told] == ["refill_order_unclear"]
    (order,) = rows(vendor_house, "SELECT id FROM provider_orders")
    resolve(vendor_house, order.id, Outcome.WRITTEN_OFF)
    with pytest.raises(OrderNotOpen):
        resolve(vendor_house, order.id, Outcome.WRITTEN_OFF)
    assert [row.state for row in stock(vendor_house)] == ["quarantined"]
    assert_proven(vendor_house)


def test_a_refusal_frees_the_slot_and_buys_nothing(vendor_house: House, sandbox: Sandbox) -> None:
    sandbox.arm(out_of_stock={"always": True})
    seeded = seed(vendor_house)

    buy(vendor_house, seeded, 2)
    settle(vendor_house)

    ended = rows(vendor_house, "SELECT DISTINCT state, code FROM provider_orders")
    assert [(row.state, row.code) for row in ended] == [("refused", "out_of_stock")]
    assert stock(vendor_house) == []
    assert_proven(vendor_house)


@pytest.mark.parametrize("switch", ["refill_paused_at", "disabled_at"])
def test_pausing_and_disabling_end_what_was_not_sent(
    vendor_house: House, sandbox: Sandbox, switch: str
) -> None:
    seeded = seed(vendor_house)
    buy(vendor_house, seeded, 2)
    rows(vendor_house, f"UPDATE card_pools SET {switch} = now() RETURNING 1")

    settle(vendor_house)

    ended = rows(vendor_house, "SELECT DISTINCT state, code FROM provider_orders")
    assert [(row.state, row.code) for row in ended] == [("cancelled", "refill_paused")]
    assert sandbox.calls("POST /orders") == 0
    assert_proven(vendor_house)


def test_s4_121_an_account_out_of_use_ends_what_was_not_sent(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    buy(vendor_house, seeded, 2)
    rows(vendor_house, "UPDATE vendor_accounts SET disabled_at = now() RETURNING 1")

    settle(vendor_house)

    ended = rows(vendor_house, "SELECT DISTINCT state, code FROM provider_orders")
    assert [(row.state, row.code) for row in ended] == [("cancelled", "vendor_disabled")]
    assert sandbox.calls("POST /orders") == 0
    assert_proven(vendor_house)


def test_ec060_refused_keys_end_orders_of_pools_after_few_calls(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-060: what was not sent does not wait for the keys; the slot is bought again later."""
    sandbox.arm(auth_401={"always": True})
    seeded = seed(vendor_house)
    buy(vendor_house, seeded, 20)

    drain(vendor_house)

    ended = rows(vendor_house, "SELECT DISTINCT state, code FROM provider_orders")
    assert [(row.state, row.code) for row in ended] == [("cancelled", "vendor_auth")]
    assert sandbox.calls("POST /orders") <= 5
    told = rows(vendor_house, "SELECT DISTINCT kind FROM alert_signals")
    assert [row.kind for row in told] == ["provider_auth"]
    assert_proven(vendor_house)


def given_up(house: House, sandbox: Sandbox, fault: str) -> Any:
    """An order that recovery has given up on; the vendor is well again."""
    sandbox.arm(**{fault: {"next": 1}, "lookup_500": {"always": True}})
    seeded = seed(house)
    buy(house, seeded, 1)
    drain(house)
    rows(house, "UPDATE provider_orders SET sent_at = sent_at - interval '25 hours' RETURNING 1")
    hasten(house)
    drain(house)
    sandbox.arm()
    (order,) = rows(house, "SELECT id FROM provider_orders")
    return order.id


@pytest.mark.parametrize(
    ("fault", "outcome", "state", "cards"),
    [
        ("drop_before_create", Outcome.NEVER_PLACED, "cancelled", 0),
        ("drop_after_create", Outcome.PLACED, "succeeded", 1),
    ],
)
def test_ec059_a_person_resolves_an_order_of_a_pool_once(
    vendor_house: House, sandbox: Sandbox, fault: str, outcome: Outcome, state: str, cards: int
) -> None:
    """EC-059 without an item: no job is touched, and the alert is over."""
    order_id = given_up(vendor_house, sandbox, fault)

    resolve(vendor_house, order_id, outcome)
    settle(vendor_house)

    (order,) = rows(vendor_house, "SELECT state, review_since FROM provider_orders")
    assert (order.state, order.review_since) == (state, None)
    assert sum(row.cards for row in stock(vendor_house)) == cards
    told = rows(vendor_house, "SELECT kind, is_over FROM alert_signals ORDER BY id")
    assert (told[-1].kind, told[-1].is_over) == ("refill_order_unclear", True)
    (entry,) = rows(
        vendor_house,
        "SELECT client_id, job_id FROM audit_entries WHERE action = 'provider_order.resolved'",
    )
    assert (entry.client_id, entry.job_id) == (None, None)
    with pytest.raises(OrderNotOpen):
        resolve(vendor_house, order_id, outcome)
    assert_proven(vendor_house)


def test_recovery_that_gives_up_asks_a_person_and_keeps_the_slot(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """The order is not bought a second time, and the proof knows why nothing moves it."""
    given_up(vendor_house, sandbox, "drop_after_create")

    (order,) = rows(vendor_house, "SELECT state, code, review_since FROM provider_orders")
    assert (order.state, order.code) == ("unknown", "provider_outcome_unknown")
    assert order.review_since is not None
    assert_proven(vendor_house)


def test_no_tenant_sees_an_order_of_a_pool(vendor_house: House, sandbox: Sandbox) -> None:
    seeded = seed(vendor_house)
    buy(vendor_house, seeded, 1)

    with scoped_transaction(vendor_house.sessions, client(seeded.client_id)) as session:
        assert session.connection().exec_driver_sql("SELECT id FROM provider_orders").all() == []


def test_orders_of_jobs_are_rung_before_orders_that_fill_pools(house: House) -> None:
    """S4-116: what is bought ahead waits until nothing else is due in the vendor's lane."""
    seeded = seed(house)
    buy(house, seeded, 4)
    submit(house, seeded, recipients_csv(4))
    later = (
        "UPDATE tasks SET run_after = run_after + {} WHERE kind = 'place_pool_order' RETURNING 1"
    )
    rows(house, later.format("interval '1 hour'"))
    one_step(house)
    rows(house, later.format("interval '-2 hours'"))

    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        bells = ring_due(session, now=now, limits=house.limits, queues=[Queue.VENDORS])

    assert [bell.kind for bell in bells] == ["place_order"] * 4 + ["place_pool_order"] * 4
