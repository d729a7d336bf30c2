"""Books of coupons over HTTP: made, listed, changed under a version, closed (S1-002, S3-110..112)."""

from typing import Any

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.booking import coupons, hand_out, set_lock_apart
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

PATTERN = {"prefix": "SUMMER", "random_length": 8, "suffix": "26"}


def made(caller: Caller, **fields: Any) -> dict[str, Any]:
    answer = caller.post("/books", {"name": "Summer Sale 2026", "pattern": PATTERN} | fields)
    assert answer.status_code == 201, answer.json
    return answer.json


def change(caller: Caller, book: dict[str, Any], **fields: Any):
    return caller.call("PATCH", f"/books/{book['id']}", fields, If_Match=f'"{book["version"]}"')


def test_s1_003_a_book_is_made_with_its_rules_and_no_coupons(
    manager: Caller, house: House, seeded: Seeded
):
    """S1-003, S3-110, S3-016, S3-021, S3-022"""
    answer = manager.post(
        "/books",
        {
            "name": "VIP Rewards",
            "pattern": PATTERN,
            "allow_multi_redemption": True,
            "max_redemptions_per_user": 3,
            "max_assignments_per_user": 5,
            "expires_at": "2030-01-01T00:00:00Z",
        },
    )

    book = answer.json
    assert (answer.status_code, answer.headers["ETag"], book["version"]) == (201, '"1"', 1)
    assert (book["client_id"], book["state"]) == (str(seeded.client_id), "open")
    assert book["pattern"] == PATTERN | {"alphabet": "23456789ABCDEFGHJKMNPQRSTUVWXYZ"}
    assert book["capacity"] == {"space": 31**8, "bits": 39.63, "room_for": 31**8 // 1000}
    assert set(book["stock"].values()) == {0}
    assert (book["allow_multi_redemption"], book["max_redemptions_per_coupon"]) == (True, None)
    assert (book["max_redemptions_per_user"], book["max_assignments_per_user"]) == (3, 5)
    entry = rows(house, "SELECT action, detail FROM audit_entries WHERE object_kind = 'book'")
    told = {"name": "VIP Rewards", "seals_codes": False}
    assert [tuple(row) for row in entry] == [("book.created", told)]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"pattern": PATTERN | {"prefix": "summer"}}, "code_charset", "/pattern/prefix"),
        ({"pattern": PATTERN | {"alphabet": "AA"}}, "invalid_alphabet", "/pattern/alphabet"),
        ({"pattern": {"random_length": 2}}, "code_length", "/pattern/random_length"),
        (
            {"starts_at": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"},
            "window_ends_first",
            "/expires_at",
        ),
        ({"max_redemptions_per_coupon": 2}, "single_redemption", "/max_redemptions_per_coupon"),
        ({"max_assignments": 0}, "out_of_range", "/max_assignments"),
    ],
)
def test_a_book_whose_rules_contradict_each_other_is_not_made(
    manager: Caller, house: House, fields: dict[str, Any], code: str, pointer: str
):
    answer = manager.post("/books", {"name": "Broken"} | fields)

    assert answer.status_code == 422
    assert [(e["code"], e["pointer"]) for e in answer.json["errors"]] == [(code, pointer)]
    assert rows(house, "SELECT 1 FROM books") == []


def test_the_same_request_makes_one_book(manager: Caller, house: House):
    body = {"name": "Once"}

    first = manager.post("/books", body, Idempotency_Key="k1")
    again = manager.post("/books", body, Idempotency_Key="k1")

    assert (first.json["id"], again.headers["Idempotent-Replayed"]) == (again.json["id"], "true")
    assert len(rows(house, "SELECT 1 FROM books")) == 1


def test_s3_111_books_are_listed_by_state_words_and_client(
    app: Flask, house: House, manager: Caller, admin: Caller, seeded: Seeded
):
    """S1-006, S3-111"""
    open_one = made(manager, name="Open 100% off")
    later = made(manager, name="Later", starts_at="2090-01-01T00:00:00Z")
    over = made(manager, name="Over", expires_at="2020-01-01T00:00:00Z")
    closed = made(manager, name="Closed")
    manager.post(f"/books/{closed['id']}/close")
    other = seed(house, vendor=False)
    foreign = made(signed_in(app, house, Role.CAMPAIGN_MANAGER, other), name="Foreign")

    def listed(caller: Caller, query: str) -> list[str]:
        return [book["id"] for book in caller.get(f"/books?{query}").json["data"]]

    assert listed(manager, "") == [closed["id"], over["id"], later["id"], open_one["id"]]
    assert listed(manager, "state=open") == [open_one["id"]]
    assert listed(manager, "state=scheduled") == [later["id"]]
    assert listed(manager, "state=expired") == [over["id"]]
    assert listed(manager, "state=closed") == [closed["id"]]
    assert listed(manager, "name=100%25+open") == [open_one["id"]]
    assert listed(manager, "name=10_") == []
    assert listed(admin, f"client_id={other.client_id}") == [foreign["id"]]
    assert manager.get(f"/books/{foreign['id']}").status_code == 404


