"""Every bad file of recipients gets the answer of the table, submitted and previewed (B01-B62)."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.bad_inputs.recipients import (
    ADDRESSES,
    AMOUNTS,
    UNREADABLE_CELLS,
    WELCOME,
    WHOLE_FILES,
)
from tests.bad_inputs.sending import (
    assert_refused,
    leaves_nothing,
    preview,
    send_recipients,
)
from tests.bad_inputs.table import Bad, each
from tests.driving import cards_csv, drain, import_cards_now, rows, view
from tests.intake import new_brand, table_sizes, with_limits
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from web.app import create_app

MEGABYTE = 1024 * 1024


@each(*WHOLE_FILES, *UNREADABLE_CELLS, *AMOUNTS, *ADDRESSES)
def test_a_bad_file_is_refused_and_leaves_nothing(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    content = bad.content

    answer = leaves_nothing(
        house, temporary, lambda: send_recipients(client_admin, seeded, content)
    )

    assert_refused(answer, bad)


@each(*WHOLE_FILES)
def test_its_preview_is_refused_too(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    content = bad.content

    answer = leaves_nothing(house, temporary, lambda: preview(client_admin, seeded, content))

    assert_refused(answer, bad)


@each(*UNREADABLE_CELLS, *AMOUNTS, *ADDRESSES)
def test_its_preview_names_the_row(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    answer = leaves_nothing(house, temporary, lambda: preview(client_admin, seeded, bad.content))

    assert answer.status_code == 200
    assert [(error["row"], error["code"]) for error in answer.json["invalid"]] == [(1, bad.row)]
    assert {"rows_refused", "no_valid_rows"} == {b["code"] for b in answer.json["blockers"]}


@each(*WELCOME)
def test_what_only_looks_bad_is_welcome(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    answer = leaves_nothing(house, temporary, lambda: preview(client_admin, seeded, bad.content))

    assert (answer.status_code, answer.json["invalid"], answer.json["blockers"]) == (200, [], [])


def test_b27_reading_stops_at_the_row_above_the_limit(
    house: House, seeded: Seeded, client_admin: Caller, temporary: Path
) -> None:
    small = create_app(with_limits(house, csv_rows_max=3)).test_client()
    caller = Caller(small, client_admin.headers)

    answer = leaves_nothing(
        house, temporary, lambda: send_recipients(caller, seeded, b"email\n" + b"a@x.de\n" * 4)
    )

    assert_refused(answer, Bad("B27", b"", 422, "too_many_rows"))


def test_b08_a_bad_byte_at_the_end_of_a_large_file_fails_the_job_and_writes_no_item(
    house: House, seeded: Seeded, client_admin: Caller, temporary: Path
) -> None:
    """Too large for the request: the upload's job fails with the same code."""
    line = b"ann@x.de," + b"n" * 200 + b"," + b"r" * 250 + b"\n"
    content = b"email,name,reference\n" + line * (17 * MEGABYTE // len(line)) + b"\xff@x.de,,\n"
    before = table_sizes(house)

    answer = send_recipients(client_admin, seeded, content)
    drain(house)
    after = table_sizes(house)

    job = view(house, answer.json["id"])
    plumbing = {"jobs": 1, "audit_entries": 1, "idempotency_keys": 1, "webhook_facts": 1}
    left = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    left.pop("key_versions", None)  # noted when a key seals for the first time
    assert answer.status_code == 202
    assert (job["state"], job["error"]["code"]) == ("failed", "encoding_not_utf8")
    assert left == plumbing


@pytest.mark.parametrize(
    ("currency", "amount", "code"),
    [
        ("JPY", "100.50", "invalid_precision"),
        ("KWD", "1.2345", "invalid_precision"),
        ("EUR", "25", None),
    ],
)
def test_b43_the_brand_s_currency_says_the_digits(
    house: House,
    client_admin: Caller,
    seeded: Seeded,
    temporary: Path,
    currency: str,
    amount: str,
    code: str | None,
) -> None:
    brand = str(new_brand(house, f"{currency} shop", currency))
    content = f"email,amount\na@x.de,{amount}\n".encode()

    plan = preview(client_admin, seeded, content, brand_id=brand)

    assert [error["code"] for error in plan.json["invalid"]] == ([code] if code else [])


def test_b42_a_row_s_brand_in_another_currency_is_a_mismatch(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    new_brand(house, "Pound shop", "GBP")
    plan = preview(client_admin, seeded, b"email,brand\na@x.de,Pound shop\n")

    assert [error["code"] for error in plan.json["invalid"]] == ["currency_mismatch"]


def test_b44_a_value_that_nobody_sells_has_no_source_and_fails_its_item(
    house: House, app: Flask, temporary: Path
) -> None:
    """Stock and vendors' routes say what there is, not a list: the plan shows it, the item fails."""
    own = seed(house, vendor=False)
    caller = signed_in(app, house, Role.CLIENT_ADMIN, own)
    content = b"email,amount\na@x.de,23\n"

    plan = preview(caller, own, content).json
    job = send_recipients(caller, own, content).json["id"]
    drain(house)

    failed = rows(house, "SELECT state, code FROM items WHERE job_id = :id", id=job)
    assert plan["sources"] == {"csv": 0, "buffer": 0, "api": 0, "none": 1}
    assert [(row.state, row.code) for row in failed] == [("failed", "no_inventory")]


def test_b48_look_alike_addresses_are_accepted_and_counted(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    content = "email\na@раypal.com\npаypal@x.de\na@xn--80ak6aa92e.com\nann+1@x.de\nann@x.de\n"

    plan = leaves_nothing(house, temporary, lambda: preview(client_admin, seeded, content.encode()))

    assert (plan.json["valid"], plan.json["invalid"]) == (5, [])
    assert plan.json["warning_counts"] == {"confusable_address": 3, "plus_address": 1}
    assert [(w["row"], w["field"], w["code"]) for w in plan.json["warnings"]] == [
        (1, "email", "confusable_address"),
        (2, "email", "confusable_address"),
        (3, "email", "confusable_address"),
        (4, "email", "plus_address"),
    ]


def test_b48_a_domain_is_kept_as_its_a_label(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    answer = send_recipients(client_admin, seeded, "email\na@bücher.de\n".encode())

    found = rows(house, "SELECT email FROM items WHERE job_id = :id", id=answer.json["id"])
    assert [row.email for row in found] == ["a@xn--bcher-kva.de"]


@pytest.mark.parametrize(
    ("dedupe", "codes", "valid"),
    [
        ("reject", ["duplicate_recipient"] * 3, 2),
        ("keep_first", ["duplicate_recipient"] * 3, 2),
        ("allow", [], 5),
    ],
)
def test_b49_the_same_recipient_twice(
    client_admin: Caller,
    seeded: Seeded,
    temporary: Path,
    dedupe: str,
    codes: list[str],
    valid: int,
) -> None:
    """Identical, another case, full-width: one person. A tag makes another, who is warned about."""
    content = "email\na@x.de\na@x.de\nA@X.de\nａ@x.de\na+1@x.de\n".encode()

    plan = preview(client_admin, seeded, content, dedupe=dedupe).json

    assert [error["code"] for error in plan["invalid"]] == codes
    assert {error["detail"] for error in plan["invalid"]} <= {"The same recipient stands in row 1."}
    assert plan["valid"] == valid
    assert plan["warning_counts"] == {"plus_address": 1}
    refused = [b["code"] for b in plan["blockers"]]
    assert refused == (["rows_refused"] if dedupe == "reject" else [])


def test_b50_b53_a_recipient_and_a_file_are_served_once(
    house: House, client_admin: Caller, temporary: Path, app: Flask
) -> None:
    own = seed(house, vendor=False)
    caller = signed_in(app, house, Role.CLIENT_ADMIN, own)
    content, turned = (b"email\none@x.de\ntwo@x.de\n", b"email\ntwo@x.de\none@x.de\n")
    import_cards_now(house, own.csv_pool, cards_csv(2))
    first = send_recipients(caller, own, content).json["id"]
    drain(house)

    same = leaves_nothing(house, temporary, lambda: send_recipients(caller, own, content))
    other_order = send_recipients(caller, own, turned)
    allowed = preview(caller, own, turned, allow_repeat="true")

    assert (same.status_code, same.json["code"], same.json["job_id"]) == (
        409,
        "duplicate_upload",
        first,
    )
    assert (other_order.status_code, other_order.json["code"]) == (422, "rows_refused")
    assert [e["code"] for e in other_order.json["errors"]] == ["already_served"] * 2
    assert {first in e["detail"] for e in other_order.json["errors"]} == {True}
    assert allowed.json["valid"] == 2


def test_b53_the_same_file_by_two_at_once_is_one_job(
    house: House, app: Flask, seeded: Seeded, client_admin: Caller, temporary: Path
) -> None:
    """One is taken; the other is told of it, or to come again because a file is being taken in."""
    content = f"email\n{secrets.token_hex(4)}@x.de\n".encode()
    start = threading.Barrier(2)
    callers = [Caller(app.test_client(), client_admin.headers) for _ in range(2)]

    def go(caller: Caller) -> str:
        start.wait()
        while (answer := send_recipients(caller, seeded, content)).status_code == 503:
            pass
        return answer.json.get("code", "accepted")

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(go, callers))

    assert codes == ["accepted", "duplicate_upload"]


def test_b60_when_every_row_is_bad_a_hundred_are_shown(
    house: House, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    content = b"email\n" + b"nobody\n" * 20_000

    answer = leaves_nothing(
        house, temporary, lambda: send_recipients(client_admin, seeded, content)
    )

    assert (answer.status_code, answer.json["refused_rows"]) == (422, 20_000)
    assert len(answer.json["errors"]) == 100


def test_b61_a_file_for_a_campaign_that_is_not_one_s_own(
    house: House, app: Flask, client_admin: Caller, seeded: Seeded, temporary: Path
) -> None:
    other = seed(house, vendor=False)
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    content = b"email\na@x.de\n"

    foreign = leaves_nothing(
        house,
        temporary,
        lambda: send_recipients(client_admin, seeded, content, campaign_id=str(other.campaign_id)),
    )
    forbidden = leaves_nothing(house, temporary, lambda: send_recipients(viewer, seeded, content))

    assert (foreign.status_code, foreign.json["code"]) == (404, "not_found")
    assert (forbidden.status_code, forbidden.json["code"]) == (403, "forbidden")
