"""A shared code that spreads far faster than it ever did is paused; what is reserved is kept (EC-017)."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven
from tests.suspecting import applied_below, pay
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def manager(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CAMPAIGN_MANAGER, till.seeded)


def old_code(till: Till, **given: int | None) -> UUID:
    """A code that was made the day before yesterday."""
    code_id = make_discount(till.house, till.seeded, **given)
    change(till.house, "UPDATE discount_codes SET created_at = created_at - interval '2 days'")
    return code_id


def spread(till: Till, customers: int, *, since: int = 0) -> None:
    """So many customers reserve the code, the first of them number `since`."""
    for number in range(since, since + customers):
        applied_below(till, f"p{number}@x.example")


def paused(till: Till) -> list[tuple[str, str | None]]:
    found = rows(till.house, "SELECT state, pause_reason FROM discount_codes")
    return [tuple(row) for row in found]


def test_ec017_a_code_that_has_leaked_is_paused_and_what_is_reserved_is_kept(
    till: Till, manager: Caller
) -> None:
    code_id = old_code(till)
    first = till.reserve()
    spread(till, 29)
    assert paused(till) == [("active", None)]
    assert till.shop.post("/discounts/apply", asked()).status_code == 201

    assert paused(till) == [("paused", "leak_suspected")]
    assert said(till.shop.post("/discounts/apply", asked())) == (409, "code_inactive")
    assert alerts_of(till.house) == ["code_leak_suspected"]
    (told,) = rows(
        till.house, "SELECT actor_id, detail FROM audit_entries WHERE action = 'discount.paused'"
    )
    assert told.actor_id is None
    assert told.detail["reason"] == "leak_suspected"
    assert manager.get(f"/discounts/{code_id}").json["pause_reason"] == "leak_suspected"
    assert pay(till, first)["state"] == "confirmed"
    assert counted(till.house, code_id)[1] == {"confirmed": 1, "reserved": 30}

    done = manager.post(f"/discounts/{code_id}/resume")
    assert (done.json["standing"], done.json["pause_reason"]) == ("active", None)
    assert till.shop.post("/discounts/apply", asked()).status_code == 201
    over = rows(till.house, "SELECT is_over FROM alert_signals ORDER BY id")
    assert [row.is_over for row in over] == [False, True]
    assert_proven(till.house)


def test_ec017_one_customer_again_and_again_is_no_leak(till: Till) -> None:
    old_code(till, max_uses_per_customer=None)
    for _ in range(35):
        made = applied_below(till, "ann@x.example")
        till.shop.call("DELETE", f"/reservations/{made['id']}")
    assert paused(till) == [("active", None)]


def test_ec017_a_code_that_always_had_many_customers_has_not_leaked(till: Till) -> None:
    """Its day before forecasts a tenth of what would be too many."""
    code_id = old_code(till)
    made = applied_below(till, "first@x.example")
    change(
        till.house,
        "INSERT INTO discount_usages (id, agency_id, client_id, code_id, rules_version, state, "
        "  cart_reference, cart_digest, quote, currency, subtotal_minor, discount_minor, "
        "  total_minor, customer_keys, expires_at, release_reason, ended_at, created_at) "
        "SELECT gen_random_uuid(), agency_id, client_id, code_id, rules_version, 'released', "
        "  n::text, cart_digest, quote, currency, subtotal_minor, discount_minor, total_minor, "
        "  customer_keys, expires_at, 'timeout', now(), now() - interval '3 hours' "
        "FROM discount_usages, generate_series(1, 864) n WHERE id = :id",
        id=made["id"],
    )
    spread(till, 35)
    assert paused(till) == [("active", None)]
    assert counted(till.house, code_id)[0] == 36


@pytest.mark.parametrize("why", ["new", "for_few", "switched_off"])
def test_ec017_a_code_that_is_not_watched_may_spread(till: Till, manager: Caller, why: str) -> None:
    code_id = old_code(till, max_uses=30 if why == "for_few" else None)
    if why == "new":
        change(till.house, "UPDATE discount_codes SET created_at = now()")
    if why == "switched_off":
        version = manager.get(f"/discounts/{code_id}").headers["ETag"]
        done = manager.call(
            "PATCH", f"/discounts/{code_id}", {"watch_leaks": False}, If_Match=version
        )
        assert done.json["watch_leaks"] is False
    spread(till, 30)
    assert paused(till) == [("active", None)]
    wanted = 409 if why == "for_few" else 201
    body = asked(cart=cart())
    assert till.shop.post("/discounts/apply", body).status_code == wanted
    assert alerts_of(till.house) == []
