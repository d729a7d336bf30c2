"""Books in the console: listed, made by a pattern that is tried first, closed and reopened (S1-037, S3-043)."""

import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

NEW = "/console/books/new"
FORM = {
    "name": "Spring",
    "source": "pattern",
    "prefix": "spring",
    "random_length": "12",
    "alphabet": "",
    "suffix": "",
    "worth": "plain",
}


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and books of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def book(house: House, name: str = "Spring") -> dict[str, object]:
    (row,) = rows(house, "SELECT * FROM books WHERE name = :name", name=name)
    return dict(row._mapping)


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def test_s3_043_an_empty_list_says_what_a_book_is_and_how_to_make_one(mia: Visitor) -> None:
    shown = mia.get("/console/books").text

    assert "No book yet" in shown
    assert f'href="{NEW}"' in shown
    assert "POST /api/v1/books" in shown
    assert ">Books &amp; codes</a>" in shown


def test_who_only_looks_is_told_whom_to_ask(app: Flask, house: House, seeded: Seeded) -> None:
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    book_id = make_book(house, seeded)

    shown = viewer.get("/console/books").text
    one = viewer.get(f"/console/books/{book_id}").text

    assert f'href="{NEW}"' not in shown
    assert viewer.get(NEW).status_code == 403
    assert "Only campaign managers and administrators change books." in one
    assert "Only campaign managers and administrators put codes into books." in one
    assert "Only campaign managers and administrators give coupons." in one


