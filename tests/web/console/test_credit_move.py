"""Allocating and taking back credit by the console's forms (S4-045): seen first, moved once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of
from web.app import create_app

LARGE = 500_000


@pytest.fixture
def app(house: House) -> Flask:
    """A house in which 5,000.00 want a second person."""
    limits = replace(house.limits, second_person_allocation_minor=LARGE)
    return create_app(replace(house, limits=limits))


@pytest.fixture
def boss(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.AGENCY_ADMIN, seeded)


def balances(house: House, *accounts: UUID) -> list[int]:
    found = rows(house, "SELECT id, balance FROM accounts WHERE id = ANY(:ids)", ids=list(accounts))
    by_id = {row.id: row.balance for row in found}
    return [by_id[one] for one in accounts]


def agreed(visitor: Visitor, path: str, **typed: str) -> dict[str, str]:
    """The hidden fields of the page that shows what a movement would do."""
    shown = visitor.send(path, **typed)
    assert shown.status_code == 200
    return {name: unescape(value) for name, value in HIDDEN.findall(shown.text)}


def test_s4_045_an_allocation_shows_both_sides_before_and_after_and_then_moves_once(
    house: House, boss: Visitor, seeded: Seeded
) -> None:
    home = f"/console/credit/{seeded.client_account}"
    boss_sees = boss.get(f"/console/credit/{seeded.agency_account}").text

    back = boss.send(f"{home}/recall", amount="300", notes="unused")
    before = balances(house, seeded.agency_account, seeded.client_account)
    form = agreed(boss, f"{home}/recall", amount="300", notes="unused")
    first, again = (
        boss.client.post(f"{home}/recall", data=form, headers=SAME_ORIGIN) for _ in range(2)
    )
    told = boss.get(first.headers["Location"]).text
    given = agreed(boss, f"{home}/allocate", amount="120.50", notes="")
    boss.client.post(f"{home}/allocate", data=given, headers=SAME_ORIGIN)

    assert f"{home}/allocate" in boss_sees
    for words in ("$100,000.00", "$99,700.00", "$0.00", "$300.00", "Take back $300.00", "unused"):
        assert words in back.text
    assert before == [0, 10_000_000]
    assert (first.status_code, first.headers["Location"]) == (303, again.headers["Location"])
    assert "$300.00 moved from Client to Agency" in told
    assert balances(house, seeded.agency_account, seeded.client_account) == [17_950, 9_982_050]
    moved = rows(
        house,
        "SELECT kind, amount, notes FROM transfers WHERE actor_id <> :seed ORDER BY created_at",
        seed=UUID(int=42),
    )
    assert [tuple(row) for row in moved] == [
        ("recall", 30_000, "unused"),
        ("allocation", 12_050, ""),
    ]


def test_s4_045_the_same_form_sent_by_two_at_once_moves_credit_once(
    app: Flask, house: House, seeded: Seeded
) -> None:
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    path = f"/console/credit/{seeded.client_account}/recall"
    form = agreed(boss, path, amount="10")
    cookie = boss.client.get_cookie("largesse")
    assert cookie is not None

    def send(_: int) -> str:
        browser = app.test_client()
        browser.set_cookie("largesse", cookie.value)
        return str(browser.post(path, data=form, headers=SAME_ORIGIN).headers["Location"])

    with ThreadPoolExecutor(4) as pool:
        went = {place.partition("?")[0] for place in pool.map(send, range(4))}

    assert went == {f"/console/credit/{seeded.client_account}"}
    assert balances(house, seeded.client_account) == [9_999_000]


REFUSED = [
    ({"amount": ""}, "amount", "Give the amount as digits"),
    ({"amount": "1,000"}, "amount", "Give the amount as digits"),
    ({"amount": "-5"}, "amount", "An amount is never negative: give it without a minus"),
    ({"amount": "0.00"}, "amount", "more than zero"),
    ({"amount": "1.001"}, "amount", "2 digits after the point"),
    ({"amount": "9" * 11}, "amount", "too large"),
    ({"amount": "100000.01"}, "amount", "$0.01 too little. Take back $100,000.00 at most."),
    ({"amount": "5", "notes": "a\nb"}, "notes", "one line of text"),
    ({"amount": "5", "notes": "n" * 501}, "notes", "at most 500"),
]


def test_s4_045_what_cannot_be_moved_is_refused_at_its_field_and_stays_typed(
    house: House, seeded: Seeded
) -> None:
    boss = visitor_of(create_app(house), house, Role.AGENCY_ADMIN, seeded)
    path = f"/console/credit/{seeded.client_account}/recall"

    for typed, field, words in REFUSED:
        refused = boss.send(path, **{"notes": "end of season"} | typed)

        assert refused.status_code in {402, 422}, typed
        wrong = refused.text.partition(f'id="{field}-wrong"')[2].partition("</span>")[0]
        assert words in unescape(wrong), typed
        assert f'value="{typed["amount"]}"' in refused.text
        assert f'value="{typed.get("notes", "end of season")}"' in refused.text
    assert balances(house, seeded.client_account) == [10_000_000]


def test_sec031_much_credit_waits_for_a_second_person_from_the_form_too(
    app: Flask, house: House, boss: Visitor, seeded: Seeded
) -> None:
    path = f"/console/credit/{seeded.client_account}/recall"

    shown = boss.send(path, amount="5000", notes="end of season")
    form = {name: unescape(value) for name, value in HIDDEN.findall(shown.text)}
    first, again = (boss.client.post(path, data=form, headers=SAME_ORIGIN) for _ in range(2))

    assert "Somebody else has to agree" in shown.text
    assert "Ask to take back $5,000.00" in shown.text
    for answer in (first, again):
        assert answer.headers["Location"] == "/console/approvals?done=asked"
    assert balances(house, seeded.client_account) == [10_000_000]
    (asked,) = rows(house, "SELECT kind, detail FROM approvals")
    assert (asked.kind, asked.detail["amount_minor"]) == ("credit.recall", 500_000)
    assert "It waits for a second person" in boss.get(first.headers["Location"]).text


def test_sec004_an_old_proof_is_asked_for_before_much_is_shown_and_the_amount_is_kept(
    house: House, seeded: Seeded
) -> None:
    strict = create_app(
        replace(house, limits=replace(house.limits, step_up_allocation_minor=1, step_up_seconds=-1))
    )
    boss = visitor_of(strict, house, Role.AGENCY_ADMIN, seeded)
    path = f"/console/credit/{seeded.client_account}/recall"

    sent = boss.send(path, amount="12.50")

    assert sent.status_code == 303
    assert sent.headers["Location"].startswith("/console/prove?next=")
    assert 'value="12.50"' in boss.get(f"{path}?amount=12.50").text
    assert balances(house, seeded.client_account) == [10_000_000]


def test_s4_045_an_account_that_is_stopped_says_so_and_nothing_moves(
    house: House, boss: Visitor, seeded: Seeded
) -> None:
    path = f"/console/credit/{seeded.client_account}/recall"
    form = agreed(boss, path, amount="10")
    stops = {"frozen_at": "This account is frozen", "restricted_at": "owes for a top-up"}

    for stop, words in stops.items():
        others = ", ".join(f"{name} = NULL" for name in stops if name != stop)
        rows(
            house,
            f"UPDATE accounts SET {stop} = now(), {others} WHERE id = :id RETURNING 1",
            id=seeded.client_account,
        )
        shown = boss.send(path, amount="10")
        moved = boss.client.post(path, data=form, headers=SAME_ORIGIN)

        for answer in (shown, moved):
            assert answer.status_code == 423
            assert words in answer.text
    assert balances(house, seeded.client_account) == [10_000_000]


def test_s4_045_nobody_moves_credit_of_an_account_whose_parent_they_do_not_see(
    app: Flask, house: House, seeded: Seeded
) -> None:
    client = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    viewer = visitor_of(app, house, Role.AGENCY_VIEWER, seeded)
    own, above = (
        f"/console/credit/{one}" for one in (seeded.client_account, seeded.agency_account)
    )

    assert client.get(f"{own}/allocate").status_code == 404
    assert f"{own}/allocate" not in client.get(own).text
    assert viewer.get(f"{own}/allocate").status_code == 403
    assert f"{own}/allocate" not in viewer.get(above).text
