"""Discount codes by the thousand over HTTP: generated and moved as a batch (S2-131, EC-028)."""

import csv
import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from pipelines.discounts import code_export
from pipelines.discounts.code_export import codes_csv
from pipelines.jobs.csv_writer import unguarded
from pipelines.wiring import House
from tests.discounting import asked, make_discount
from tests.driving import change, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.statements import statements
from tests.web.conftest import Caller, signed_in
from tests.web.test_book_codes import ended

SUN = {
    "pattern": {"prefix": "SUN", "random_length": 13},
    "count": 30,
    "kind": "percent",
    "percent_bp": 1000,
    "max_uses": 1,
    "min_subtotal_minor": 500,
    "currency": "USD",
    "products": ["SKU-0", "SKU-1"],
    "expires_at": "2090-01-01T00:00:00+02:00",
}


def generated(manager: Caller, house: House, key: str = "g1", **given: Any) -> dict[str, Any]:
    """The job that has made the codes."""
    return ended(
        manager, house, manager.post("/discounts/generate", SUN | given, Idempotency_Key=key)
    )


def codes_of(manager: Caller, job: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    return manager.get(f"/discounts?limit=100&batch_id={job['id']}&{query}").json["data"]


def test_s2_131_codes_are_generated_with_one_set_of_rules(manager: Caller, house: House) -> None:
    """EC-028: exactly as many, of the pattern, each with its own count; the same key makes none anew."""
    first, again = (
        manager.post("/discounts/generate", SUN, Idempotency_Key="g1") for _ in range(2)
    )
    job = ended(manager, house, first)

    assert first.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert first.headers["Retry-After"] == "1"
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")
    assert (job["kind"], job["state"], job["counts"]["succeeded"]) == (
        *("discount_generation", "succeeded", 30),
    )
    codes = codes_of(manager, job)
    assert len({code["code"] for code in codes}) == 30
    assert all(re.fullmatch("SUN-[2-9A-HJKMNP-Z]{13}", code["code"]) for code in codes)
    told = {name: codes[0][name] for name in SUN if name not in ("pattern", "count", "expires_at")}
    assert told.items() <= SUN.items()
    assert codes[0]["expires_at"].startswith("2089-12-31T22:00:00")
    assert (codes[0]["max_uses_per_customer"], codes[0]["standing"]) == (1, "active")
    entries = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'discount_batch.generated'"
    )
    assert [row.detail for row in entries] == [{"codes": 30}]
    assert_proven(house)


def test_ec028_too_small_a_pattern_is_refused_with_what_it_needs(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    """EC-028: 9,000 of `##-##`; a code that somebody made by hand counts, too."""
    digits = {"random_length": 4, "alphabet": "0123456789"}
    asked_for = SUN | {"pattern": digits, "count": 10, "max_uses": 2}
    many = manager.post("/discounts/generate", asked_for | {"count": 9_000}, Idempotency_Key="a")
    unnamed = manager.post("/discounts/generate", asked_for)
    make_discount(house, seeded, "0815")
    make_discount(house, seeded, "ABCD")
    beside_one = manager.post("/discounts/generate", asked_for, Idempotency_Key="b")
    change(house, "UPDATE discount_codes SET code = 'OTHER' WHERE code = '0815'")
    alone = manager.post("/discounts/generate", asked_for, Idempotency_Key="c")

    assert (many.status_code, many.json["code"]) == (422, "pattern_space_too_small")
    assert (many.json["space"], many.json["random_length"]) == (10_000, 7)
    assert (unnamed.status_code, unnamed.json["code"]) == (400, "idempotency_key_required")
    assert (beside_one.status_code, beside_one.json["needed"]) == (422, 11_000)
    assert alone.status_code == 202
    # What is being made counts as if it were there, of whatever alphabet it is.
    letters = asked_for | {"pattern": digits | {"alphabet": "0123456789A"}, "count": 5}
    assert manager.post("/discounts/generate", letters, Idempotency_Key="d").status_code == 422


def test_sec019_codes_for_a_single_use_are_too_long_to_guess(manager: Caller, house: House) -> None:
    """SEC-19, EC-029: whoever finds one has it, as a sealed coupon."""
    short = SUN | {"pattern": {"prefix": "SUN", "random_length": 8}}
    found = [
        manager.post("/discounts/generate", short | given, Idempotency_Key=f"g{n}")
        for n, given in enumerate(({}, {"max_uses": 2}, {"max_uses": None}))
    ]

    assert [answer.status_code for answer in found] == [422, 202, 202]
    assert found[0].json["code"] == "pattern_space_too_small"
    assert found[0].json["random_length"] == 13


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"percent_bp": None}, "/percent_bp", "required"),
        ({"amount_minor": 5}, "/amount_minor", "not_both"),
        ({"pattern": {"random_length": 0}}, "/pattern/random_length", "out_of_range"),
        ({"pattern": {"random_length": 3}}, "/pattern/random_length", "code_length"),
        ({"pattern": {"prefix": "-", "random_length": 8}}, "/pattern/prefix", "code_charset"),
        (
            {"pattern": {"random_length": 8, "alphabet": "AAB"}},
            *("/pattern/alphabet", "invalid_alphabet"),
        ),
        ({"count": 0}, "/count", "out_of_range"),
        ({"count": 100_001}, "/count", "out_of_range"),
        ({"code": "SUN"}, "/code", "unknown_field"),
        ({"expires_at": "2090-01-01T00:00:00"}, "/expires_at", "timezone_required"),
    ],
)
def test_s2_044_what_cannot_be_generated_is_said_by_its_field(
    manager: Caller, house: House, body: dict[str, Any], pointer: str, code: str
) -> None:
    refused = manager.post("/discounts/generate", SUN | body, Idempotency_Key="g1")

    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [(pointer, code)]
    assert rows(house, "SELECT 1 FROM jobs") == rows(house, "SELECT 1 FROM discount_batches") == []


