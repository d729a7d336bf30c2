"""Orders at the vendors whose card is a link: one order, one card, one charge, whatever they do."""

from typing import Any

import pytest
from sqlalchemy import insert, text

from models.base import new_id
from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from models.tenants import BrandRoute
from models.vendors import VendorAccount
from pipelines.providers.ports import OrderRequest, Succeeded
from pipelines.sealing import Purpose
from pipelines.wiring import House, build_providers
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.pipelines.test_lost_workers import mark_sent
from tests.pipelines.test_vendor_orders import orders_by_state, settle
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox

#: Vendor -> what is bought there, and the call that buys it.
SOLD = {
    "tremendous": ("NILEBOOKSUS1", "POST /orders"),
    "giftbit": ("nilefoodus", "POST /direct_links"),
}
LINK_CALL = "POST /rewards/{identity}/generate_link"
both = pytest.mark.parametrize("vendor", SOLD)


def seed_at(house: House, vendor: str) -> Seeded:
    return seed(house, route=(vendor, SOLD[vendor][0]))


def orders_asked(sandbox: Sandbox, vendor: str) -> int:
    return sandbox.calls(SOLD[vendor][1], vendor=vendor)


def links_audited(house: House) -> int:
    statement = "SELECT count(*) AS n FROM audit_entries WHERE action = 'order.link_made_anew'"
    return rows(house, statement)[0].n


def links_held(house: House) -> set[str]:
    """The cards as their recipients would see them."""
    found = rows(house, "SELECT id, sealed_number FROM cards WHERE state = 'issued'")
    return {
        house.settings.keyring.open_sealed(
            Purpose.CODES, row.sealed_number, table="cards", row_id=row.id, column="sealed_number"
        ).reveal()
        for row in found
    }


def assert_one_card_each(house: House, sandbox: Sandbox, vendor: str, count: int) -> None:
    """One order, one card, one charge for each item, and nothing else anywhere."""
    summary = sandbox.control("GET", f"/{vendor}/summary")
    references = {row.id.hex for row in rows(house, "SELECT id FROM provider_orders")}
    assert (summary["orders_total"], summary["cards_total"]) == (count, count)
    assert set(sandbox.references(vendor=vendor)) == references
    assert summary["duplicates"] == []
    assert len(links_held(house)) == count
    assert orders_by_state(house) == {OrderState.SUCCEEDED: count}
    assert_proven(house)


@both
def test_ec059_an_unknown_outcome_is_looked_up_and_never_bought_twice(
    vendor_house: House, sandbox: Sandbox, vendor: str
) -> None:
    """EC-059: the order runs and its answer is lost, a 500 or half; the lost link comes back."""
    lost = {"drop_after_create": {"next": 2}, "error_500_after": {"next": 2}}
    sandbox.arm(vendor=vendor, **lost, garbage={"next": 2})
    seeded = seed_at(vendor_house, vendor)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(8)))

    assert job["counts"]["succeeded"] == 8
    assert job["money"]["captured_minor"] == 8 * 2500
    assert orders_asked(sandbox, vendor) == 8
    assert_one_card_each(vendor_house, sandbox, vendor, 8)
    anew = 6 if vendor == "tremendous" else 0
    assert links_audited(vendor_house) == anew
    assert sandbox.calls(LINK_CALL, vendor=vendor) == anew


@both
def test_ec059_an_order_that_was_never_placed_is_sent_again_with_the_same_reference(
    vendor_house: House, sandbox: Sandbox, vendor: str
) -> None:
    """EC-059"""
    lost = {"drop_before_create": {"next": 1}, "unavailable_503": {"next": 1}}
    sandbox.arm(vendor=vendor, **lost, html_502={"next": 1})
    seeded = seed_at(vendor_house, vendor)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))

    assert job["state"] == "succeeded"
    assert orders_asked(sandbox, vendor) == 6
    assert_one_card_each(vendor_house, sandbox, vendor, 3)


@both
def test_ec062_an_order_without_a_link_yet_is_polled_and_never_ordered_again(
    vendor_house: House, sandbox: Sandbox, vendor: str
) -> None:
    """EC-062: pending, then executed; or executed with an answer that has no link."""
    pending = {"processing": {"next": 2, "seconds": 0.3}}
    late = {"link_403": {"next": 2}} if vendor == "tremendous" else {"links_not_ready": {"next": 2}}
    sandbox.arm(vendor=vendor, **pending, no_link={"next": 2}, **late)
    seeded = seed_at(vendor_house, vendor)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(4)))

    assert job["state"] == "succeeded"
    assert orders_asked(sandbox, vendor) == 4
    assert_one_card_each(vendor_house, sandbox, vendor, 4)


