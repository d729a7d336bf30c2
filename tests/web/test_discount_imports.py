"""Files of discount codes over HTTP: judged row by row, kept whole or not at all (S2-131, EC-024)."""

import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from pipelines.wiring import House
from tests.discounting import asked, make_discount
from tests.driving import change, drain, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller
from tests.web.test_book_codes import ended, rejects

HEAD = (
    "code,kind,percent_bp,amount_minor,currency,max_uses,max_uses_per_customer,min_subtotal_minor,"
    "max_discount_minor,starts_at,expires_at,products\r\n"
)


def upload(caller: Caller, text: str, mode: str = "abort", key: str = "u1") -> TestResponse:
    return caller.client.post(
        f"/api/v1/discounts/import?on_error={mode}",
        data=text.encode(),
        content_type="text/csv",
        headers=caller.headers | {"Idempotency-Key": key},
    )


def listed(caller: Caller, job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    codes = caller.get(f"/discounts?limit=100&batch_id={job['id']}").json["data"]
    return {code["code"]: code for code in codes}


def test_s2_131_a_file_of_codes_is_taken_with_its_rules(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    """EC-024: one spelling; an empty cell is as one that is not there."""
    text = (
        HEAD + " save10 ,percent,1000,,,,,,,,,\r\n"
        "FIVE,fixed,,500,USD,20,0,2000,,2026-01-01T00:00:00Z,2090-01-01T00:00:00+02:00,SKU-0; SKU-9\r\n"
        "MOST,percent,2500,,USD,,3,,900,,,\r\n"
    )

    first, again = upload(manager, text), upload(manager, text)
    job = ended(manager, house, first)

    assert first.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")
    assert (job["kind"], job["state"]) == ("discount_import", "succeeded")
    codes = listed(manager, job)
    assert sorted(codes) == ["FIVE", "MOST", "SAVE10"]
    save, five, most = codes["SAVE10"], codes["FIVE"], codes["MOST"]
    assert (save["percent_bp"], save["currency"], save["products"]) == (1000, None, None)
    assert (save["max_uses"], save["max_uses_per_customer"]) == (None, 1)
    assert (five["amount_minor"], five["currency"], five["min_subtotal_minor"]) == (
        500,
        "USD",
        2000,
    )
    assert (five["max_uses"], five["max_uses_per_customer"]) == (20, None)
    assert (five["products"], five["expires_at"][:13]) == (["SKU-0", "SKU-9"], "2089-12-31T22")
    assert (most["max_discount_minor"], most["max_uses_per_customer"]) == (900, 3)
    storefront = key_caller(app, house, seeded.client_id)
    assert storefront.post("/discounts/apply", asked("five")).status_code == 201
    entries = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'discount_batch.imported'"
    )
    assert [row.detail for row in entries] == [{"codes": 3, "refused": 0}]
    assert rows(house, "SELECT 1 FROM job_inputs") == []
    assert_proven(house)


#: A row, and what is wrong with it.
BAD = [
    ("SH,percent,1000,,,,,,,,,", "code", "code_length"),
    ("SAV\u0415-1,percent,1000,,,,,,,,,", "code", "code_charset"),
    (",percent,1000,,,,,,,,,", "code", "required"),
    ("AAAA1,half,1000,,,,,,,,,", "kind", "choice"),
    ("AAAA2,percent,,,,,,,,,,", "percent_bp", "required"),
    ("AAAA3,percent,10001,,,,,,,,,", "percent_bp", "out_of_range"),
    ("AAAA4,percent,12.5,,,,,,,,,", "percent_bp", "invalid_number"),
    ("AAAA5,percent,10,5,USD,,,,,,,", "amount_minor", "not_both"),
    ("AAAA6,fixed,,-5,USD,,,,,,,", "amount_minor", "invalid_amount"),
    ("AAAA7,fixed,,0,USD,,,,,,,", "amount_minor", "amount_not_positive"),
    ("AAAA8,fixed,,5,,,,,,,,", "currency", "required"),
    ("AAAA9,fixed,,5,XXX,,,,,,,", "currency", "unknown_currency"),
    ("BBBB1,percent,10,,,0,,,,,,", "max_uses", "out_of_range"),
    ("BBBB2,percent,10,,,,many,,,,,", "max_uses_per_customer", "invalid_number"),
    ("BBBB3,percent,10,,,,,,,2027-01-31T09:00:00,,", "starts_at", "timezone_required"),
    ("BBBB4,percent,10,,,,,,,,31.1.2027,", "expires_at", "invalid_timestamp"),
    ("BBBB5,percent,10,,,,,,,,1027-01-31T09:00:00Z,", "expires_at", "invalid_timestamp"),
    (
        "BBBB6,percent,10,,,,,,,2027-01-31T09:00:00Z,2027-01-31T09:00:00+01:00,",
        *("expires_at", "window_ends_first"),
    ),
    ("BBBB7,percent,10,,,,,,,,,A;;B", "products", "too_long"),
    ("BBBB8,percent,10,,,,,,,,", None, "column_count"),
    ("good-1,percent,10,,,,,,,,,", "code", "duplicate_row"),
    ("TAKEN,percent,10,,,,,,,,,", "code", "code_exists"),
]


def bad_file(house: House, seeded: Seeded) -> str:
    """Two good rows around the others; a stranger's code is no matter."""
    make_discount(house, seeded, "TAKEN")
    make_discount(house, seed(house, vendor=False), "GOOD-2")
    lines = ["GOOD-1,percent,1000,,,,,,,,,", *(row for row, _, _ in BAD)]
    return HEAD + "\r\n".join([*lines, "GOOD-2,percent,1000,,,,,,,,,", ""])


@pytest.mark.parametrize("mode", ["abort", "skip"])
def test_s2_131_what_is_wrong_with_rows_is_told_row_by_row(
    manager: Caller, house: House, seeded: Seeded, mode: str
) -> None:
    """EC-101: one wrong row keeps the file out, or only itself."""
    job = ended(manager, house, upload(manager, bad_file(house, seeded), mode))

    items = manager.get(f"/jobs/{job['id']}/items?limit=100").json["data"]
    told = [(item["position"], item["field"], item["error"]["code"]) for item in items]
    assert told == [(row, field, code) for row, (_, field, code) in enumerate(BAD, 2)]
    if mode == "abort":
        assert (job["state"], job["error"]["code"]) == ("failed", "rows_refused")
        assert (job["counts"]["failed"], job["counts"]["cancelled"]) == (len(BAD), 2)
        assert listed(manager, job) == {}
    else:
        assert (job["state"], job["error"]) == ("partially_succeeded", None)
        assert sorted(listed(manager, job)) == ["GOOD-1", "GOOD-2"]
    details = {row: detail for row, _code, detail in rejects(manager, job)}
    assert details[22] == "The same code stands in row 1."
    assert details[23] == "The client has this code already."
    report = manager.get(f"/jobs/{job['id']}/results.csv").data.decode()
    assert report.count("\r\n") == len(BAD) + 1
    assert '"17","failed","expires_at","invalid_timestamp"' in report
    assert_proven(house)


def test_s2_131_a_file_says_what_becomes_of_refunds_late_payments_and_leaks(
    manager: Caller, house: House
) -> None:
    text = (
        "code,kind,percent_bp,first_order_only,restore_on_refund,on_late,watch_leaks,"
        "assigned_to,currency,tiers\r\n"
        + "".join(
            f"{row}\r\n"
            for row in (
                "AAAA1,percent,10,TRUE,customer,refund,false,ann@x.example,USD,10000:1500",
                "AAAA2,percent,10,,,,,,,",
                "AAAA3,percent,10,1,,,,,,",
                "AAAA4,percent,10,,all,,,,,",
                "AAAA5,percent,10,,,keep,,,,",
                "AAAA6,percent,10,,,,no,,,",
            )
        )
    )

    job = ended(manager, house, upload(manager, text, "skip"))

    names = ("first_order_only", "restore_on_refund", "on_late", "watch_leaks")
    codes = listed(manager, job)
    told = {code: [one[name] for name in names] for code, one in codes.items()}
    assert told == {
        "AAAA1": [True, "customer", "refund", False],
        "AAAA2": [False, "nothing", "confirm", True],
    }
    # Beside them, a row says whom it is for and its tiers (EC-017, S2-127).
    assert [codes[name]["is_assigned"] for name in ("AAAA1", "AAAA2")] == [True, False]
    assert codes["AAAA1"]["tiers"] == [{"from_minor": 10_000, "percent_bp": 1_500}]
    items = manager.get(f"/jobs/{job['id']}/items").json["data"]
    assert [(item["field"], item["error"]["code"]) for item in items] == [
        (name, "choice") for name in names
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_file"),
        ("code\r\nSAVE10\r\n", "missing_columns"),
        ("code,kind,percent\r\nSAVE10,percent,10\r\n", "unknown_columns"),
        ("PK\x03\x04", "unsupported_media_type"),
    ],
)
def test_a_file_that_is_none_is_refused_at_once(
    manager: Caller, house: House, content: str, code: str
) -> None:
    assert upload(manager, content).json["code"] == code
    assert rows(house, "SELECT 1 FROM jobs") == rows(house, "SELECT 1 FROM discount_batches") == []


