"""A partner's claims at the console: listed by month and user, and as a file (S0)."""

import csv
import io
import re

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.driving import change, rows
from tests.partnering import Partner, make_partner, now_of, visit
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.partner_visits import home_of

USERS = ("user-1", " user-1", "ünal")


def claimed(app: Flask, house: House, seeded: Seeded, **book: object) -> Partner:
    """A partner three of whose users have claimed this month."""
    of = make_book(house, seeded, **book)
    put_codes(house, seeded, of, 5, seals=bool(book))
    partner = make_partner(house, seeded, of)
    for user in USERS:
        assert visit(app, partner, user).post("/claims", {}).status_code == 201
    return partner


def table(page: str) -> str:
    return page.partition("<tbody>")[2].partition("</tbody>")[0]


def test_claims_are_listed_with_their_coupons_by_month_and_by_the_exact_user(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    """EC-107"""
    partner = claimed(app, house, seeded)
    path, month = f"{home_of(partner)}/claims", f"{now_of(house):%Y-%m}"

    every = table(bob.get(path).text)
    assert every.count("<tr>") == 3
    for row in rows(
        house, "SELECT code, c.book_id, c.id FROM claims x JOIN coupons c ON c.id = coupon_id"
    ):
        assert f'href="/console/books/{row.book_id}/coupons/{row.id}">{row.code}</a>' in every
    assert table(bob.get(f"{path}?month={month}").text) == every
    assert table(bob.get(f"{path}?user=user-1").text).count("<tr>") == 1
    assert table(bob.get(f"{path}?user=%20user-1").text).count("<tr>") == 1
    other = bob.get(f"{path}?month=2001-01").text
    assert "No claim is like this" in other
    wrong = bob.get(f"{path}?month=soon")
    assert (wrong.status_code, "Give a month as a year and a number" in wrong.text) == (422, True)
    assert table(wrong.text) == ""
    links = re.findall(r'href="(/console/books/[^"]+)"', every)
    assert "<dt>Holder</dt><dd>ünal</dd>" in bob.get(links[0]).text
    assert "/console/people/" not in every
    home = bob.get(home_of(partner)).text
    assert f'/claims?month={month}" aria-label="3 claims in {month}">3</a>' in home


def test_the_platform_has_a_page_of_the_person_who_claimed(
    app: Flask, house: House, seeded: Seeded
) -> None:
    partner = claimed(app, house, seeded)
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)

    people = re.findall(
        r'href="(/console/people/[^"]+)"', root.get(f"{home_of(partner)}/claims").text
    )

    assert len(people) == 3
    assert [root.get(path).status_code for path in people] == [200] * 3


def test_codes_of_a_sealed_book_are_masked_and_a_coupon_taken_back_is_told(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    """SEC-17"""
    partner = claimed(app, house, seeded, seals_codes=True)
    change(house, "DELETE FROM partner_users WHERE external_id = 'user-1'")

    page = bob.get(f"{home_of(partner)}/claims").text

    codes = [row.code for row in rows(house, "SELECT code FROM coupons")]
    assert table(page).count(">****") == 3
    assert codes == [None] * 5
    assert "somebody who was erased" in page


def test_the_file_has_what_the_filter_shows_and_its_taking_is_audited(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    partner = claimed(app, house, seeded)
    path, month = f"{home_of(partner)}/claims.csv", f"{now_of(house):%Y-%m}"

    every, one, none = (bob.get(path + query) for query in ("", "?user=user-1", "?month=2001-01"))

    found = list(csv.DictReader(io.StringIO(every.get_data(as_text=True))))
    assert {row["month"] for row in found} == {month}
    assert len(found) == 3
    assert one.get_data(as_text=True).count("\n") == 2
    assert none.get_data(as_text=True).count("\n") == 1
    assert every.headers["Content-Disposition"] == "attachment; filename=claims-all.csv"
    assert every.headers["Cache-Control"] == "no-store"
    entries = rows(house, "SELECT 1 FROM audit_entries WHERE action = 'partner.claims_exported'")
    assert len(entries) == 3
    assert bob.get(f"{path}?month=x").status_code == 422
    assert (
        len(rows(house, "SELECT 1 FROM audit_entries WHERE action = 'partner.claims_exported'"))
        == 3
    )


def test_a_partner_without_claims_says_how_there_come_some(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    partner = make_partner(house, seeded)

    page = bob.get(f"{home_of(partner)}/claims").text

    assert "No claim yet" in page
    assert "Export CSV" not in page
