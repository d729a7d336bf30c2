"""Coupons are assigned by e-mail in the console: one at random or a certain one (S1-041, S3-043..047, S3-084)."""

import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import finish, put_codes, state_of
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.test_coupon_page import toast
from web.console import coupon_acts

ALICE = "alice@example.com"


@pytest.fixture(autouse=True)
def _nobody_waits_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coupon_acts, "WAIT_SECONDS", 0.0)


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def alice(house: House, seeded: Seeded) -> UUID:
    return make_user(house, ALICE, Role.CLIENT_VIEWER, seeded)


def assign(house: House, visitor: Visitor, book_id: UUID, **fields: str) -> str:
    """Send the form, work it off, and see what the page tells then."""
    answer = visitor.send(f"/console/books/{book_id}/assign", do="assign", **fields)
    if answer.status_code != 303:
        return answer.text
    finish(house)
    return visitor.get(answer.headers["Location"]).text


def held(house: House, person: UUID) -> int:
    return len(rows(house, "SELECT 1 FROM coupons WHERE user_id = :user", user=person))


def test_s1_041_an_address_is_looked_up_before_anything_is_given(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 1)

    looked = mia.send(
        f"/console/books/{book_id}/assign", f"/console/books/{book_id}", email=ALICE, do="look"
    )

    assert looked.status_code == 200
    assert "alice@example.com · holds 0 coupons of this book" in looked.text
    assert f'value="{ALICE}"' in looked.text
    assert held(house, alice) == 0


def test_s3_044_a_coupon_at_random_goes_to_the_address(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    book_id = make_book(house, seeded)
    (code,) = put_codes(house, seeded, book_id, 1)

    page = assign(house, mia, book_id, email="ALICE@example.com")

    assert toast(page) == ("status", f"Assigned: {code}")
    assert "See its job" in page
    assert held(house, alice) == 1


def test_a_job_that_is_not_done_yet_says_where_to_look(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 1)

    answer = mia.send(f"/console/books/{book_id}/assign", do="assign", email=ALICE)
    page = mia.get(answer.headers["Location"]).text

    assert toast(page) == ("status", "It is accepted and being worked on")
    (again,) = re.findall(r'<a href="([^"]*)" data-again>', page)
    assert again == answer.headers["Location"]
    (job,) = rows(house, "SELECT id FROM jobs")
    assert f'href="/console/jobs/{job.id}"' in page
    assert "Coupon for a person" in mia.get(f"/console/jobs/{job.id}").text


def test_a_certain_code_is_given_and_given_once(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    """S3-047: the same code twice is not available."""
    book_id = make_book(house, seeded)
    (code, _other) = put_codes(house, seeded, book_id, 2)

    first = assign(house, mia, book_id, email=ALICE, which="code", code=code.lower())
    second = assign(house, mia, book_id, email=ALICE, which="code", code=code)

    assert toast(first) == ("status", f"Assigned: {code}")
    assert toast(second) == ("alert", "Coupon not available")
    assert state_of(house, code) == "assigned"
    assert held(house, alice) == 1


@pytest.mark.parametrize("code", ["", "NO-SUCH-CODE-1", "?"])
def test_a_code_that_the_book_does_not_have_is_refused_at_its_field(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID, code: str
) -> None:
    book_id = make_book(house, seeded)

    page = assign(house, mia, book_id, email=ALICE, which="code", code=code)

    assert "The book has no such code." in page
    assert '<a href="#code">' in page
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_a_code_of_another_book_is_not_of_this_one(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    (code,) = put_codes(house, seeded, make_book(house, seeded), 1)

    page = assign(house, mia, make_book(house, seeded), email=ALICE, which="code", code=code)

    assert "The book has no such code." in page
    assert state_of(house, code) == "unassigned"


@pytest.mark.parametrize("do", ["look", "assign"])
@pytest.mark.parametrize("email", ["nobody@example.com", "them@example.com", "no address", ""])
def test_s3_045_an_unknown_address_is_user_not_found(
    house: House, seeded: Seeded, mia: Visitor, email: str, do: str
) -> None:
    book_id = make_book(house, seeded)
    make_user(house, "them@example.com", Role.CLIENT_VIEWER, seed(house, vendor=False))

    answer = mia.send(f"/console/books/{book_id}/assign", email=email, do=do)

    assert answer.status_code == 422
    assert toast(answer.text) == ("alert", "User not found")
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{email}"' in answer.text


def test_s3_084_the_sixth_coupon_of_a_book_that_gives_five_is_refused(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    """S1-061, S3-046, S3-058."""
    book_id = make_book(house, seeded, max_assignments_per_user=5)
    put_codes(house, seeded, book_id, 6)

    told = [toast(assign(house, mia, book_id, email=ALICE)) for _ in range(6)]

    assert [role for role, _words in told] == ["status"] * 5 + ["alert"]
    assert told[5] == ("alert", "Maximum assignments exceeded (5/5)")
    assert held(house, alice) == 5


def test_a_book_that_gives_nothing_says_why(house: House, seeded: Seeded, mia: Visitor) -> None:
    empty, closed = make_book(house, seeded), make_book(house, seeded)
    put_codes(house, seeded, closed, 1)
    rows(house, "UPDATE books SET closed_at = now() WHERE id = :id RETURNING 1", id=closed)

    pages = [unescape(mia.get(f"/console/books/{one}/assign").text) for one in (empty, closed)]

    assert "The book has no coupon left that nobody has." in pages[0]
    assert "Reopen it first." in pages[1]
    assert all('value="assign" disabled' in page for page in pages)


def test_an_agency_gives_a_clients_coupon_to_whom_the_client_did_not_know(
    app: Flask, house: House, seeded: Seeded
) -> None:
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    person = make_user(house, "above@example.com", Role.AGENCY_VIEWER, seeded)
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 1)

    page = assign(house, boss, book_id, email="above@example.com")

    assert toast(page)[0] == "status"
    assert held(house, person) == 1