def test_s2_131_rows_of_a_json_body_are_taken(manager: Caller, house: House) -> None:
    body = {
        "codes": [
            {
                "code": "save10",
                "kind": "percent",
                "percent_bp": 1000,
                "products": ["A", "B"],
                "first_order_only": True,
                "restore_on_refund": "slot",
                "on_late": "refund",
                "watch_leaks": False,
            },
            {
                "code": "FIVE",
                "kind": "fixed",
                "amount_minor": 500,
                "currency": "USD",
                "max_uses_per_customer": None,
                "starts_at": "2026-01-01T00:00:00+02:00",
            },
            {"code": "SAVE10", "kind": "percent", "percent_bp": 1},
        ],
        "on_error": "skip",
    }

    answer = manager.post("/discounts/import", body, Idempotency_Key="j1")
    job = ended(manager, house, answer)

    codes = listed(manager, job)
    assert (codes["SAVE10"]["products"], codes["SAVE10"]["max_uses_per_customer"]) == (
        ["A", "B"],
        1,
    )
    save, five = (
        [codes[code][name] for name in ("first_order_only", "restore_on_refund", "on_late")]
        for code in ("SAVE10", "FIVE")
    )
    assert (save, codes["SAVE10"]["watch_leaks"]) == ([True, "slot", "refund"], False)
    assert (five, codes["FIVE"]["watch_leaks"]) == ([False, "nothing", "confirm"], True)
    assert (codes["FIVE"]["max_uses_per_customer"], codes["FIVE"]["starts_at"][:13]) == (
        *(None, "2025-12-31T22"),
    )
    assert [(row, code) for row, code, _ in rejects(manager, job)] == [(3, "duplicate_row")]