def test_a_list_of_books_is_paged_without_gaps_or_repeats(manager: Caller):
    books = [made(manager, name=f"Book {n}")["id"] for n in range(5)]

    seen, cursor = [], ""
    while cursor is not None:
        page = manager.get(f"/books?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [book["id"] for book in page["data"]]
        cursor = page["next_cursor"]

    assert seen == books[::-1]


def test_ec025_a_change_names_the_version_that_was_read(manager: Caller, house: House):
    """EC-025, EC-027: who has not read the book, or not its newest version, changes nothing."""
    book = made(manager)

    missing = manager.call("PATCH", f"/books/{book['id']}", {"name": "Blind"})
    first = change(manager, book, name="Summer", max_assignments_per_user=5)
    stale = change(manager, book, name="Late")

    assert (missing.status_code, missing.json["code"]) == (428, "precondition_required")
    assert (first.status_code, first.json["version"], first.headers["ETag"]) == (200, 2, '"2"')
    assert (stale.status_code, stale.json["code"]) == (412, "precondition_failed")
    assert stale.json["version"] == 2
    assert manager.get(f"/books/{book['id']}").json["name"] == "Summer"
    entries = rows(house, "SELECT detail FROM audit_entries WHERE action = 'book.changed'")
    told = {"name": ["Summer Sale 2026", "Summer"], "max_assignments_per_user": [None, 5]}
    assert [row.detail for row in entries] == [told]


def test_s1_110_a_book_tells_no_holder_until_somebody_says_so(manager: Caller, house: House):
    silent = made(manager)
    telling = made(manager, name="Telling", tells_holder=True)

    missing = manager.call("PATCH", f"/books/{silent['id']}", {"tells_holder": True})
    told = change(manager, silent, tells_holder=True)
    stale = change(manager, silent, tells_holder=False)
    wrong = change(manager, told.json, tells_holder=None)

    assert (silent["tells_holder"], telling["tells_holder"]) == (False, True)
    assert [answer.status_code for answer in (missing, told, stale, wrong)] == [428, 200, 412, 422]
    assert manager.get(f"/books/{silent['id']}").json["tells_holder"] is True
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'book.changed'")
    assert entry.detail == {"tells_holder": [False, True]}


def test_a_change_of_nothing_or_of_what_stays_is_refused(manager: Caller):
    book = made(manager)

    empty = change(manager, book)
    sealing = change(manager, book, seals_codes=True)
    contrary = change(manager, book, max_redemptions_per_coupon=2)

    assert [answer.status_code for answer in (empty, sealing, contrary)] == [422, 422, 422]
    assert sealing.json["code"] == "unknown_field"
    assert manager.get(f"/books/{book['id']}").json == book


def test_a_pattern_is_taken_away_and_given_anew(manager: Caller):
    book = made(manager)

    without = change(manager, book, pattern=None).json
    anew = change(manager, without, pattern={"random_length": 12, "alphabet": "0123456789"}).json

    assert (without["pattern"], without["capacity"]) == (None, None)
    assert (anew["pattern"]["prefix"], anew["capacity"]["space"]) == ("", 10**12)


def test_s1_116_a_book_expires_at_its_time_and_may_be_given_more(manager: Caller):
    """S1-116"""
    book = made(manager, expires_at="2020-01-01T00:00:00Z")

    longer = change(manager, book, expires_at="2090-01-01T00:00:00Z").json
    endless = change(manager, longer, expires_at=None).json

    states = [book["state"], longer["state"], endless["state"], endless["expires_at"]]
    assert states == ["expired", "open", "open", None]


def test_a_book_is_closed_once_and_reopened(manager: Caller, house: House):
    book = made(manager)
    path = f"/books/{book['id']}"

    closed, again = manager.post(f"{path}/close"), manager.post(f"{path}/close")
    reopened = manager.post(f"{path}/reopen")

    assert [a.json["state"] for a in (closed, again, reopened)] == ["closed", "closed", "open"]
    assert [a.json["version"] for a in (closed, again, reopened)] == [2, 2, 3]
    acts = rows(house, "SELECT action FROM audit_entries WHERE object_kind = 'book' ORDER BY id")
    assert [row.action for row in acts] == ["book.created", "book.closed", "book.reopened"]


def test_a_viewer_and_a_stranger_change_no_book(
    app: Flask, house: House, manager: Caller, seeded: Seeded
):
    book = made(manager)
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False))

    answers = [change(viewer, book, name="Mine"), change(stranger, book, name="Mine")]
    answers += [stranger.post(f"/books/{book['id']}/close")]

    assert [answer.status_code for answer in answers] == [403, 404, 404]
    assert manager.get(f"/books/{book['id']}").json == book