def test_s3_043_books_are_found_by_state_and_by_words(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_book(house, seeded, name="Spring sale")
    closed = make_book(house, seeded, name="Winter 100% sale")
    rows(house, "UPDATE books SET closed_at = now() WHERE id = :id RETURNING 1", id=closed)
    make_book(house, seed(house, vendor=False), name="Spring of strangers")

    def names(query: str) -> list[str]:
        page = mia.get(f"/console/books?{query}").text
        return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', page)

    assert names("") == ["Winter 100% sale", "Spring sale"]
    assert names("state=open") == ["Spring sale"]
    assert names("state=closed&find=100%25") == ["Winter 100% sale"]
    assert names("state=no-state") == ["Winter 100% sale", "Spring sale"]
    assert "No book is like this" in mia.get("/console/books?find=autumn").text


def test_fifty_books_are_a_page_and_the_older_ones_follow(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    for number in range(51):
        make_book(house, seeded, name=f"Book {number:02}")

    first = mia.get("/console/books?find=Book").text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second = mia.get(unescape(older)).text

    assert first.count('<th scope="row">') == 50
    assert "find=Book" in unescape(older)
    assert re.findall(r">(Book \d\d)</a>", second) == ["Book 00"]
    assert 'rel="next"' not in second


def test_s1_037_a_book_is_made_once_however_often_the_form_is_sent(
    house: House, mia: Visitor, seeded: Seeded
) -> None:
    form = hidden(mia.get(NEW).text) | FORM | {"max_assignments_per_user": "5"}
    form |= {"expires_at": "2031-01-31T09:00"}

    sent = [mia.client.post(NEW, data=form, headers=SAME_ORIGIN) for _ in range(2)]

    made = book(house)
    assert {answer.headers["Location"] for answer in sent} == {
        f"/console/books/{made['id']}?done=created"
    }
    assert made["client_id"] == seeded.client_id
    assert (made["prefix"], made["random_length"], made["max_assignments_per_user"]) == (
        "SPRING",
        12,
        5,
    )
    assert made["alphabet"] == "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
    assert made["seals_codes"] is False
    assert str(made["expires_at"]) == "2031-01-31 09:00:00+00:00"
    shown = mia.get(sent[0].headers["Location"]).text
    assert "The book is made." in shown
    assert "Coupons that one person may hold</dt><dd>5" in shown
    assert "SPRING-••••••••••••" in shown


def test_s1_110_the_form_says_whether_holders_are_told_by_mail(house: House, mia: Visitor) -> None:
    path = mia.send(NEW, **FORM).headers["Location"].partition("?")[0]
    before, silent = book(house)["tells_holder"], mia.get(path).text
    form = hidden(mia.get(f"{path}/edit").text) | FORM

    mia.client.post(f"{path}/edit", data=form | {"tells_holder": "1"}, headers=SAME_ORIGIN)

    assert (before, "Nobody is told by mail" in silent) == (False, True)
    assert book(house)["tells_holder"] is True
    assert "Its holder is told by mail" in mia.get(path).text
    edit = mia.get(f"{path}/edit").text
    assert 'name="tells_holder" value="1" checked' in edit
    assert 'name="was_tells_holder" value="1"' in edit


def test_s1_037_a_pattern_is_looked_at_before_anything_is_made(house: House, mia: Visitor) -> None:
    looked = mia.send(NEW, **FORM, meant="5000", do="look")

    page = looked.text
    assert looked.status_code == 200
    assert len(re.findall(r"<li>SPRING-[2-9A-Z]{12}</li>", page)) == 5
    assert "Codes would look like this" in page
    assert "There is room for" in page
    assert 'value="Spring"' in page
    assert rows(house, "SELECT 1 FROM books") == []


def test_a_pattern_that_guessing_would_find_says_how_long_it_must_be(mia: Visitor) -> None:
    small = mia.send(NEW, **FORM | {"random_length": "6", "worth": "bearer"}, do="look").text

    assert "The pattern has no room for so many codes" in small
    assert "Make the random part 13 characters long" in small


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": ""}, "name", "Give a name"),
        ({"prefix": "ä!"}, "prefix", "Use letters A-Z"),
        ({"random_length": "x"}, "random_length", "Give a whole number from 1 to 64"),
        ({"alphabet": "AA"}, "alphabet", "different letters"),
        ({"max_assignments": "0"}, "max_assignments", "Give a whole number"),
        ({"expires_at": "tomorrow"}, "expires_at", "Give a date and a time"),
        (
            {"starts_at": "2031-01-31T09:00", "expires_at": "2031-01-30T09:00"},
            "expires_at",
            "must expire after it starts",
        ),
        ({"max_redemptions_per_coupon": "3"}, "max_redemptions_per_coupon", "redeemed once"),
        ({"worth": "?"}, "worth", "Choose what a code is worth"),
        ({"meant": "0", "do": "look"}, "meant", "Give a whole number"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    house: House, mia: Visitor, typed: dict[str, str], field: str, words: str
) -> None:
    answer = mia.send(NEW, **FORM | {"suffix": "KEPT"} | typed)

    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert words in unescape(answer.text)
    assert 'value="KEPT"' in answer.text
    assert rows(house, "SELECT 1 FROM books") == []


def test_who_sees_several_clients_names_the_one_whose_book_it_is(
    app: Flask, house: House, seeded: Seeded
) -> None:
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)
    seed(house, vendor=False)

    nobodys = root.send(NEW, **FORM)
    made = root.send(NEW, **FORM, client_id=str(seeded.client_id))

    assert nobodys.status_code == 422
    assert "Choose the client whose book this is." in nobodys.text
    assert made.status_code == 303
    assert book(house)["client_id"] == seeded.client_id


def test_a_book_is_changed_and_what_was_not_touched_stays(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded, name="Spring", max_assignments=9)
    rows(
        house,
        "UPDATE books SET expires_at = '2031-01-31T09:00:30.5+00:00' WHERE id = :id RETURNING 1",
        id=book_id,
    )
    path = f"/console/books/{book_id}/edit"
    typed = values(mia.get(path).text) | {"max_assignments_per_user": "2"}

    answer = mia.send(path, **typed)

    made = book(house)
    assert answer.headers["Location"] == f"/console/books/{book_id}?done=changed"
    assert (made["max_assignments_per_user"], made["max_assignments"]) == (2, 9)
    assert made["random_length"] is None
    assert str(made["expires_at"]) == "2031-01-31 09:00:30.500000+00:00"


def values(page: str) -> dict[str, str]:
    """What the visible fields of the form hold."""
    found = dict(re.findall(r'<input type="text"[^>]*? name="(\w+)" value="([^"]*)"', page))
    found |= dict(
        re.findall(r'<input type="datetime-local"[^>]*? name="(\w+)" value="([^"]*)"', page)
    )
    (source,) = re.findall(r'name="source" value="(\w+)" checked', page)
    return found | {"source": source}


def test_a_change_over_somebody_elses_says_what_is_different_and_writes_nothing(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded, name="Spring")
    path = f"/console/books/{book_id}/edit"
    mine = hidden(mia.get(path).text) | values(mia.get(path).text) | {"name": "Mine"}
    theirs = {"name": "Theirs", "max_assignments": "50"}
    mia.send(path, **values(mia.get(path).text) | theirs)

    stale = mia.client.post(path, data=mine, headers=SAME_ORIGIN)
    again = hidden(stale.text) | values(stale.text)

    assert stale.status_code == 409
    assert "Its name was “Spring” and is “Theirs” now." in stale.text
    assert 'value="Mine"' in stale.text
    assert book(house, "Theirs")["version"] == 2
    assert mia.client.post(path, data=again, headers=SAME_ORIGIN).status_code == 303
    assert (book(house, "Mine")["version"], book(house, "Mine")["max_assignments"]) == (3, 50)


def test_a_book_is_closed_and_reopened_for_a_reason_that_the_audit_keeps(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    book_id = make_book(house, seeded, name="Spring")
    path = f"/console/books/{book_id}/close"

    asked = mia.get(path).text
    silent = mia.send(path)
    closed = mia.send(path, reason="Printed twice")
    shown = mia.get(closed.headers["Location"]).text
    was = book(house)["closed_at"]
    reopened = mia.send(f"/console/books/{book_id}/reopen", reason="It was not")

    assert "Nobody can redeem, lock or be given its coupons until it is reopened." in unescape(
        asked
    )
    assert silent.status_code == 422
    assert "The book is closed" in shown
    assert "Reopen…" in shown
    assert "Reopen it first." in shown
    assert was is not None
    assert reopened.status_code == 303
    assert book(house)["closed_at"] is None
    told = rows(house, "SELECT action, detail FROM audit_entries WHERE object_id = :id", id=book_id)
    assert [(row.action, row.detail) for row in told] == [
        ("book.closed", {"reason": "Printed twice"}),
        ("book.reopened", {"reason": "It was not"}),
    ]


def test_a_strangers_book_is_as_unknown_as_none(house: House, mia: Visitor, seeded: Seeded) -> None:
    theirs = make_book(house, seed(house, vendor=False))

    for book_id in (theirs, UUID(int=7)):
        for path in ("", "/edit", "/close", "/reopen", "/coupons", "/coupons.csv", "/assign"):
            assert mia.get(f"/console/books/{book_id}{path}").status_code == 404, path
