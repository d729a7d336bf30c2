"""The coupons of a book over HTTP: listed, taken as a file, and sealed codes opened (S3-113)."""

import csv
import io
import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.booking import hand_out
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.web.test_book_codes import HEAD, ended, listed, upload
from tests.web.test_books import made


def table(answer: TestResponse) -> list[dict[str, str]]:
    text = io.StringIO(answer.data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, strict=True))


SECRETS = [f"K7Q2-{n}XV9-M4TB-{n}HJC" for n in range(2, 8)]


def sealed_book(caller: Caller, house: House) -> dict[str, Any]:
    book = made(caller, pattern=None, seals_codes=True)
    content = (
        HEAD + "\r\n".join(f"{n}{code}" for n, code in zip("ABCDEF", SECRETS, strict=True)).encode()
    )
    job = ended(caller, house, upload(caller, book, content, key=book["id"]))
    assert job["state"] == "succeeded", job["error"]
    return book


@pytest.mark.parametrize(
    ("codes", "state", "code"),
    [
        (["SHORT-1234"], "failed", "rows_refused"),
        ([f"AAAAAAAAAAAAAAAA{n}" for n in range(9)], "failed", "pattern_space_too_small"),
        (["000000000000", "111111111111"], "failed", "pattern_space_too_small"),
    ],
)
def test_codes_that_are_found_by_trying_do_not_enter_a_sealed_book(
    manager: Caller, house: House, codes: list[str], state: str, code: str
):
    book = made(manager, pattern=None, seals_codes=True)

    job = ended(manager, house, upload(manager, book, HEAD + "\r\n".join(codes).encode()))

    assert (job["state"], job["error"]["code"]) == (state, code)
    assert listed(manager, book) == rows(house, "SELECT 1 FROM coupon_codes") == []


def test_a_sealed_book_shows_the_last_characters_alone(manager: Caller, house: House):
    book = sealed_book(manager, house)

    coupons = listed(manager, book)

    assert sorted(c["code"] for c in coupons) == sorted(f"****{s[-4:]}" for s in SECRETS)
    assert rows(house, "SELECT 1 FROM coupons WHERE code IS NOT NULL") == []
    assert_proven(house)


def test_s3_113_coupons_are_listed_as_they_stand(manager: Caller, house: House, seeded: Seeded):
    """S3-113: by state and person; a lock that ran out is none (EC-086)."""
    book = made(manager)
    bob, eve = hand_out(house, book["id"], (2, 1))
    lock = "UPDATE coupons SET state = 'locked', locked_until = now() + interval '{}', "
    lock += "version = version + 1 WHERE user_id = :user RETURNING id"
    (held,) = rows(house, lock.format("5 minutes"), user=eve)
    ran_out = rows(house, lock.format("-1 minute"), user=bob)

    assert [c["id"] for c in listed(manager, book, "state=locked")] == [str(held.id)]
    assert {c["id"] for c in listed(manager, book, "state=assigned")} == {
        str(row.id) for row in ran_out
    }
    assert {c["locked_until"] for c in listed(manager, book, f"user_id={bob}")} == {None}
    assert listed(manager, book, "state=void") == []
    first = manager.get(f"/books/{book['id']}/coupons?limit=2").json
    rest = manager.get(f"/books/{book['id']}/coupons?cursor={first['next_cursor']}").json
    ids = [UUID(c["id"]) for c in (*first["data"], *rest["data"])]
    assert (len(ids), ids) == (3, sorted(ids, reverse=True))


def test_s3_113_a_list_of_assigned_coupons_leaves_none_out_between_its_pages(
    manager: Caller, house: House
):
    """Every second one has a lock that ran out, which stands in another part of the index."""
    book = made(manager)
    hand_out(house, book["id"], (6,))
    rows(
        house,
        "UPDATE coupons SET state = 'locked', locked_until = now() - interval '1 minute', "
        "version = version + 1 WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
        "(ORDER BY id) AS n FROM coupons) c WHERE n % 2 = 0) RETURNING 1",
    )
    found: list[UUID] = []
    path = cursor = f"/books/{book['id']}/coupons?state=assigned&limit=1"
    while cursor:
        page = manager.get(path).json
        found += [UUID(coupon["id"]) for coupon in page["data"]]
        cursor = page["next_cursor"]
        path = f"/books/{book['id']}/coupons?state=assigned&limit=1&cursor={cursor}"

    assert (len(set(found)), found) == (6, sorted(found, reverse=True))
    taken = table(manager.get(f"/books/{book['id']}/coupons.csv?state=assigned"))
    assert len({row["code"] for row in taken}) == 6


def test_coupons_are_taken_as_a_file_and_the_audit_says_so(manager: Caller, house: House):
    book = made(manager)
    hand_out(house, book["id"], (3,))

    answer = manager.get(f"/books/{book['id']}/coupons.csv?state=assigned")

    name = answer.headers["Content-Disposition"]
    assert re.search(rf"coupons-{book['id']}-assigned-\d{{8}}T\d{{6}}Z\.csv", name)
    assert {row["code"] for row in table(answer)} == {c["code"] for c in listed(manager, book)}
    entry = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.exported'")
    told = {"state": "assigned", "user_id": None, "opened": False}
    assert [row.detail for row in entry] == [told]


def test_sealed_codes_are_opened_for_who_may_and_has_proven_themselves(
    app: Flask, house: House, manager: Caller, client_admin: Caller, seeded: Seeded
):
    book = sealed_book(manager, house)
    path = f"/books/{book['id']}/coupons.csv"
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    masked = table(client_admin.get(path))
    opened = table(client_admin.get(f"{path}?reveal=true"))
    refused = [caller.get(f"{path}?reveal=true") for caller in (manager, agency)]
    long_ago = "UPDATE sign_ins SET proven_at = now() - interval '1 hour' RETURNING 1"
    rows(house, long_ago)
    stale = client_admin.get(f"{path}?reveal=true")

    assert {row["code"] for row in masked} == {f"****{s[-4:]}" for s in SECRETS}
    assert {row["code"][1:] for row in opened} == set(SECRETS)
    assert [(a.status_code, a.json["needs"]) for a in refused] == [(403, "codes_reveal")] * 2
    assert (stale.status_code, stale.json["code"]) == (403, "step_up_required")
    entries = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.exported'")
    assert sorted(row.detail["opened"] for row in entries) == [False, True]
