"""Codes of a book in the console: generated, uploaded, listed, taken as a file (S1-037, S3-043)."""

import io
import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, coupon_in, finish, put_codes
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import make_user
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

PATTERN = {"prefix": "SPRING", "random_length": 12, "alphabet": "ABCDEFGHJK23456789"}


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def alice(house: House, seeded: Seeded) -> UUID:
    return make_user(house, "alice@example.com", Role.CLIENT_VIEWER, seeded)


def post(visitor: Visitor, book_id: UUID, to: str, **fields: object) -> object:
    """Send the form of a book's page that leads there."""
    page = visitor.get(f"/console/books/{book_id}").text
    (form,) = [part for part in page.split("<form")[1:] if f'action="{to}"' in part]
    data = dict(HIDDEN.findall(form)) | fields
    return visitor.client.post(to, data=data, headers=SAME_ORIGIN)


def test_codes_are_generated_and_the_book_shows_their_job(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded, **PATTERN)

    sent = post(mia, book_id, f"/console/books/{book_id}/generate", count="30")
    finish(house)
    shown = mia.get(f"/console/books/{book_id}").text

    (job,) = rows(house, "SELECT id FROM jobs WHERE kind = 'code_generation'")
    assert sent.headers["Location"] == f"/console/jobs/{job.id}"  # type: ignore[attr-defined]
    assert "30 of 30 generated" in mia.get(f"/console/jobs/{job.id}").text
    assert "30 coupons: 30 unassigned" in shown
    assert f'href="/console/jobs/{job.id}"' in shown


def test_a_pattern_too_small_is_refused_in_place_with_what_to_do(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded, **PATTERN | {"random_length": 4})

    refused = post(mia, book_id, f"/console/books/{book_id}/generate", count="5000")

    assert refused.status_code == 422  # type: ignore[attr-defined]
    text = unescape(refused.text)  # type: ignore[attr-defined]
    assert "Make the random part 6 characters long" in text
    assert 'value="5000"' in text
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_a_book_without_a_pattern_says_that_codes_are_uploaded(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded)
    page = mia.get(f"/console/books/{book_id}").text

    assert "The book has no pattern. Give it one under Edit, or upload codes." in page
    assert re.search(r'<button class="button" disabled aria-describedby="count-hint">', page)


@pytest.mark.parametrize(("skip", "taken"), [({}, 0), ({"skip": "1"}, 2)])
def test_codes_are_uploaded_and_their_job_names_the_wrong_rows(
    house: House, seeded: Seeded, mia: Visitor, skip: dict[str, str], taken: int
) -> None:
    book_id = make_book(house, seeded)
    file = (io.BytesIO(b"code\nWELCOME-2026-A\n?\nWELCOME-2026-B\n"), "codes.csv")

    sent = post(mia, book_id, f"/console/books/{book_id}/codes", file=file, **skip)
    finish(house)

    job = mia.get(sent.headers["Location"]).text  # type: ignore[attr-defined]
    codes = rows(house, "SELECT code FROM coupons")
    assert len(codes) == taken
    assert "Code upload" in job
    assert '<th scope="row" class="position">2</th>' in job


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a CSV file with the column “code”."),
        ({"file": (io.BytesIO(b"name\nA\n"), "codes.csv")}, "column"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_place(
    house: House, seeded: Seeded, mia: Visitor, fields: dict[str, object], words: str
) -> None:
    book_id = make_book(house, seeded)

    refused = post(mia, book_id, f"/console/books/{book_id}/codes", **fields)

    assert refused.status_code == 422  # type: ignore[attr-defined]
    assert words in unescape(refused.text)  # type: ignore[attr-defined]
    assert '<a href="#file">' in refused.text  # type: ignore[attr-defined]
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_s1_038_coupons_are_listed_with_their_state_and_holder(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    held = coupon_in(house, seeded, CouponState.LOCKED, alice)
    found = coupon(house, seeded, held)
    (free,) = put_codes(house, seeded, found.book_id, 1)
    path = f"/console/books/{found.book_id}/coupons"

    def codes(query: str = "") -> list[str]:
        return re.findall(r'coupons/[0-9a-f-]{36}">([^<]*)</a>', mia.get(path + query).text)

    page = mia.get(path).text
    assert codes() == [free, held]
    assert "alice@example.com" in page
    assert codes("?state=locked") == [held]
    assert codes("?find=ALICE@example.com") == [held]
    assert codes("?find=alice@example.com&state=redeemed") == []


def test_s3_045_an_unknown_holder_is_not_found(house: House, seeded: Seeded, mia: Visitor) -> None:
    book_id = make_book(house, seeded)

    shown = mia.get(f"/console/books/{book_id}/coupons?find=nobody@example.com").text

    assert "User not found" in shown


def test_a_file_of_coupons_is_taken_and_the_audit_says_so(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded)
    (code,) = put_codes(house, seeded, book_id, 1)

    file = mia.get(f"/console/books/{book_id}/coupons.csv?state=unassigned")

    assert file.mimetype == "text/csv"
    assert code in file.text
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.exported'")
    assert [row.detail["opened"] for row in told] == [False]


def test_sealed_codes_leave_with_who_may_and_proves_it(
    app: Flask, house: House, seeded: Seeded, mia: Visitor, bob: Visitor
) -> None:
    book_id = make_book(house, seeded, seals_codes=True, **PATTERN | {"random_length": 15})
    post(bob, book_id, f"/console/books/{book_id}/generate", count="3")
    finish(house)
    path = f"/console/books/{book_id}/coupons.csv"

    masked = bob.get(path).text
    opened = post(bob, book_id, path)
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '1 day' RETURNING 1")
    stale = post(bob, book_id, path)

    assert masked.count("****") == 3
    assert opened.text.count("SPRING-") == 3  # type: ignore[attr-defined]
    assert stale.headers["Location"].startswith("/console/prove")  # type: ignore[attr-defined]
    page = mia.get(f"/console/books/{book_id}").text
    assert "Only administrators of the client open sealed codes." in page
    assert (
        mia.client.post(path, data=dict(HIDDEN.findall(page)), headers=SAME_ORIGIN).status_code
        == 403
    )
    told = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'codes.exported' ORDER BY at"
    )
    assert [row.detail["opened"] for row in told] == [False, True]