def test_s2_131_a_row_of_a_body_does_what_the_code_alone_would(
    manager: Caller, house: House
) -> None:
    """EC-024: its products whole, however many, however they begin; a cell too long costs its row."""
    many = ["'=A", *(f"{number:0100d}" for number in range(499))]
    body = {"codes": [{"code": "MANY", "kind": "percent", "percent_bp": 1, "products": many}]}
    long = HEAD + f"LONG,percent,1000,,{'U' * 4_097},,,,,,,\r\nSAVE10,percent,1000,,,,,,,,,\r\n"

    alone = manager.post("/discounts", body["codes"][0] | {"code": "ALONE"})
    job = ended(manager, house, manager.post("/discounts/import", body, Idempotency_Key="j1"))
    file = ended(manager, house, upload(manager, long, "skip"))

    assert alone.json["products"] == many
    assert (job["state"], listed(manager, job)["MANY"]["products"]) == ("succeeded", many)
    assert [(row, code) for row, code, _ in rejects(manager, file)] == [(1, "too_long")]
    assert list(listed(manager, file)) == ["SAVE10"]


def test_s2_131_a_form_says_in_its_parts_what_the_address_may_say(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    """A part beside the file counts; one that is not known is refused, and nothing taken."""
    text = HEAD + "GOOD-1,percent,1000,,,,,,,,,\r\nBAD!,percent,1000,,,,,,,,,\r\n"

    def sent(key: str, **parts: str) -> TestResponse:
        return manager.client.post(
            "/api/v1/discounts/import",
            data=parts | {"file": (io.BytesIO(text.encode()), "codes.csv")},
            content_type="multipart/form-data",
            headers=manager.headers | {"Idempotency-Key": key},
        )

    refused = [sent("u1", on_error="skp"), sent("u2", onerror="skip")]
    assert rows(house, "SELECT 1 FROM jobs") == []
    job = ended(manager, house, sent("u3", on_error="skip", client_id=str(seeded.client_id)))

    assert [one.status_code for one in refused] == [422, 422]
    assert [one.json["errors"][0]["pointer"] for one in refused] == ["/on_error", "/onerror"]
    assert (job["state"], list(listed(manager, job))) == ("partially_succeeded", ["GOOD-1"])


@pytest.mark.parametrize(
    ("row", "pointer", "code"),
    [
        ({"percent_bp": "10"}, "/codes/0/percent_bp", "type"),
        ({"products": ["A;B"]}, "/codes/0/products", "illegal_character"),
        ({"starts_at": "2026-01-01T00:00:00"}, "/codes/0/starts_at", "timezone_required"),
        ({"used": 3}, "/codes/0/used", "unknown_field"),
    ],
)
def test_ec030_a_row_of_a_body_that_is_none_is_refused(
    manager: Caller, house: House, row: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"codes": [{"code": "save10", "kind": "percent", "percent_bp": 1000} | row]}

    refused = manager.post("/discounts/import", body, Idempotency_Key="j1")

    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [(pointer, code)]
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_s2_131_an_import_that_ends_before_it_is_read_takes_nothing(
    manager: Caller, house: House
) -> None:
    """Cancelled, put away, and of a client that was suspended meanwhile."""
    text = HEAD + "SAVE10,percent,1000,,,,,,,,,\r\n"
    jobs = [upload(manager, text, key=f"u{n}").json for n in range(3)]
    manager.post(f"/jobs/{jobs[0]['id']}/cancel")
    manager.call("DELETE", f"/discounts/batches/{jobs[1]['id']}")
    manager.post(f"/jobs/{jobs[2]['id']}/pause")
    drain(house)
    change(house, "UPDATE clients SET suspended_at = now()")
    change(house, "UPDATE jobs SET state = 'queued', paused_at = NULL WHERE state = 'paused'")
    drain(house)
    change(house, "UPDATE clients SET suspended_at = NULL")

    ends = [manager.get(f"/jobs/{job['id']}").json for job in jobs]

    assert [(job["state"], job["error"] and job["error"]["code"]) for job in ends] == [
        ("cancelled", None),
        ("failed", "batch_archived"),
        ("failed", "account_suspended"),
    ]
    assert rows(house, "SELECT 1 FROM discount_codes") == []
    assert rows(house, "SELECT 1 FROM job_inputs") == []
    assert_proven(house)
