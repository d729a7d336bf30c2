"""Jobs about coupons, codes and people say so on their pages, and are undone in their words."""

import io
import re
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponMove
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.discounts.accept_codes import accept_codes
from pipelines.distribution.draw import Mode, commitment_of
from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import KINDS, OnError, Undo
from pipelines.wiring import House
from tests.discounting import make_discount
from tests.distributing import assigned, distribute, make_pool, options, stocked_book
from tests.driving import drain, hasten, rows
from tests.pipelines.test_distribution_undo import move
from tests.seeding import ACTOR, Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of
from web.console import followup_words, kind_words


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def people(house: House, seeded: Seeded) -> tuple[UUID, list[UUID]]:
    """A pool of three, of whom the last is disabled."""
    pool, people = make_pool(house, seeded, 3)
    rows(house, "UPDATE user_pools SET name = 'Beta Testers' RETURNING 1")
    rows(
        house,
        "UPDATE client_users SET disabled_at = now() WHERE user_id = :one RETURNING 1",
        one=people[2],
    )
    return pool, people


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    return stocked_book(house, seeded, 20, name="Summer Sale")


@pytest.fixture
def done(house: House, seeded: Seeded, people: Any, book: UUID) -> UUID:
    """An equal distribution of three for each, with a seed of its own."""
    asked = options(people[0], book, 6, mode=Mode.EQUAL, seed="lottery 7")
    job_id = distribute(house, seeded, asked)
    drain(house)
    return job_id


def page(bob: Visitor, job_id: object, more: str = "") -> str:
    return unescape(bob.get(f"/console/jobs/{job_id}{more}").text)


def test_every_kind_has_words_and_an_undo_where_it_has_one(house: House) -> None:
    undone = {
        name: kind.undo.kind
        for name, kind in house.job_kinds.items()
        if isinstance(kind.undo, Undo)
    }

    assert set(kind_words.KINDS) == set(KINDS)
    assert undone == kind_words.UNDOES
    assert "already_replaced" in followup_words.STAYS


def test_s3_051_a_distribution_tells_its_statistics_and_counts_per_person(
    bob: Visitor, people: Any, done: UUID
) -> None:
    """S3-051, S3-053, S3-054"""
    shown = page(bob, done)

    assert "<h1>Distribution</h1>" in shown
    assert "Summer Sale · Beta Testers" in shown
    assert f"/console/user-pools/{people[0]}" in shown
    assert "6 of 7 assigned" in shown
    for label, value in (
        ("Mode", "Equal"),
        ("Coupons asked for", "6"),
        ("Coupons assigned", "6"),
        ("People in the pool", "3"),
        ("People who got one", "2"),
        ("Coupons for one person", "0 to 3"),
    ):
        assert f"<dt>{label}</dt><dd>{value}</dd>" in shown
    assert shown.count('<td class="number">3</td><td class="number">0</td>') == 2
    assert 'Seed</dt><dd class="mono small">lottery 7' in shown
    assert "The person’s account is disabled" in shown
    assert "Assigned" in shown
    assert "@x.example" in shown
    for word in ("Where the cards came from", "Credit</h2>", "Issued", "uploaded again as it is"):
        assert word not in shown


def test_a_person_is_found_among_the_rows_of_a_distribution(
    bob: Visitor, people: Any, done: UUID
) -> None:
    address = f"{people[1][0]}@x.example"

    found = page(bob, done, f"?find={address}").partition('id="recipients"')[2]
    nobody = page(bob, done, "?find=nobody@x.example").partition('id="recipients"')[2]

    assert found.count('class="position"') == 3
    assert "No row matches" in nobody


def test_the_draw_can_be_checked_from_its_digest_on(
    house: House, seeded: Seeded, bob: Visitor, people: Any, book: UUID, done: UUID
) -> None:
    waiting = distribute(house, seeded, options(people[0], book, 4, seed="secret until then"))

    before, after = page(bob, waiting, "/draw"), page(bob, done, "/draw")
    file = bob.get(f"/console/jobs/{done}/draw-members.csv").data.decode("utf-8-sig")

    assert commitment_of("secret until then") in before
    assert "secret until then" not in before + page(bob, waiting)
    assert "The seed is shown when the job has ended." in before
    assert "What this is drawn from" in page(bob, waiting)
    assert "member:1" in before and "member:1" not in after
    assert "lottery 7 (given by who submitted it)" in after
    assert "Check this draw" in page(bob, done)
    places = [line.split(",") for line in file.splitlines()[1:]]
    assert [place[1].strip('"') for place in places] == [str(one) for one in people[1]]
    assert places[2][2].strip('"') == "'-1" or places[2][2].strip('"') == "-1"