def test_s2_131_a_batch_is_paused_resumed_and_put_away_in_one_call(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    """EC-004, EC-026: what is reserved may still be paid; a code beside the batch stays as it is.

    One that was paused by itself goes with the others: a person has seen to it (EC-017).
    """
    make_discount(house, seeded, "ALONE")
    job = generated(manager, house, products=None, count=5)
    path = f"/discounts/batches/{job['id']}"
    storefront = key_caller(app, house, seeded.client_id)
    first, second, third, *_rest = codes_of(manager, job)
    manager.post(f"/discounts/{second['id']}/pause")
    leaked = "UPDATE discount_codes SET pause_reason = 'leak_suspected' WHERE id = :id"
    change(house, leaked, id=second["id"])
    manager.call("DELETE", f"/discounts/{third['id']}")
    kept = storefront.post("/discounts/apply", asked(first["code"]))

    paused = manager.post(f"{path}/pause", Idempotency_Key="p1")
    again = manager.post(f"{path}/pause", Idempotency_Key="p1")
    refused = storefront.post("/discounts/apply", asked(second["code"]))
    standing = sorted(code["standing"] for code in codes_of(manager, job))
    resumed = manager.post(f"{path}/resume")
    active = len(codes_of(manager, job, "standing=active"))
    away = manager.call("DELETE", path)
    too_late = manager.post(f"{path}/resume")

    assert kept.status_code == 201
    assert (paused.json["state"], paused.json["codes"], paused.json["used"]) == ("paused", 5, 1)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert refused.json["code"] == "code_inactive"
    assert standing == ["archived", "paused", "paused", "paused", "paused"]
    assert (resumed.json["state"], active) == ("active", 3)  # one is used up, one put away
    assert (away.json["state"], manager.call("DELETE", path).json) == ("archived", away.json)
    assert (too_late.status_code, too_late.json["code"]) == (409, "batch_archived")
    standing = sorted(code["standing"] for code in codes_of(manager, job))
    assert standing == ["archived"] * 4 + ["draining"]
    assert manager.get("/discounts?code=alone").json["data"][0]["standing"] == "active"
    told = rows(
        house,
        "SELECT action, detail FROM audit_entries WHERE object_kind = 'discount_batch' ORDER BY id",
    )
    assert [(row.action.partition(".")[2], row.detail["codes"]) for row in told] == [
        *(("generated", 5), ("paused", 3), ("resumed", 4), ("archived", 4)),
    ]


def test_s2_131_the_codes_of_a_batch_are_a_file(
    manager: Caller, house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-35: page by page, each code once, none a formula; who takes it stands in the audit."""
    monkeypatch.setattr(code_export, "PAGE_ROWS", 2)
    make_discount(house, seeded, "ALONE")
    job = generated(manager, house, count=5)
    first = codes_of(manager, job)[0]
    change(house, "UPDATE discount_codes SET code = '-SAVE' WHERE id = :id", id=first["id"])

    answer = manager.get(f"/discounts/batches/{job['id']}/codes.csv")

    lines = list(csv.DictReader(answer.text.lstrip("\ufeff").splitlines()))
    found = {unguarded(line["code"]) for line in lines}
    assert found == {code["code"] for code in codes_of(manager, job)}
    assert lines[0]["code"] == "'-SAVE"
    assert (len(lines), {line["standing"] for line in lines}) == (5, {"active"})
    assert (lines[0]["used"], lines[0]["max_uses"]) == ("0", "1")
    assert lines[0]["expires_at"].startswith("2089-12-31T22:00:00")
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'discount_batch.exported'")
    assert [row.detail for row in told] == [{"codes": 5}]


def test_ec040_a_file_of_codes_is_read_in_short_pieces_while_more_are_made(
    manager: Caller, house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC-040: exact as of its beginning, by keyset, with no transaction open between its pieces."""
    monkeypatch.setattr(code_export, "PAGE_ROWS", 2)
    monkeypatch.setattr("pipelines.jobs.csv_writer.BLOCK_CHARACTERS", 1)
    job = generated(manager, house, count=5)
    before = [code["code"] for code in codes_of(manager, job)]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)

    with statements(house) as sent:
        blocks = codes_csv(house.sessions, client(seeded.client_id), UUID(job["id"]), now=now)
        # A transaction that were still open would refuse this one, which does not nest.
        pieces = [next(blocks)]
        late = make_discount(house, seeded, "LATE")
        change(
            house,
            "UPDATE discount_codes SET batch_id = :job WHERE id = :id",
            job=job["id"],
            id=late,
        )
        pieces += blocks

    lines = list(csv.DictReader(b"".join(pieces).decode().lstrip("\ufeff").splitlines()))
    assert [line["code"] for line in lines] == before
    pages = [statement for statement in sent if "ORDER BY c.id DESC LIMIT" in statement]
    assert len(pages) == 4
    assert not any("OFFSET" in statement for statement in pages)


def test_sec004_who_only_looks_takes_no_codes_that_are_good_for_whoever_has_them(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    """SEC-04, SEC-09: neither as a file, nor by the page, nor letter by letter (decision 0047)."""
    job = generated(manager, house, count=2)
    make_discount(house, seeded, "ALONE", max_uses=1)
    make_discount(house, seeded, "SHARED", max_uses=2)
    whole = {code["id"]: code["code"] for code in codes_of(manager, job)}
    files = ("/discounts.csv", f"/discounts/batches/{job['id']}/codes.csv")

    for role in (Role.CLIENT_VIEWER, Role.AGENCY_VIEWER, Role.PLATFORM_SUPPORT):
        viewer = signed_in(app, house, role, seeded)
        assert [viewer.get(path).status_code for path in files] == [403] * 2
        assert {code["id"]: code["code"] for code in codes_of(viewer, job)} == {
            one: f"****{code[-4:]}" for one, code in whole.items()
        }
        first, code = next(iter(whole.items()))
        assert viewer.get(f"/discounts/{first}").json["code"] == f"****{code[-4:]}"
        told = {
            sought: [one["code"] for one in viewer.get(f"/discounts?code={sought}").json["data"]]
            for sought in ("sun", code[:-1], code, "alone", "sha")
        }
        listed = [one["code"] for one in viewer.get("/discounts").json["data"]]
        assert listed[:2] == ["SHARED", "****"]
        assert told == {
            "sun": [],
            code[:-1]: [],
            code: [f"****{code[-4:]}"],
            "alone": ["****"],
            "sha": ["SHARED"],
        }
    assert len(manager.get(files[0]).text.splitlines()) == 5
    change(house, "UPDATE sign_ins SET proven_at = now() - interval '1 hour'")
    stale = [manager.get(path) for path in files]
    assert [answer.json["code"] for answer in stale] == ["step_up_required"] * 2


def test_sec009_a_batch_is_moved_by_who_manages_codes_and_is_nobody_else_s(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    """SEC-09, SEC-10"""
    job = generated(manager, house, count=2)
    path = f"/discounts/batches/{job['id']}"
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False))
    platform = signed_in(app, house, Role.PLATFORM_ADMIN)

    assert viewer.get(path).json["codes"] == 2
    assert viewer.post(f"{path}/pause").status_code == 403
    assert viewer.post("/discounts/generate", SUN, Idempotency_Key="v").status_code == 403
    assert stranger.get(f"{path}/codes.csv").status_code == 404
    assert stranger.get(path).status_code == stranger.post(f"{path}/pause").status_code == 404
    assert codes_of(stranger, job) == []
    unnamed = platform.post("/discounts/generate", SUN, Idempotency_Key="p")
    assert (unnamed.status_code, unnamed.json["code"]) == (422, "client_required")
    named = SUN | {"client_id": str(seeded.client_id), "count": 1}
    assert platform.post("/discounts/generate", named, Idempotency_Key="p").status_code == 202
    foreign = named | {"client_id": str(seeded.agency_id)}
    assert platform.post("/discounts/generate", foreign, Idempotency_Key="f").status_code == 404
