"""A vendor that does not take our keys: few calls, nothing lost, and it goes on when they are good."""

import pytest
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from models.tenants import BrandRoute
from models.vendors import VendorAccount
from pipelines.queue.work import TaskInHand
from pipelines.vendors.look_after import look_after_vendors
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox


def blocked(house: House, sandbox: Sandbox, items: int = 100) -> tuple[Seeded, object]:
    """A job whose vendor refuses our keys, as far as it gets."""
    sandbox.arm(auth_401={"always": True})
    seeded = seed(house)
    job_id = submit(house, seeded, recipients_csv(items))
    drain(house)
    return seeded, job_id


def look(house: House) -> None:
    """Have the check of the blocked account run, and nothing that waits longer."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE tasks SET run_after = now(), rung_at = NULL WHERE kind = 'check_vendor'")
        )
    drain(house)


def account(house: House):
    return rows(house, "SELECT * FROM vendor_accounts")[0]


def test_ec060_refused_keys_take_few_calls_pause_the_job_and_touch_no_item(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-060: 100 orders, five calls at most; the job stands paused with its reason."""
    _seeded, job_id = blocked(vendor_house, sandbox)
    look(vendor_house)

    job = view(vendor_house, job_id)
    assert sandbox.calls("POST /orders") + sandbox.calls("GET /accounts/balance") <= 5
    assert (job["state"], job["pause"]["reason"]) == ("paused", "provider_auth")
    assert job["counts"]["running"] == 100
    assert job["money"]["held_minor"] == 100 * 2500
    told = rows(vendor_house, "SELECT DISTINCT kind, is_over FROM alert_signals")
    assert [(row.kind, row.is_over) for row in told] == [("provider_auth", False)]
    states = rows(vendor_house, "SELECT DISTINCT state, sends FROM provider_orders")
    assert [(row.state, row.sends) for row in states] == [("created", 0)]
    assert_proven(vendor_house)


