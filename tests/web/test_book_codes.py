"""Codes of books over HTTP: generated, uploaded, listed, taken as a file (S3-018, S3-113..115, EC-101)."""

import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_books import made

HEAD = b"code\r\n"


def upload(
    caller: Caller, book: dict[str, Any], content: bytes, mode: str = "abort", key: str = "u1"
) -> TestResponse:
    return caller.client.post(
        f"/api/v1/books/{book['id']}/codes?on_error={mode}",
        data=content,
        content_type="text/csv",
        headers=caller.headers | {"Idempotency-Key": key},
    )


def listed(caller: Caller, book: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    return caller.get(f"/books/{book['id']}/coupons?{query}").json["data"]


def ended(caller: Caller, house: House, answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 202, answer.json
    drain(house)
    job = caller.get(f"/jobs/{answer.json['id']}").json
    counts = dict(job["counts"])
    assert counts.pop("total") == sum(counts.values())
    return job


def rejects(caller: Caller, job: dict[str, Any]) -> list[tuple[int, str, str]]:
    items = caller.get(f"/jobs/{job['id']}/items").json["data"]
    return [(i["position"], i["error"]["code"], i["error"]["detail"]) for i in items]


def test_s3_115_codes_are_generated_by_a_job(manager: Caller, house: House):
    """S1-004, S3-015, S3-115"""
    book = made(manager)
    path = f"/books/{book['id']}/generate"

    answer = manager.post(path, {"count": 250}, Idempotency_Key="g1")
    again = manager.post(path, {"count": 250}, Idempotency_Key="g1")
    job = ended(manager, house, answer)

    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")
    assert (job["kind"], job["state"], job["counts"]["succeeded"]) == (
        "code_generation",
        "succeeded",
        250,
    )
    stock = manager.get(f"/books/{book['id']}").json["stock"]
    assert (stock["unassigned"], stock["total"]) == (250, 250)
    codes = {coupon["code"] for coupon in listed(manager, book, "limit=100")}
    assert len(codes) == 100
    assert all(re.fullmatch("SUMMER-[2-9A-HJKMNP-Z]{8}-26", code) for code in codes)


def test_ec028_too_small_a_pattern_is_refused_with_what_it_needs(manager: Caller, house: House):
    """EC-028"""
    book = made(manager, pattern={"random_length": 4, "alphabet": "0123456789"})

    answer = manager.post(f"/books/{book['id']}/generate", {"count": 9_000}, Idempotency_Key="g1")
    unnamed = manager.post(f"/books/{book['id']}/generate", {"count": 1})

    assert (answer.status_code, answer.json["code"]) == (422, "pattern_space_too_small")
    assert (answer.json["space"], answer.json["random_length"]) == (10_000, 7)
    assert (unnamed.status_code, unnamed.json["code"]) == (400, "idempotency_key_required")
    assert rows(house, "SELECT 1 FROM jobs") == []


@pytest.mark.parametrize("count", [0, 5_000_001, True, "10"])
def test_a_count_that_is_none_is_refused(manager: Caller, house: House, count: Any):
    book = made(manager)

    answer = manager.post(f"/books/{book['id']}/generate", {"count": count}, Idempotency_Key="g")

    assert answer.status_code == 422
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_a_closed_book_takes_neither_new_codes_nor_uploads(manager: Caller, house: House):
    book = made(manager)
    manager.post(f"/books/{book['id']}/close")

    generated = manager.post(f"/books/{book['id']}/generate", {"count": 1}, Idempotency_Key="g")
    uploaded = upload(manager, book, HEAD + b"SUMMER-1\r\n")

    assert [a.json["code"] for a in (generated, uploaded)] == ["book_closed", "book_closed"]
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_s3_018_a_file_of_codes_is_taken(manager: Caller, house: House):
    """S1-005, S3-018, S3-114: EC-024 decides what a code is."""
    book = made(manager, pattern=None)
    content = HEAD + "save10\r\n SAVE 11 \r\n\uff33\uff21\uff36\uff2512\r\n".encode()

    job = ended(manager, house, upload(manager, book, content))

    assert (job["kind"], job["state"], job["counts"]["succeeded"]) == (
        "code_import",
        "succeeded",
        3,
    )
    assert {coupon["code"] for coupon in listed(manager, book)} == {"SAVE10", "SAVE11", "SAVE12"}
    entry = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.imported'")
    assert [row.detail for row in entry] == [{"codes": 3, "refused": 0}]
    assert rows(house, "SELECT 1 FROM job_inputs") == []
    assert_proven(house)


def test_a_list_of_codes_is_taken(manager: Caller, house: House):
    book = made(manager, pattern=None)
    body = {"codes": ["save10", "SAVE11"], "on_error": "skip"}

    answer = manager.post(f"/books/{book['id']}/codes", body, Idempotency_Key="l1")
    job = ended(manager, house, answer)

    assert job["counts"]["succeeded"] == 2
    assert {coupon["code"] for coupon in listed(manager, book)} == {"SAVE10", "SAVE11"}


@pytest.mark.parametrize(
    "body",
    [{}, {"codes": []}, {"codes": "A"}, {"codes": [""]}, {"codes": ["AAAA"] * 10_001}],
)
def test_a_list_that_is_none_is_refused(manager: Caller, house: House, body: dict[str, Any]):
    book = made(manager)

    answer = manager.post(f"/books/{book['id']}/codes", body, Idempotency_Key="l1")

    assert answer.status_code == 422
    assert rows(house, "SELECT 1 FROM jobs") == []


BAD = HEAD + "GOOD-1\r\nSH\r\nSAV\u0415-1\r\nGOOD-2\r\ngood-1\r\nTAKEN-1\r\nOTHER-1\r\n".encode()
FOUND = [
    (2, "code_length", "A code has 4 to 64 characters."),
    (3, "code_charset", "A code has letters A-Z, digits and hyphens."),
    (5, "duplicate_code", "The same code stands in row 1."),
    (6, "duplicate_code", "The book has this code already."),
    (7, "duplicate_code", "Another book of this client has this code."),
]


def beside_others(
    app: Flask, house: House, manager: Caller
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A book with a code, beside another one of its client and one of another client."""
    book, other = made(manager, pattern=None), made(manager, pattern=None)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False))
    foreign = made(stranger, pattern=None)
    ended(manager, house, upload(manager, book, HEAD + b"TAKEN-1\r\n", key="b"))
    ended(manager, house, upload(manager, other, HEAD + b"OTHER-1\r\n", key="o"))
    ended(stranger, house, upload(stranger, foreign, HEAD + b"GOOD-1\r\nGOOD-2\r\n", key="f"))
    return book, other


def test_ec101_one_wrong_row_refuses_the_file(app: Flask, house: House, manager: Caller):
    """EC-101: duplicates in the file, in the book and in another book; a stranger's is no matter."""
    book, _other = beside_others(app, house, manager)

    job = ended(manager, house, upload(manager, book, BAD))

    assert (job["state"], job["error"]["code"]) == ("failed", "rows_refused")
    assert (job["counts"]["failed"], job["counts"]["cancelled"]) == (5, 2)
    assert rejects(manager, job) == FOUND
    assert [coupon["code"] for coupon in listed(manager, book)] == ["TAKEN-1"]
    assert_proven(house)


def test_ec101_a_file_with_wrong_rows_is_taken_without_them(
    app: Flask, house: House, manager: Caller
):
    """EC-101"""
    book, _other = beside_others(app, house, manager)

    job = ended(manager, house, upload(manager, book, BAD, "skip"))

    assert (job["state"], job["error"]) == ("partially_succeeded", None)
    assert (job["counts"]["succeeded"], job["counts"]["failed"]) == (2, 5)
    assert rejects(manager, job) == FOUND
    assert {c["code"] for c in listed(manager, book)} == {"TAKEN-1", "GOOD-1", "GOOD-2"}
    shown = str(manager.get(f"/jobs/{job['id']}/results.csv").data)
    assert [code for code in ("SH", "TAKEN", "OTHER", "GOOD") if code in shown] == []
    assert_proven(house)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"name\r\nx\r\n", "missing_columns"),
        (b"code,name\r\nx,y\r\n", "unknown_columns"),
        (b"\xff\xfec\x00", "encoding_not_utf8"),
        (b"PK\x03\x04", "unsupported_media_type"),
    ],
)
def test_a_file_that_is_none_is_refused_at_once(
    manager: Caller, house: House, content: bytes, code: str
):
    book = made(manager)

    answer = upload(manager, book, content)

    assert answer.json["code"] == code
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_an_upload_that_is_cancelled_before_it_is_read_takes_nothing(manager: Caller, house: House):
    book = made(manager)
    answer = upload(manager, book, HEAD + b"SAVE10\r\n")

    manager.post(f"/jobs/{answer.json['id']}/cancel")
    job = ended(manager, house, answer)

    assert (job["state"], job["counts"]["total"]) == ("cancelled", 0)
    assert listed(manager, book) == []
    assert rows(house, "SELECT 1 FROM job_inputs") == []


def test_a_book_that_is_closed_before_its_file_is_read_takes_nothing(manager: Caller, house: House):
    book = made(manager)
    answer = upload(manager, book, HEAD + b"SAVE10\r\n")

    manager.post(f"/books/{book['id']}/close")
    job = ended(manager, house, answer)

    assert (job["state"], job["error"]["code"]) == ("failed", "book_closed")
    assert listed(manager, book) == []


def test_another_tenants_book_is_as_unknown_as_none(app: Flask, house: House, manager: Caller):
    book = made(manager)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False))
    path = f"/books/{book['id']}"

    answers = [
        stranger.post(f"{path}/generate", {"count": 1}, Idempotency_Key="g"),
        upload(stranger, book, HEAD + b"SAVE10\r\n"),
        stranger.get(f"{path}/coupons"),
        stranger.get(f"{path}/coupons.csv"),
    ]

    assert [(a.status_code, a.json["code"]) for a in answers] == [(404, "not_found")] * 4
    assert rows(house, "SELECT 1 FROM jobs") == []
