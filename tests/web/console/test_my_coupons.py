"""My coupons: whoever holds some sees and uses them, whatever their role (S1-057..059, S3-001, S3-028..037)."""

import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.console_sessions import open_session
from pipelines.books.refusals import BookClosed
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, coupon_in, events, finish, put_codes, state_of
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import make_user
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor
from tests.web.console.test_coupon_page import toast
from web.console import coupon_acts

MINE = "/console/my/coupons"
S = CouponState


@pytest.fixture(autouse=True)
def _nobody_waits_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coupon_acts, "WAIT_SECONDS", 0.0)


@pytest.fixture
def alice_id(house: House, seeded: Seeded) -> UUID:
    """Somebody without a tenant, whom the client knows."""
    user_id = make_user(house, "alice@example.com", Role.END_USER)
    rows(
        house,
        "INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised) "
        "VALUES (:client, :user, :agency, 'alice@example.com', 'alice@example.com') RETURNING 1",
        client=seeded.client_id,
        agency=seeded.agency_id,
        user=user_id,
    )
    return user_id


def visit(app: Flask, house: House, user_id: UUID) -> Visitor:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        token = open_session(session, user_id, now=clock.now(session), limits=house.limits)
    client = app.test_client()
    client.set_cookie("largesse", token)
    return Visitor(client)


@pytest.fixture
def alice(app: Flask, house: House, alice_id: UUID) -> Visitor:
    return visit(app, house, alice_id)


def press(visitor: Visitor, coupon_id: UUID, verb: str) -> str:
    """Press a button of My coupons; the page that tells what came of it."""
    form = dict(HIDDEN.findall(visitor.get(MINE).text))
    answer = visitor.client.post(f"{MINE}/{coupon_id}/{verb}", data=form, headers=SAME_ORIGIN)
    if answer.status_code != 303:
        return answer.text
    return visitor.get(answer.headers["Location"]).text