def test_ec060_good_keys_are_found_by_one_probe_and_the_job_goes_on(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-060: nobody needs to touch the job when the keys are mended."""
    _seeded, job_id = blocked(vendor_house, sandbox, items=5)
    look(vendor_house)
    assert view(vendor_house, job_id)["state"] == "paused"
    sandbox.arm()

    hasten(vendor_house)
    look(vendor_house)
    resumed = view(vendor_house, job_id)["state"]
    for _ in range(10):
        drain(vendor_house)
        hasten(vendor_house)

    assert resumed in {"running", "succeeded"}
    assert view(vendor_house, job_id)["state"] == "succeeded"
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 5
    assert account(vendor_house).breaker_state == "closed"
    assert_proven(vendor_house)


def test_ec060_keys_good_for_looking_but_not_for_buying_take_one_order_at_a_time(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-060: the check passes, the next order is refused, and the wait grows."""
    blocked(vendor_house, sandbox, items=20)
    first = account(vendor_house)
    hasten(vendor_house)
    before = sandbox.calls("POST /orders")
    drain(vendor_house)

    again = account(vendor_house)
    assert sandbox.calls("POST /orders") - before <= 2  # the adapter asks with a new token once
    assert (first.breaker_openings, again.breaker_openings) == (1, 2)
    assert again.breaker_refuses_keys
    assert again.breaker_since >= first.breaker_since


def test_ec060_a_blocked_order_takes_the_next_route_if_there_is_one(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-060: what was not sent need not wait for the keys."""
    seeded, job_id = blocked(vendor_house, sandbox, items=3)
    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        session.execute(
            insert(BrandRoute).values(
                id=new_id(), brand_id=seeded.brand_id, vendor="elsewhere", product="1", priority=200
            )
        )
    sandbox.arm(auth_401={"always": True})
    hasten(vendor_house)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE vendor_accounts SET breaker_blocked_until = 'infinity'"))
    drain(vendor_house)

    codes = rows(
        vendor_house, "SELECT DISTINCT code FROM provider_orders WHERE vendor = 'reloadly'"
    )
    gone = rows(
        vendor_house, "SELECT count(*) AS n FROM provider_orders WHERE vendor = 'elsewhere'"
    )
    assert [row.code for row in codes] == ["vendor_auth"]
    assert gone[0].n == 3
    assert view(vendor_house, job_id)["counts"]["failed"] == 3  # nobody is set up there
    assert_proven(vendor_house)


@pytest.mark.parametrize("has_other_route", [True, False])
def test_s4_121_a_disabled_vendor_sells_nothing_and_unsent_orders_go_the_next_way(
    vendor_house: House, sandbox: Sandbox, has_other_route: bool
) -> None:
    """S4-121: an order that waits to be sent takes the item's next route, or ends uncharged."""
    seeded = seed(vendor_house)
    if has_other_route:
        also_sold_by_tremendous(vendor_house, seeded)
    job_id = submit(vendor_house, seeded, recipients_csv(2))
    one_step(vendor_house)
    waiting = rows(vendor_house, "SELECT vendor, state FROM provider_orders")
    disable(vendor_house)
    drain(vendor_house)

    assert [tuple(row) for row in waiting] == [("reloadly", "created")] * 2
    orders = rows(
        vendor_house, "SELECT vendor, state, code FROM provider_orders ORDER BY vendor, id"
    )
    gone = [("reloadly", "cancelled", "vendor_disabled")] * 2
    bought = [("tremendous", "succeeded", None)] * 2 if has_other_route else []
    assert [tuple(row) for row in orders] == gone + bought
    job = view(vendor_house, job_id)
    ended = {row.code for row in rows(vendor_house, "SELECT code FROM items")}
    assert (job["state"], ended) == (
        ("succeeded", {None}) if has_other_route else ("failed", {"vendor_disabled"})
    )
    assert (job["money"]["captured_minor"], job["money"]["released_minor"]) == (
        (2 * 2500, 0) if has_other_route else (0, 2 * 2500)
    )
    assert sandbox.calls("POST /orders") == 0
    assert_proven(vendor_house)


def test_s4_121_a_disabled_vendor_gets_no_new_orders(vendor_house: House, sandbox: Sandbox) -> None:
    """S4-121: what only it sells is refused, uncharged."""
    seeded = seed(vendor_house)
    disable(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(2))
    drain(vendor_house)

    job = view(vendor_house, job_id)
    assert (job["state"], job["money"]["released_minor"]) == ("failed", 2 * 2500)
    assert rows(vendor_house, "SELECT FROM provider_orders") == []
    assert_proven(vendor_house)


def disable(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE vendor_accounts SET disabled_at = now() WHERE vendor = 'reloadly'")
        )


def also_sold_by_tremendous(house: House, seeded: Seeded) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            insert(BrandRoute).values(
                id=new_id(),
                brand_id=seeded.brand_id,
                vendor="tremendous",
                product="NILEBOOKSUS1",
                priority=200,
            )
        )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(VendorAccount).values(vendor="tremendous", rate_per_minute=60_000, burst=1000)
        )


def test_ec059_an_order_on_its_way_is_driven_home_though_its_vendor_is_disabled(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: an unknown order is asked after whatever became of the account."""
    sandbox.arm(drop_after_create={"next": 1})
    job_id = submit(vendor_house, seed(vendor_house), recipients_csv(1))
    drain(vendor_house)
    disable(vendor_house)
    for _ in range(30):
        hasten(vendor_house)
        drain(vendor_house)

    assert view(vendor_house, job_id)["state"] == "succeeded"
    assert_proven(vendor_house)


def test_the_duty_opens_accounts_has_them_checked_and_keeps_their_balance(
    vendor_house: House, sandbox: Sandbox
) -> None:
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        task = TaskInHand(new_id(), "look_after_vendors", {}, None, None, 1, 0, 0, None, 2)
        look_after_vendors(session, task, clock.now(session), vendors={"reloadly"})
    drain(vendor_house)
    drain(vendor_house)

    kept = rows(vendor_house, "SELECT * FROM vendor_balances")
    assert [(row.vendor, row.currency) for row in kept] == [("reloadly", "USD")]
    assert kept[0].balance_minor > 0
    assert account(vendor_house).answered_at is not None
    counted = rows(vendor_house, "SELECT * FROM vendor_call_counts")
    assert [(row.answered, row.failed, row.unknown) for row in counted] == [(1, 0, 0)]
    assert rows(vendor_house, "SELECT * FROM vendor_calls") == []
