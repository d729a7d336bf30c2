"""Vendor accounts for the platform: over HTTP and on its pages."""

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.providers import guard
from pipelines.providers.ports import AuthFailed
from pipelines.provisioning.orders import PoolInHand, create_pool_orders
from pipelines.provisioning.waterfall import Route
from pipelines.vendors.accounts import HIGHEST_BOUNDS
from pipelines.wiring import House
from tests.driving import drain, recipients_csv, rows, submit
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import HIDDEN, Visitor, visitor_of

ACCOUNT = "/vendor-accounts/reloadly"


def refuse_keys(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        guard.note(session, "reloadly", AuthFailed("token_refused"), call=new_id(), now=now)


def account(house: House):
    return rows(house, "SELECT * FROM vendor_accounts")[0]


def test_s4_121_the_platform_sees_each_account_as_it_is(
    admin: Caller, house: House, seeded: Seeded
):
    refuse_keys(house)

    (seen,) = admin.get("/vendor-accounts").json["data"]

    assert (seen["vendor"], seen["disabled"], seen["concurrency"]) == ("reloadly", False, 32)
    assert (seen["breaker"]["state"], seen["breaker"]["reason"]) == ("open", "provider_auth")
    assert seen["breaker"]["since"] < seen["breaker"]["blocked_until"]
    assert seen["calls"]["hour"] == {"answered": 0, "failed": 1, "unknown": 0}
    assert seen["calls"]["day"] == seen["calls"]["hour"]
    assert seen["balance"] is None


def test_s4_121_a_place_in_the_line_is_no_call_in_flight(
    admin: Caller, house: House, seeded: Seeded
):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE vendor_accounts SET rate_per_minute = 60, burst = 1, micro_tokens = 1000000"
            )
        )
        now = clock.now(session)
        told = [
            guard.ask(session, "reloadly", now=now, call=new_id(), seconds=60) for _ in range(3)
        ]

    (seen,) = admin.get("/vendor-accounts").json["data"]

    assert [permit.reason for permit in told] == ["", "vendor_rate", "vendor_rate"]
    assert seen["in_flight"] == 1


def test_s4_121_bounds_and_use_are_changed_and_audited(admin: Caller, house: House, seeded: Seeded):
    body = {"rate_per_minute": 60, "burst": 1, "concurrency": 2, "disabled": True}

    changed = admin.call("PATCH", ACCOUNT, body | {"reason": "their outage"})
    again = admin.call("PATCH", ACCOUNT, body)

    assert {name: changed.json[name] for name in body} == body
    assert (again.json["disabled_at"], account(house).micro_tokens) == (
        changed.json["disabled_at"],
        1_000_000,
    )
    (entry,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'vendor_account.changed'")
    assert entry.object_id == account(house).id
    assert entry.detail["concurrency"] == [32, 2]
    assert entry.detail["is_disabled"] == [False, True]
    assert entry.detail["reason"] == "their outage"


@pytest.mark.parametrize(
    "body",
    [{"rate_per_minute": 0}, {"burst": 0}, {"concurrency": 0}, {"concurrency": 1.5}, {"x": 1}],
)
def test_s4_121_bad_bounds_change_nothing(
    admin: Caller, house: House, seeded: Seeded, body: dict[str, object]
):
    before = account(house)

    refused = admin.call("PATCH", ACCOUNT, body)

    assert (refused.status_code, account(house)) == (422, before)
    assert admin.call("PATCH", "/vendor-accounts/nobody", {"burst": 1}).status_code == 404


def test_s4_121_a_breaker_is_closed_once_with_a_reason(admin: Caller, house: House, seeded: Seeded):
    refuse_keys(house)

    closed = admin.post(f"{ACCOUNT}/close-breaker", {"reason": "new keys"})
    again = admin.post(f"{ACCOUNT}/close-breaker", {"reason": "new keys"})

    assert closed.json["breaker"]["state"] == "closed"
    assert (again.status_code, again.json["code"]) == (409, "breaker_closed")
    assert admin.post(f"{ACCOUNT}/close-breaker", {}).status_code == 422
    (entry,) = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'vendor_account.breaker_closed'"
    )
    assert entry.detail["reason"] == "new keys"


def test_support_looks_and_changes_nothing(app: Flask, house: House, seeded: Seeded):
    support = signed_in(app, house, Role.PLATFORM_SUPPORT)

    assert support.get("/vendor-accounts").status_code == 200
    assert support.call("PATCH", ACCOUNT, {"burst": 1}).status_code == 403
    assert support.post(f"{ACCOUNT}/close-breaker", {"reason": "x"}).status_code == 403


def unknown_order(house: House, seeded: Seeded):
    """An order that nobody knows the outcome of, an hour old."""
    submit(house, seeded, recipients_csv(1))
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE vendor_accounts SET breaker_blocked_until = now() + interval '1 day', "
                "breaker_state = 'open'"
            )
        )
    drain_chunk(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE provider_orders SET state = 'unknown', sends = 1, "
                "sent_at = now() - interval '1 hour'"
            )
        )
        session.execute(text("UPDATE tasks SET kind = 'recover_order' WHERE kind = 'place_order'"))
    return rows(house, "SELECT id FROM provider_orders")[0].id


def drain_chunk(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO queues (name, paused_at, paused_by, pause_reason) "
                "VALUES ('vendors', now(), gen_random_uuid(), 'test')"
            )
        )
    drain(house)