def test_a_distribution_is_undone_from_the_console_with_the_counts_by_reason(
    house: House, seeded: Seeded, bob: Visitor, done: UUID
) -> None:
    given = [coupon for _position, _person, coupon in assigned(house, done)]
    move(house, seeded, given[0], CouponMove.REDEEMED)

    asked = page(bob, done, "/undo")
    sent = bob.send(f"/console/jobs/{done}/undo")
    drain(house)
    undo = unescape(bob.get(sent.headers["Location"]).text)
    original = page(bob, done)

    assert "5 coupons that nobody has redeemed go back into the book" in asked
    assert "1 coupon redeemed already: they stay with their holders." in asked
    assert "Take back 5 coupons" in asked
    assert "card" not in asked.partition("<main")[2].replace('class="card', "")
    assert sent.status_code == 303
    assert "Undo of a distribution" in undo
    assert "5 of 6 taken back" in undo
    assert "Taken back" in undo
    assert "The coupon was redeemed" in undo
    assert "Credit</h2>" not in undo
    assert "5 coupons were taken back." in original
    assert len(assigned(house, done)) == 1


def test_a_distribution_is_cancelled_in_its_own_words(
    house: House, seeded: Seeded, bob: Visitor, people: Any, book: UUID
) -> None:
    """EC-097"""
    waiting = distribute(house, seeded, options(people[0], book, 4))

    asked = page(bob, waiting, "/cancel")
    bob.send(f"/console/jobs/{waiting}/cancel", reason="Not now")
    drain(house)
    ended = page(bob, waiting)

    assert "Nothing has been assigned. 4 open items will not be assigned." in asked
    assert "supplier" not in asked.partition("<main")[2]
    assert "credit" not in asked.partition("<main")[2].lower()
    assert "Submit it again if it is still wanted." in ended
    assert "Its credit was released" not in ended


def test_one_coupon_for_one_person_is_told_with_its_state(
    house: House, seeded: Seeded, bob: Visitor, people: Any, book: UUID
) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = submit_assignment(
            session,
            AssignmentRequest(seeded.client_id, people[1][0], book),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id
    hasten(house)
    drain(house)
    (coupon,) = rows(house, "SELECT code FROM coupons WHERE user_id = :one", one=people[1][0])

    shown = page(bob, job_id)

    assert "<h1>Coupon for a person</h1>" in shown
    assert "1 of 1 assigned" in shown
    assert f"<dt>Code</dt><dd>{coupon.code}</dd>" in shown
    assert "<dt>State now</dt><dd>Assigned</dd>" in shown


def test_s2_131_a_file_of_discount_codes_names_the_columns_and_leads_to_its_codes(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """S2-131, S2-143"""
    text = "code,kind,percent_bp\r\nGOOD-1,percent,10\r\nBAD-1,percent,\r\nBAD-2,fixed,\r\nBAD!,percent,1\r\n"
    make_discount(house, seeded, "BEFORE")
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = accept_codes(
            session,
            seeded.client_id,
            CodesFile(io.BytesIO(text.encode()), OnError.SKIP, "codes.csv"),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id
    drain(house)

    shown = page(bob, job_id)
    (home,) = re.findall(r'href="(/console/discounts[?]batch=[^"]*)"', shown)
    codes = bob.get(home).text

    assert "<p>Columns such as amount_minor and percent_bp</p>" in shown
    assert "<p>Column code</p>" in shown
    assert '<td class="mono">percent_bp</td>' in shown
    assert ">Person<" not in shown
    assert ">GOOD-1</a>" in codes
    assert "BEFORE" not in codes
    assert f"/console/jobs/{job_id}" in codes


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_of_any_kind_has_a_page_a_line_and_a_live_part(
    house: House, bob: Visitor, done: UUID, kind: str
) -> None:
    rows(house, "UPDATE jobs SET kind = :kind RETURNING 1", kind=kind)
    if kind in {"coupon_assignment", "coupon_redemption"}:
        rows(house, "DELETE FROM items WHERE position > 1 RETURNING 1")

    answers = [
        bob.get(path)
        for path in (
            "/console/",
            "/console/jobs",
            f"/console/jobs/{done}",
            f"/console/jobs/{done}/live",
        )
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    name = kind_words.KINDS[kind].name
    assert all(name in unescape(answer.text) for answer in answers)


def test_the_draw_is_the_tenants_own(app: Flask, house: House, done: UUID) -> None:
    foreign = visitor_of(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    for more in ("", "/draw", "/draw-members.csv"):
        assert foreign.get(f"/console/jobs/{done}{more}").status_code == 404
