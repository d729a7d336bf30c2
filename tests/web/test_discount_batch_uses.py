"""Codes that a job made, where they are used (S2-126, S2-131)."""

from flask import Flask

from pipelines.wiring import House
from tests.discounting import asked
from tests.driving import change, drain, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.test_book_codes import ended, rejects
from tests.web.test_discount_batches import codes_of, generated
from tests.web.test_discount_imports import upload


def test_generated_codes_take_something_off_at_the_checkout(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    """S2-131: each is of its own, and is used once."""
    job = generated(manager, house, count=2)
    one, other = (code["code"] for code in codes_of(manager, job))
    storefront = key_caller(app, house, seeded.client_id)

    applied = storefront.post("/discounts/apply", asked(one))
    spent = storefront.post("/discounts/apply", asked(one))
    beside = storefront.post("/discounts/apply", asked(other))

    assert (applied.status_code, applied.json["quote"]["discount_minor"]) == (201, 1_000)
    assert (spent.status_code, spent.json["code"]) == (409, "slot_exhausted")
    assert beside.status_code == 201
    drain(house)
    assert_proven(house)


def test_s2_126_codes_of_files_and_jobs_have_groups_and_jobs_from_before_have_none(
    manager: Caller, house: House
) -> None:
    """EC-028, S2-126, S2-131: a wrong group is said by its row; old specs know nothing of groups."""
    text = (
        "code,kind,percent_bp,stacking_group\r\nFILE10,percent,1000,loyalty\r\n"
        "FILE20,percent,2000,\r\nFILE30,percent,3000,No Group\r\n"
    )
    body = {
        "pattern": {"prefix": "SUN", "random_length": 12},
        "count": 1,
        "kind": "percent",
        "percent_bp": 1_000,
        "stacking_group": "season",
    }

    file = upload(manager, text, "skip")
    job = ended(manager, house, file)
    manager.post("/discounts/generate", body, Idempotency_Key="g1")
    manager.post(
        "/discounts/generate",
        body | {"pattern": {"prefix": "OLD", "random_length": 12}},
        Idempotency_Key="g2",
    )
    change(
        house,
        "UPDATE jobs SET spec = spec #- '{rules,stacking_group}' "
        "WHERE spec->'pattern'->>'prefix' = 'OLD'",
    )
    drain(house)

    found = rows(
        house,
        "SELECT left(c.code, 3) AS code, r.stacking_group FROM discount_codes c "
        "JOIN discount_rules r ON r.code_id = c.id ORDER BY c.code",
    )
    assert [tuple(row) for row in found] == [
        ("FIL", "loyalty"),
        ("FIL", None),
        ("OLD", None),
        ("SUN", "season"),
    ]
    (reject,) = rejects(manager, job)
    assert reject[:2] == (3, "invalid_group")
    assert_proven(house)
