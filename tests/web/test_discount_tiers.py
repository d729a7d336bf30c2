"""Discounts that grow with what is spent: made, changed, imported, generated and used (S2-127)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from pipelines.wiring import House
from tests.discounting import asked, cart
from tests.driving import change, drain, rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.test_book_codes import ended
from tests.web.test_discount_imports import listed, upload
from tests.web.test_discounts import TEN_PERCENT, problems

TIERS = [{"from_minor": 10_000, "percent_bp": 1500}, {"from_minor": 20_000, "percent_bp": 2000}]
MORE = TEN_PERCENT | {"currency": "USD", "tiers": TIERS}


def test_s2_127_ec025_a_cart_gets_what_its_subtotal_reaches_of_the_version_it_reserved(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    made = manager.post("/discounts", MORE)
    path = f"/discounts/{made.json['id']}"
    shop = key_caller(app, house, seeded.client_id)

    def looked(subtotal: int) -> int:
        query = f"code=save10&subtotal_minor={subtotal}&currency=USD"
        found: int = shop.get(f"/discounts/validate?{query}").json["discount_minor"]
        return found

    offs = [looked(subtotal) for subtotal in (9_999, 10_000, 19_999, 20_000)]
    basket = cart(9_999, 1, reference="cart-1")
    ann = {"cart": basket, "customer": {"email": "ann@x.example"}}
    first = shop.post("/discounts/apply", asked(**ann))
    worse = manager.call(*("PATCH", path, {"tiers": [TIERS[0], TIERS[0]]}), **{"If-Match": '"1"'})
    none = manager.call("PATCH", path, {"tiers": None}, **{"If-Match": '"1"'})
    again = shop.post("/discounts/apply", asked(**ann))
    later = shop.post("/discounts/apply", asked(cart=cart(10_000)))

    assert (made.status_code, made.json["tiers"]) == (201, TIERS)
    assert offs == [1_000, 1_500, 3_000, 4_000]
    assert [answer.json["quote"]["discount_minor"] for answer in (first, again, later)] == [
        *(1_500, 1_500),
        1_000,
    ]
    assert (worse.status_code, problems(worse)) == (
        422,
        [
            ("/tiers/1/from_minor", "tier_not_ascending"),
            ("/tiers/1/percent_bp", "tier_not_ascending"),
        ],
    )
    assert (none.json["tiers"], none.json["rules_version"]) == (None, 2)
    kept = rows(house, "SELECT tiers FROM discount_rules ORDER BY version")
    assert [row.tiers for row in kept] == [TIERS, None]
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'discount.changed'")
    assert entry.detail == {"tiers": ["10000:1500;20000:2000", None]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tiers": []}, [("/tiers", "out_of_range")]),
        (
            {"tiers": [{"from_minor": 0, "percent_bp": 1}]},
            [("/tiers/0/from_minor", "out_of_range")],
        ),
        ({"tiers": [{"from_minor": 5}]}, [("/tiers/0/percent_bp", "required")]),
        ({"tiers": [TIERS[0] | {"off": 1}]}, [("/tiers/0/off", "unknown_field")]),
        ({"currency": None}, [("/currency", "required")]),
        ({"percent_bp": 1500}, [("/tiers/0/percent_bp", "tier_not_ascending")]),
    ],
)
def test_s2_127_a_wrong_tier_is_named_by_its_pointer(
    manager: Caller, house: House, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    refused = manager.post("/discounts", MORE | body)

    assert (refused.status_code, problems(refused)) == (422, expected)
    assert rows(house, "SELECT 1 FROM discount_codes") == []


def test_s2_131_s2_127_tiers_come_in_files_and_leave_in_them(manager: Caller, house: House) -> None:
    head = "code,kind,percent_bp,amount_minor,currency,tiers\r\n"
    text = (
        head + "GOOD1,percent,1000,,USD,10000:1500; 20000 : 2000\r\n"
        "GOOD2,fixed,,500,USD,10000:2000\r\nGOOD3,percent,1000,,,\r\n"
        "BAD01,percent,1000,,USD,10000\r\nBAD02,percent,1000,,USD,10000:10001\r\n"
        "BAD03,percent,1000,,USD,10000:1000\r\nBAD04,percent,1000,,,10000:1500\r\n"
    )
    row = {"kind": "fixed", "amount_minor": 500, "currency": "USD"}
    tier = {"from_minor": 9_000, "amount_minor": 900}

    job = ended(manager, house, upload(manager, text, "skip"))
    keyed = {"Idempotency-Key": "listed"}
    mixed = manager.post(
        "/discounts/import", {"codes": [row | {"code": "MIX1", "tiers": TIERS}]}, **keyed
    )
    rest = ended(
        manager,
        house,
        manager.post(
            "/discounts/import", {"codes": [row | {"code": "JSON1", "tiers": [tier]}]}, **keyed
        ),
    )

    codes = listed(manager, job)
    assert {code: told["tiers"] for code, told in codes.items()} == {
        "GOOD1": TIERS,
        "GOOD2": [{"from_minor": 10_000, "amount_minor": 2_000}],
        "GOOD3": None,
    }
    items = rows(house, "SELECT field, code FROM items ORDER BY position")
    assert [tuple(item) for item in items] == [
        ("tiers", "invalid_tiers"),
        ("tiers", "out_of_range"),
        ("tiers", "tier_not_ascending"),
        ("currency", "required"),
    ]
    assert (mixed.status_code, problems(mixed)) == (422, [("/codes/0/tiers", "invalid_tiers")])
    assert listed(manager, rest)["JSON1"]["tiers"] == [tier]
    file = manager.get("/discounts.csv").get_data(as_text=True)
    assert '"10000:1500;20000:2000"' in file


def test_s2_127_codes_are_generated_with_tiers_and_a_wish_of_an_older_release_without(
    manager: Caller, house: House
) -> None:
    rules = {name: MORE[name] for name in ("kind", "percent_bp", "currency")}
    pattern = {"prefix": "SUN", "random_length": 10}
    wish = rules | {"pattern": pattern, "count": 1, "tiers": TIERS}

    made = [
        UUID(manager.post("/discounts/generate", wish, **{"Idempotency-Key": key}).json["id"])
        for key in ("new", "old")
    ]
    change(house, "UPDATE jobs SET spec = spec #- '{rules,tiers}' WHERE id = :job", job=made[1])
    drain(house)

    found = rows(
        house,
        "SELECT c.batch_id, r.tiers FROM discount_rules r JOIN discount_codes c ON c.id = r.code_id",
    )
    assert {row.batch_id: row.tiers for row in found} == {made[0]: TIERS, made[1]: None}


@pytest.mark.parametrize(
    "tiers",
    [
        "{}",
        "[]",
        "[1]",
        '[{"from_minor": 5}]',
        '[{"from_minor": "5", "percent_bp": 1200}]',
        '[{"from_minor": 5, "amount_minor": 1200}]',
        '[{"from_minor": 5, "percent_bp": 10001}]',
    ],
)
def test_s2_127_the_table_takes_no_other_shape(manager: Caller, house: House, tiers: str) -> None:
    made = manager.post("/discounts", MORE).json["id"]

    with pytest.raises(IntegrityError, match="ck_discount_rules_tiers"):
        change(
            house,
            "INSERT INTO discount_rules (code_id, version, agency_id, client_id, kind, percent_bp,"
            " currency, tiers, created_by) SELECT code_id, 2, agency_id, client_id, kind,"
            " percent_bp, currency, CAST(:tiers AS jsonb), created_by FROM discount_rules"
            " WHERE code_id = :code",
            code=made,
            tiers=tiers,
        )