def test_an_order_is_resolved_over_http_by_who_has_proven_themselves(
    admin: Caller, house: House, seeded: Seeded
):
    order_id = unknown_order(house, seeded)
    body = {"outcome": "never_placed", "reason": "not in the vendor's list"}
    path = f"/provider-orders/{order_id}/resolve"

    wrong = admin.post(path, {"outcome": "lost", "reason": "x"})
    done = admin.post(path, body)
    again = admin.post(path, body)

    assert wrong.status_code == 422
    assert (done.status_code, done.json["state"], done.json["code"]) == (
        200,
        "cancelled",
        "never_placed",
    )
    assert (again.status_code, again.json["code"]) == (409, "order_not_open")
    assert again.json["outcomes"] == []
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE sign_ins SET proven_at = now() - interval '1 day'"))
    assert admin.post(path, body).json["code"] == "step_up_required"


@pytest.fixture
def operator(app: Flask, house: House) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def test_con_16_the_pages_say_how_an_account_is_and_close_its_breaker(
    operator: Visitor, house: House, seeded: Seeded
):
    assert "Reloadly" in operator.get("/console/vendors").text
    refuse_keys(house)

    page = operator.get("/console/vendors/reloadly").text
    sent = operator.client.post(
        "/console/vendors/reloadly/breaker",
        data=hidden(page) | {"reason": "new keys"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )

    assert "Refuses our keys" in page
    assert sent.status_code == 303
    assert account(house).breaker_state == "closed"


def test_con_16_an_order_is_resolved_on_its_page(operator: Visitor, house: House, seeded: Seeded):
    order_id = unknown_order(house, seeded)
    listed = operator.get("/console/vendors/reloadly?state=unknown").text

    unsaid = operator.send(f"/console/vendor-orders/{order_id}", outcome="never_placed")
    done = operator.send(
        f"/console/vendor-orders/{order_id}", outcome="never_placed", reason="not in their list"
    )

    assert order_id.hex in listed
    assert unsaid.status_code == 422
    assert done.status_code == 303
    assert rows(house, "SELECT state FROM provider_orders")[0].state == "cancelled"


def test_con_16_an_order_of_a_pool_has_its_page(operator: Visitor, house: House, seeded: Seeded):
    pool = PoolInHand(seeded.buffer_pool, seeded.brand_id, 2500, "USD")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        route = Route("reloadly", "120", 100)
        create_pool_orders(session, pool, route, 1, now=clock.now(session))
    (order,) = rows(house, "SELECT id FROM provider_orders")

    page = operator.get(f"/console/vendor-orders/{order.id}").text

    assert f"/console/inventory/pools/{seeded.buffer_pool}" in page


def test_con_16_bounds_and_use_are_set_on_the_page(operator: Visitor, house: House, seeded: Seeded):
    page = operator.get("/console/vendors/reloadly").text
    same = {"Sec-Fetch-Site": "same-origin"}
    bounds = {"rate_per_minute": "60", "burst": "2", "concurrency": "3"}

    wrong = operator.client.post(
        "/console/vendors/reloadly/bounds",
        data=hidden(page) | bounds | {"burst": "many"},
        headers=same,
    )
    before = account(house)
    operator.client.post(
        "/console/vendors/reloadly/bounds", data=hidden(page) | bounds, headers=same
    )
    unsaid = operator.client.post(
        "/console/vendors/reloadly/use", data=hidden(page) | {"use": "off"}, headers=same
    )
    still = account(house).disabled_at
    operator.client.post(
        "/console/vendors/reloadly/use",
        data=hidden(page) | {"use": "off", "reason": "their outage"},
        headers=same,
    )

    after = account(house)
    assert (wrong.status_code, before.concurrency) == (422, 32)
    assert (after.rate_per_minute, after.burst, after.concurrency) == (60, 2, 3)
    assert (unsaid.status_code, still, after.disabled_at is not None) == (422, None, True)
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'vendor_account.changed'")
    assert told[-1].detail["reason"] == "their outage"
    assert "Out of use" in operator.get("/console/vendors").text


@pytest.mark.parametrize("name", HIGHEST_BOUNDS)
def test_con_16_the_page_and_the_api_take_the_same_bounds(
    admin: Caller, operator: Visitor, house: House, seeded: Seeded, name: str
):
    highest = HIGHEST_BOUNDS[name]
    page = operator.get("/console/vendors/reloadly").text
    kept = {each: str(getattr(account(house), each)) for each in HIGHEST_BOUNDS}

    def typed(value: str) -> int:
        return operator.client.post(
            "/console/vendors/reloadly/bounds",
            data=hidden(page) | kept | {name: value},
            headers={"Sec-Fetch-Site": "same-origin"},
        ).status_code

    wrong = [str(highest + 1), "0", "-1", "٣", "", "1" + "0" * 30, f"{highest}0000000000"]
    assert {typed(value) for value in wrong} == {422}
    assert admin.call("PATCH", ACCOUNT, {name: highest + 1}).status_code == 422
    assert str(getattr(account(house), name)) == kept[name]
    assert typed(str(highest)) == 303
    assert admin.call("PATCH", ACCOUNT, {name: highest}).status_code == 200
    assert getattr(account(house), name) == highest


def hidden(page: str) -> dict[str, str]:
    return {name: value for name, value in HIDDEN.findall(page) if name == "csrf_token"}
