"""Discount codes over HTTP: made, listed, changed, paused and put away (S2-041, S2-143, EC-004, 023..027)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, make_discount
from tests.driving import change, rows
from tests.later import tomorrow
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

TEN_PERCENT = {"code": "save10", "kind": "percent", "percent_bp": 1000}
FIVE_OFF = {"code": "FIVE", "kind": "fixed", "amount_minor": 500, "currency": "USD"}


def problems(answer: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def test_s2_011_a_code_is_made_and_shown_with_its_rules(manager: Caller) -> None:
    made = manager.post("/discounts", TEN_PERCENT | {"max_uses": 20, "products": ["A", "B"]})

    assert made.status_code == 201
    told = made.json
    assert (told["code"], told["standing"], told["kind"]) == ("SAVE10", "active", "percent")
    assert (told["percent_bp"], told["products"], told["max_uses"]) == (1000, ["A", "B"], 20)
    assert (told["max_uses_per_customer"], told["used"], told["reserved"]) == (1, 0, 0)
    shown = manager.get(f"/discounts/{told['id']}")
    assert (shown.json, shown.headers["ETag"]) == (told, '"1"')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"percent_bp": None}, [("/percent_bp", "required")]),
        ({"percent_bp": 0}, [("/percent_bp", "out_of_range")]),
        ({"percent_bp": 10_001}, [("/percent_bp", "out_of_range")]),
        ({"amount_minor": 5, "currency": "USD"}, [("/amount_minor", "not_both")]),
        ({"min_subtotal_minor": 5}, [("/currency", "required")]),
        ({"currency": "XXX"}, [("/currency", "unknown_currency")]),
        ({"products": []}, [("/products", "required")]),
        ({"code": "A\u0410BC"}, [("/code", "code_charset")]),
        ({"code": "ABC"}, [("/code", "code_length")]),
        (
            {"starts_at": "2026-03-02T00:00:00Z", "expires_at": "2026-03-01T00:00:00Z"},
            [("/expires_at", "window_ends_first")],
        ),
        ({"starts_at": "2026-03-02T00:00:00"}, [("/starts_at", "timezone_required")]),
        ({"kind": "fixed", "percent_bp": None}, [("/amount_minor", "required")]),
        (
            {"kind": "fixed", "amount_minor": 5, "currency": "USD", "max_discount_minor": 5},
            [("/percent_bp", "not_both"), ("/max_discount_minor", "not_both")],
        ),
    ],
)
def test_s2_044_what_is_wrong_with_a_code_is_said_by_its_field(
    manager: Caller, house: House, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    refused = manager.post("/discounts", TEN_PERCENT | body)

    assert (refused.status_code, problems(refused)) == (422, expected)
    assert rows(house, "SELECT 1 FROM discount_codes") == []


def test_ec027_two_who_make_one_code_at_once_make_one(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    """EC-024: however it is spelled; another client has its own."""
    start = Barrier(2)

    def make(code: str) -> tuple[int, str]:
        mine = Caller(app.test_client(), manager.headers)
        start.wait(timeout=60)
        answer = mine.post("/discounts", TEN_PERCENT | {"code": code})
        return answer.status_code, answer.json["code"]

    with ThreadPoolExecutor(2) as pool:
        told = Counter(pool.map(make, ["save10", " Save10"]))
    other = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False), name="other")

    assert told == {(201, "SAVE10"): 1, (409, "code_exists"): 1}
    assert other.post("/discounts", TEN_PERCENT).status_code == 201


def test_ec035_a_repeat_with_the_same_key_is_the_same_code(manager: Caller, house: House) -> None:
    key = {"Idempotency-Key": "11111111-1111-4111-8111-111111111111"}

    first, again = (manager.post("/discounts", TEN_PERCENT, **key) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (first.json, len(rows(house, "SELECT 1 FROM discount_codes"))) == (again.json, 1)


def test_ec025_a_change_names_the_version_that_was_read(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    path = f"/discounts/{make_discount(house, seeded)}"

    blind = manager.call("PATCH", path, {"percent_bp": 500})
    done = manager.call("PATCH", path, {"percent_bp": 500}, **{"If-Match": '"1"'})
    stale = manager.call("PATCH", path, {"percent_bp": 700}, **{"If-Match": '"1"'})

    assert (blind.status_code, done.status_code, stale.status_code) == (428, 200, 412)
    assert (done.json["percent_bp"], done.json["version"], done.json["rules_version"]) == (
        500,
        2,
        2,
    )
    versions = rows(house, "SELECT version, percent_bp FROM discount_rules ORDER BY version")
    assert [tuple(row) for row in versions] == [(1, 1000), (2, 500)]
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'discount.changed'")
    assert entry.detail == {"percent_bp": [1000, 500]}


@pytest.mark.parametrize("name", ["code", "kind", "assigned_to", "client_id"])
def test_s2_061_what_a_code_is_cannot_be_changed_and_the_answer_says_so(
    manager: Caller, house: House, seeded: Seeded, name: str
) -> None:
    path = f"/discounts/{make_discount(house, seeded)}"

    refused = manager.call("PATCH", path, {name: "x", "percent_bp": 1}, **{"If-Match": '"1"'})

    assert refused.status_code == 422
    assert refused.json["errors"] == [
        {
            "code": "cannot_change",
            "detail": "This cannot be changed. Make another code.",
            "pointer": f"/{name}",
        }
    ]
    assert [tuple(row) for row in rows(house, "SELECT percent_bp FROM discount_rules")] == [(1000,)]


def test_what_is_no_currency_and_no_customer_is_told_by_an_example(manager: Caller) -> None:
    refused = manager.post(
        "/discounts", FIVE_OFF | {"currency": "dollars", "assigned_to": "ann@example.com"}
    )

    told = {one["pointer"]: (one["code"], one["detail"]) for one in refused.json["errors"]}
    assert told == {
        "/assigned_to": ("type", 'Give an object such as {"email": "ann@example.com"}.'),
        "/currency": (
            "unknown_currency",
            "Give a currency by the three letters of ISO 4217, such as USD.",
        ),
    }


def test_a_limit_alone_makes_no_version_of_the_rules(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    path = f"/discounts/{make_discount(house, seeded)}"

    done = manager.call("PATCH", path, {"max_uses": 7}, **{"If-Match": '"1"'})

    assert (done.json["max_uses"], done.json["rules_version"], done.json["version"]) == (7, 1, 2)


def test_ec004_a_limit_is_not_below_what_is_used(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    path = f"/discounts/{make_discount(house, seeded)}"
    storefront = key_caller(app, house, seeded.client_id)
    for _ in range(2):
        assert storefront.post("/discounts/apply", asked()).status_code == 201

    refused = manager.call("PATCH", path, {"max_uses": 1}, **{"If-Match": '"1"'})
    exact = manager.call("PATCH", path, {"max_uses": 2}, **{"If-Match": '"1"'})

    assert (refused.status_code, refused.json["code"], refused.json["used"]) == (
        409,
        "limit_below_usage",
        2,
    )
    assert (exact.status_code, exact.json["standing"]) == (200, "exhausted")
    listed = manager.get("/discounts?standing=exhausted").json["data"]
    assert [code["id"] for code in listed] == [exact.json["id"]]


def test_ec023_what_was_used_is_never_removed(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    """Put away, it keeps its text and its history; nothing in the product deletes it."""
    path = f"/discounts/{make_discount(house, seeded)}"
    key_caller(app, house, seeded.client_id).post("/discounts/apply", asked())

    away = [manager.call("DELETE", path).json["standing"] for _ in range(2)]
    again = manager.post("/discounts", TEN_PERCENT)
    draining = manager.get("/discounts?standing=draining").json["data"]

    assert [code["code"] for code in draining] == ["SAVE10"]
    assert manager.get("/discounts?standing=archived").json["data"] == []
    assert away == ["draining", "draining"]
    assert (again.status_code, again.json["code"]) == (409, "code_exists")
    with pytest.raises(Exception, match="permission denied"):
        change(house, "DELETE FROM discount_usages")


def test_s2_060_codes_are_listed_by_standing_and_beginning(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    ends = tomorrow(house)
    make_discount(house, seeded, "SUN1")
    make_discount(house, seeded, "SUN2", starts_at=ends)
    make_discount(house, seeded, "RAIN", starts_at=ends - timedelta(days=3), expires_at=ends)
    gone = make_discount(house, seeded, "GONE", expires_at=ends)
    manager.call("DELETE", f"/discounts/{gone}")
    paused = make_discount(house, seeded, "REST")
    manager.post(f"/discounts/{paused}/pause")

    def codes(query: str) -> list[str]:
        return [code["code"] for code in manager.get(f"/discounts?{query}").json["data"]]

    assert codes("") == ["REST", "GONE", "RAIN", "SUN2", "SUN1"]
    assert codes("standing=active") == ["RAIN", "SUN1"]
    assert codes("standing=scheduled") == ["SUN2"]
    assert codes("standing=paused") == ["REST"]
    assert codes("standing=archived") == ["GONE"]
    assert codes("standing=draining") == []
    assert codes("code=sun") == ["SUN2", "SUN1"]
    assert codes("code=%25") == codes("code=_") == []
    first = manager.get("/discounts?limit=2").json
    rest = manager.get(f"/discounts?cursor={first['next_cursor']}").json
    assert len(first["data"]) + len(rest["data"]) == 5


def test_s2_051_who_looks_changes_nothing(app: Flask, house: House, seeded: Seeded) -> None:
    path = f"/discounts/{make_discount(house, seeded)}"
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="viewer")
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False), name="stranger")

    assert viewer.get(path).status_code == 200
    assert viewer.call("DELETE", path).status_code == 403
    assert viewer.post("/discounts", FIVE_OFF).status_code == 403
    assert stranger.get(path).status_code == stranger.call("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("code=save10&subtotal_minor=9999&currency=USD", (True, 1000, 8999, None)),
        ("code=nothing&subtotal_minor=9999&currency=USD", (False, 0, 9999, "code_invalid")),
        ("code=five&subtotal_minor=300&currency=USD", (True, 300, 0, None)),
        ("code=five&subtotal_minor=300&currency=EUR", (False, 0, 300, "currency_mismatch")),
        ("code=some&subtotal_minor=300&currency=USD", (True, 30, 270, None)),
        ("code=last&subtotal_minor=300&currency=USD", (False, 0, 300, "slot_exhausted")),
        (
            "code=save10&subtotal_minor=300&currency=USD&customer=ann@x.example",
            (False, 0, 300, "already_reserved"),
        ),
    ],
)
def test_s2_036_a_code_is_looked_at_without_taking_a_slot(
    app: Flask,
    manager: Caller,
    house: House,
    seeded: Seeded,
    query: str,
    told: tuple[bool, int, int, str | None],
) -> None:
    """S2-036, S2-141"""
    make_discount(house, seeded)
    manager.post("/discounts", FIVE_OFF)
    make_discount(house, seeded, "SOME", products=("SKU-9",))
    make_discount(house, seeded, "LAST", max_uses=1)
    storefront = key_caller(app, house, seeded.client_id)
    storefront.post("/discounts/apply", asked("LAST"))
    storefront.post("/discounts/apply", asked(who="ann@x.example"))

    answer = storefront.get(f"/discounts/validate?{query}")

    assert answer.status_code == 200
    names = ("valid", "discount_minor", "total_minor", "reason")
    assert tuple(answer.json[name] for name in names) == told
    assert len(rows(house, "SELECT 1 FROM discount_usages")) == 2