@both
def test_ec063_a_worker_that_died_after_the_answer_costs_no_second_card(
    vendor_house: House, sandbox: Sandbox, vendor: str
) -> None:
    """EC-063: the vendor has sold, and nobody wrote it down."""
    seeded = seed_at(vendor_house, vendor)
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    _buy_and_die(vendor_house)

    job = settle(vendor_house, job_id)

    assert job["state"] == "succeeded"
    assert orders_asked(sandbox, vendor) == 1
    assert_one_card_each(vendor_house, sandbox, vendor, 1)
    assert links_audited(vendor_house) == (vendor == "tremendous")


def _buy_and_die(house: House) -> None:
    order = mark_sent(house)
    request = OrderRequest(
        order.id.hex, order.product, order.face_value_minor, order.currency, send_by=None
    )
    assert isinstance(build_providers(house.settings)[order.vendor].place_order(request), Succeeded)


def test_a_link_lost_while_it_was_made_anew_is_made_once_more(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: the recovery itself is cut off; the newest link is the one that is kept."""
    sandbox.arm(vendor="tremendous", drop_after_create={"next": 1}, drop_after_link={"next": 1})
    seeded = seed_at(vendor_house, "tremendous")

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    assert job["state"] == "succeeded"
    assert sandbox.calls(LINK_CALL, vendor="tremendous") == 2
    assert links_audited(vendor_house) == 1
    assert_one_card_each(vendor_house, sandbox, "tremendous", 1)


def test_an_order_that_waits_for_funds_is_owed_and_nothing_else_is_bought(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-062: Giftbit's 200 does not mean paid; the hold stays until money comes there."""
    sandbox.control("PUT", "/giftbit/balance", {"balance": 60})
    seeded = seed_at(vendor_house, "giftbit")
    also_sold_by_reloadly(vendor_house, seeded)
    job_id = submit(vendor_house, seeded, recipients_csv(4))
    for _ in range(3):
        drain(vendor_house)
        hasten(vendor_house)
    waiting = rows(vendor_house, "SELECT code FROM provider_orders WHERE state = 'accepted'")
    held = view(vendor_house, job_id)["money"]["held_minor"]

    sandbox.control("PUT", "/giftbit/balance", {"balance": 60})
    job = settle(vendor_house, job_id)

    assert [row.code for row in waiting] == ["awaiting_funds", "awaiting_funds"]
    assert held == 2 * 2500
    assert job["state"] == "succeeded"
    assert sandbox.references() == []
    assert orders_asked(sandbox, "giftbit") == 4
    assert_one_card_each(vendor_house, sandbox, "giftbit", 4)


@pytest.mark.parametrize("keeps_unpaid_orders", [True, False])
def test_an_account_without_money_refuses_and_the_next_vendor_is_asked(
    vendor_house: House, sandbox: Sandbox, keeps_unpaid_orders: bool
) -> None:
    """EC-060: whether Tremendous keeps the refused order under its reference or not."""
    sandbox.control("PUT", "/tremendous/balance", {"balance": 1})
    sandbox.switch(vendor="tremendous", keeps_unpaid_orders=keeps_unpaid_orders)
    seeded = seed_at(vendor_house, "tremendous")
    also_sold_by_reloadly(vendor_house, seeded)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(2)))

    refused = rows(vendor_house, "SELECT code FROM provider_orders WHERE vendor = 'tremendous'")
    assert job["state"] == "succeeded"
    assert {row.code for row in refused} == {"vendor_insufficient_balance"}
    assert sandbox.control("GET", "/tremendous/summary")["orders_successful"] == 0
    assert len(sandbox.references()) == 2
    assert_proven(vendor_house)


def test_ec066_a_gift_in_another_currency_is_set_aside(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066: Giftbit is not asked for a currency; the fees tell in which it sold."""
    seeded = seed(vendor_house, route=("giftbit", "nilefoodca"))

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    card: Any = rows(vendor_house, "SELECT state, currency FROM cards")[0]
    assert job["counts"]["needs_review"] == 1
    assert (card.state, card.currency) == ("quarantined", "CAD")
    assert job["money"]["held_minor"] == 2500


def also_sold_by_reloadly(house: House, seeded: Seeded) -> None:
    """A second route, tried only when the first one proves that it sold nothing."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            insert(BrandRoute).values(
                id=new_id(),
                brand_id=seeded.brand_id,
                vendor="reloadly",
                product="120",
                priority=900,
            )
        )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(VendorAccount).values(vendor="reloadly", rate_per_minute=60_000, burst=1000)
        )
        session.execute(text("UPDATE vendor_accounts SET micro_tokens = 1000000000"))