def test_a_limit_set_later_counts_what_the_book_gave_before(
    manager: Caller, house: House, seeded: Seeded
):
    book = made(manager)
    bob, eve = hand_out(house, book["id"], (2, 1))

    each = change(manager, book, max_assignments_per_user=1).json
    whole = change(manager, each, max_assignments=10).json

    assert counts(house) == {bob: (2, 2), eve: (1, 1), "whole": (3, 3)}
    assert (whole["stock"]["assigned"], whole["stock"]["redemptions"]) == (3, 3)


def test_a_limit_that_was_lifted_meanwhile_is_counted_anew(
    manager: Caller, house: House, seeded: Seeded
):
    book = made(manager, max_redemptions_per_user=1)
    (bob,) = hand_out(house, book["id"], (1,))
    lifted = change(manager, book, max_redemptions_per_user=None).json
    (eve,) = hand_out(house, book["id"], (2,))

    change(manager, lifted, max_redemptions_per_user=5)

    assert counts(house) == {bob: (1, 1), eve: (2, 2)}


def test_who_sets_a_limit_waits_for_those_who_give_coupons(manager: Caller, house: House):
    """Whoever assigns shares the deck: while one does, counting does not begin."""
    book = made(manager)

    with set_lock_apart(house, book["id"]):
        busy = change(manager, book, max_assignments_per_user=1)
        name = change(manager, book, name="Renamed")

    assert (busy.status_code, name.status_code) == (503, 200)
    assert manager.get(f"/books/{book['id']}").json["max_assignments_per_user"] is None
    assert counts(house) == {}


def test_the_trial_of_a_pattern_shows_examples_and_how_long_guessing_takes(manager: Caller):
    """Mission idea 10: anti-enumeration as a budget."""
    wanted = {"pattern": PATTERN, "count": 1_000}

    plain = manager.post("/books/preview-pattern", wanted).json
    sealed = manager.post("/books/preview-pattern", wanted | {"seals_codes": True}).json

    assert (plain["fits"], sealed["fits"], sealed["capacity"]["room_for"]) == (True, False, 0)
    assert len(plain["examples"]) == 5
    assert all(code.startswith("SUMMER-") and len(code) == 18 for code in plain["examples"])
    assert plain["guesses_per_hit"] == 31**8 // 1000
    assert plain["days_per_hit"] == 20.9


def test_no_number_of_a_book_is_more_than_a_client_can_read(app: Flask, manager: Caller):
    """EC-028, S1-134: typed clients read 64 bits, and scripts whole numbers below 2^53."""
    most, pattern = 2**53 - 1, {"random_length": 64}

    tried = manager.post("/books/preview-pattern", {"pattern": pattern}).json
    book = made(manager, pattern=pattern)
    schemas = app.test_client().get("/api/v1/openapi.json").json["components"]["schemas"]

    assert tried["capacity"] == {"space": most, "bits": 317.07, "room_for": most}
    assert (tried["guesses_per_hit"], tried["fits"]) == (most, True)
    assert book["capacity"] == tried["capacity"]
    shown = [
        schemas["BookCapacity"]["properties"]["space"],
        schemas["BookCapacity"]["properties"]["room_for"],
        schemas["PatternPreview"]["properties"]["guesses_per_hit"],
    ]
    assert [field["maximum"] for field in shown] == [most] * 3
    assert all(str(most) in field["description"] for field in shown)


def counts(house: House) -> dict[Any, tuple[int, int]]:
    found = rows(house, "SELECT user_id, assigned, redeemed FROM coupon_counts")
    return {row.user_id if row.user_id.int else "whole": (row[1], row[2]) for row in found}


def test_coupons_of_a_foreign_book_cannot_be_written(house: House, seeded: Seeded):
    """The trigger stands in for a foreign key."""
    with (
        pytest.raises(Exception, match="a coupon belongs to a book of its tenant"),
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        session.execute(*coupons(seeded, seeded.campaign_id, 1))