def test_an_end_user_lands_among_their_coupons(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    empty = alice.get(MINE).text
    code = coupon_in(house, seeded, S.ASSIGNED, alice_id, name="Spring sale")

    home = alice.get("/console/")
    page = alice.get(MINE).text

    assert (home.status_code, home.headers["Location"]) == (303, MINE)
    assert "No coupon yet" in empty
    assert code in page
    assert "Spring sale" in page
    navigation = re.findall(r'<nav aria-label="Main">(.*?)</nav>', page, re.DOTALL)[0]
    assert re.findall(r"</svg>([^<]*)</a>", navigation) == ["My coupons"]
    assert "Platform" not in page
    assert alice.get("/console/books").status_code == 403


def test_every_role_of_people_has_its_coupons(app: Flask, house: House, seeded: Seeded) -> None:
    for role in Role:
        if role is Role.STOREFRONT_KEY:
            continue
        user_id = make_user(house, f"{role.value}@own.example", role, seeded)
        visitor = visit(app, house, user_id)
        code = coupon_in(house, seeded, S.ASSIGNED, user_id)

        assert code in visitor.get(MINE).text, role


@pytest.mark.parametrize("state", [S.ASSIGNED, S.LOCKED, S.REDEEMED])
def test_s1_057_every_action_can_be_pressed_in_every_state(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID, state: CouponState
) -> None:
    code = coupon_in(house, seeded, state, alice_id)

    page = alice.get(MINE).text

    buttons = re.findall(r'<button class="button"( disabled)?>(\w+)<span', page)
    assert buttons == [("", "Redeem"), ("", "Lock"), ("", "Unlock")]
    assert page.count(code) >= 4, "each button says of which coupon it is"


#: State, verb -> the notes' words.
REFUSED = {
    (S.LOCKED, "redeem"): "Cannot redeem LOCKED coupon",
    (S.LOCKED, "lock"): "Already locked",
    (S.REDEEMED, "redeem"): "Terminal state",
    (S.REDEEMED, "lock"): "Invalid transition",
    (S.REDEEMED, "unlock"): "Terminal state",
    (S.ASSIGNED, "unlock"): "Invalid transition",
}


@pytest.mark.parametrize(("state", "verb"), REFUSED)
def test_s1_058_an_invalid_action_answers_in_the_notes_words_and_changes_nothing(
    house: House,
    seeded: Seeded,
    alice: Visitor,
    alice_id: UUID,
    state: CouponState,
    verb: str,
) -> None:
    """S1-059, S1-063..065, S3-031, S3-033..035."""
    code = coupon_in(house, seeded, state, alice_id)
    before = events(house, code)

    page = press(alice, coupon(house, seeded, code).id, verb)

    role, words = toast(page)
    assert (role, words.startswith(REFUSED[state, verb])) == ("alert", True)
    assert (state_of(house, code), events(house, code)) == (state, before)


def test_s3_080_locked_it_cannot_be_redeemed_and_unlocked_it_can(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    """S3-029, S3-030, S3-032, S3-081."""
    code = coupon_in(house, seeded, S.ASSIGNED, alice_id)
    identity = coupon(house, seeded, code).id

    locked = press(alice, identity, "lock")
    refused = press(alice, identity, "redeem")
    unlocked = press(alice, identity, "unlock")
    asked = press(alice, identity, "redeem")
    (job,) = rows(house, "SELECT id FROM jobs")
    finish(house)
    redeemed = alice.get(f"{MINE}?job={job.id}").text

    assert toast(locked) == ("status", "The coupon is locked for 5 minutes")
    assert re.search(r"until [^<]* UTC, [45] min \d+ s left", locked)
    assert toast(refused) == ("alert", "Cannot redeem LOCKED coupon")
    assert "Unlock it first, or wait until its lock runs out at" in unescape(refused)
    assert toast(unlocked) == ("status", "The coupon is unlocked")
    assert toast(asked) == ("status", "It is accepted and being worked on")
    assert toast(redeemed) == ("status", f"Redeemed: {code}")
    assert state_of(house, code) == S.REDEEMED


def test_s3_083_a_second_window_is_told_that_another_redeems_already(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    """S1-066, S3-037."""
    code = coupon_in(house, seeded, S.ASSIGNED, alice_id)
    identity = coupon(house, seeded, code).id

    press(alice, identity, "redeem")
    second = press(alice, identity, "redeem")
    finish(house)

    assert toast(second) == ("alert", "Concurrent redemption detected")
    assert events(house, code) == ["assigned", "redeemed"]


def test_a_coupon_of_somebody_else_is_as_unknown_as_none(
    app: Flask, house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    """EC-087."""
    eve = make_user(house, "eve@example.com", Role.CLIENT_ADMIN, seeded)
    code = coupon_in(house, seeded, S.ASSIGNED, eve)
    identity = coupon(house, seeded, code).id
    form = dict(HIDDEN.findall(alice.get(MINE).text))

    assert code not in alice.get(MINE).text
    assert alice.get(f"{MINE}/{identity}").status_code == 404
    for verb in ("redeem", "lock", "unlock", "code"):
        sent = alice.client.post(f"{MINE}/{identity}/{verb}", data=form, headers=SAME_ORIGIN)
        assert sent.status_code == 404, verb
    assert (state_of(house, code), events(house, code)) == (S.ASSIGNED, ["assigned"])


def test_what_an_address_says_of_somebody_elses_job_is_not_told(
    house: House, seeded: Seeded, alice: Visitor, app: Flask
) -> None:
    eve_id = make_user(house, "eve@example.com", Role.END_USER)
    code = coupon_in(house, seeded, S.ASSIGNED, eve_id)
    press(visit(app, house, eve_id), coupon(house, seeded, code).id, "redeem")
    (job,) = rows(house, "SELECT id FROM jobs")

    page = alice.get(f"{MINE}?job={job.id}")

    assert page.status_code == 200
    assert "toast" not in page.text


def test_the_history_names_the_holder_and_nobody_else(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, alice_id)
    identity = coupon(house, seeded, code).id
    press(alice, identity, "lock")

    page = alice.get(f"{MINE}/{identity}").text

    lines = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td>', page)
    assert lines == [("Assigned to you", "who manages the book"), ("Locked", "you")]


def test_a_sealed_code_is_opened_by_its_holder_and_the_audit_says_so(
    app: Flask, house: House, seeded: Seeded, alice: Visitor, alice_id: UUID, bob: Visitor
) -> None:
    pattern = {"prefix": "", "random_length": 15, "alphabet": "ABCDEFGHJK23456789"}
    book_id = make_book(house, seeded, seals_codes=True, **pattern)
    bob_page = bob.get(f"/console/books/{book_id}").text
    form = dict(HIDDEN.findall(bob_page)) | {"count": "1"}
    bob.client.post(f"/console/books/{book_id}/generate", data=form, headers=SAME_ORIGIN)
    finish(house)
    bob.send(f"/console/books/{book_id}/assign", email="alice@example.com", do="assign")
    finish(house)
    (row,) = rows(house, "SELECT c.id, s.last4 FROM coupons c JOIN coupon_codes s USING (id)")

    listed, page = alice.get(MINE).text, alice.get(f"{MINE}/{row.id}").text
    opened = alice.send(f"{MINE}/{row.id}/code", f"{MINE}/{row.id}")

    (code,) = re.findall(r'id="opened">(\w{15})<', opened.text)
    assert code.endswith(row.last4)
    assert opened.headers["Cache-Control"] == "no-store"
    assert f"****{row.last4}" in listed
    assert code not in listed + page
    told = rows(house, "SELECT actor_id FROM audit_entries WHERE action = 'coupon.revealed'")
    assert [entry.actor_id for entry in told] == [alice_id]


def test_fifty_coupons_are_a_page(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 51)
    rows(
        house,
        "UPDATE coupons SET state = 'assigned', user_id = :user, assigned_at = now(),"
        " version = version + 1 RETURNING 1",
        user=alice_id,
    )

    first = alice.get(MINE).text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second = alice.get(unescape(older)).text

    assert first.count('class="card coupon"') == 50
    assert second.count('class="card coupon"') == 1
    assert "Newest coupons" in second


def test_a_coupon_of_a_closed_book_says_so_before_anything_is_pressed(
    house: House, seeded: Seeded, alice: Visitor, alice_id: UUID
) -> None:
    coupon_in(house, seeded, S.ASSIGNED, alice_id)
    before = alice.get(MINE).text
    rows(house, "UPDATE books SET closed_at = now() RETURNING 1")

    assert BookClosed.detail not in before
    assert unescape(BookClosed.detail) in unescape(alice.get(MINE).text)
