"""A job is undone and run again from its page, after the page has said what that does."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.seeding import Seeded, seed
from tests.undoing import (
    ask_undo,
    card_states,
    coded_job,
    open_card,
    provision_of,
    served_job,
    undo,
)
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of
from web import admission


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def done(house: House, seeded: Seeded) -> UUID:
    """A finished job of three, of whom one has seen the card."""
    job_id = served_job(house, seeded, 3)
    open_card(house, seeded, provision_of(house, job_id, 2).id)
    return job_id


def newest(house: House) -> UUID:
    return rows(house, "SELECT id FROM jobs ORDER BY id DESC LIMIT 1")[0].id


def test_the_page_says_what_an_undo_does_before_it_does_it(
    house: House, bob: Visitor, done: UUID
) -> None:
    page = bob.get(f"/console/jobs/{done}/undo")

    assert page.status_code == 200
    assert "2 cards that nobody has seen yet go back to stock" in page.text
    assert "$50.00 of credit" in page.text
    assert "1 card already seen by their recipients" in page.text
    assert card_states(house) == {"issued": 3}


def test_an_undo_is_confirmed_and_both_jobs_tell_of_it(
    house: House, bob: Visitor, done: UUID
) -> None:
    answer = bob.send(f"/console/jobs/{done}/undo")
    drain(house)
    undo_id = newest(house)
    undo_page = bob.get(f"/console/jobs/{undo_id}").text
    original = bob.get(f"/console/jobs/{done}").text

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/console/jobs/{undo_id}")
    assert "Undo – Campaign" in undo_page
    assert "2 of 3 taken back" in undo_page
    assert "Given back" in undo_page
    assert "$50.00" in undo_page
    assert "Taken back" in undo_page
    assert "The recipient has seen the card" in undo_page
    assert f"/console/jobs/{done}" in undo_page
    assert "Where the cards came from" not in undo_page
    assert "2 cards were taken back, and $50.00 of credit with them." in original
    assert f"/console/jobs/{undo_id}" in original


def test_pressing_undo_twice_is_one_undo(house: House, bob: Visitor, done: UUID) -> None:
    form = bob.get(f"/console/jobs/{done}/undo").text.rpartition("<form")[2]
    data = {
        name: form.partition(f'name="{name}" value="')[2].partition('"')[0]
        for name in ("csrf_token", "idempotency_key")
    }

    answers = [
        bob.client.post(f"/console/jobs/{done}/undo", data=data, headers=SAME_ORIGIN)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert len({answer.headers["Location"] for answer in answers}) == 1


def test_an_undo_that_cannot_be_says_why_and_where(
    house: House, bob: Visitor, seeded: Seeded, done: UUID
) -> None:
    other = ask_undo(house, seeded, done).resource_id

    page = bob.get(f"/console/jobs/{done}/undo")

    assert page.status_code == 409
    assert "Another undo of this job is under way" in page.text
    assert f"/console/jobs/{other}" in page.text
    assert "undo-now" not in page.text


def test_cancelling_an_undo_says_what_stays_given(
    house: House, bob: Visitor, seeded: Seeded, done: UUID
) -> None:
    other = ask_undo(house, seeded, done).resource_id

    page = bob.get(f"/console/jobs/{other}/cancel").text

    assert "will stay with their recipients" in page
    assert "Cancel the undo" in page


def test_a_job_is_run_again_for_those_whose_card_was_taken_back(
    house: House, bob: Visitor, seeded: Seeded, done: UUID
) -> None:
    undo(house, seeded, done)
    path = f"/console/jobs/{done}/clone"

    page = bob.get(f"{path}?only=undone").text
    answer = bob.send(path, shown_at=f"{path}?only=undone")
    drain(house)

    assert "2 cards for $50.00" in page
    assert "Cards go out as before: <strong>Nothing is sent</strong>" in page
    assert answer.status_code == 303
    cloned = view(house, newest(house))
    assert (cloned["state"], cloned["counts"]["total"]) == ("succeeded", 2)
    assert cloned["cloned_from_id"] == done
    assert "runs <a" in bob.get(answer.headers["Location"]).text


def test_nobody_gets_a_second_card_unless_it_is_said(bob: Visitor, done: UUID) -> None:
    path = f"/console/jobs/{done}/clone"

    assert "Nobody of these would get a card" in bob.get(path).text
    assert "clone-now" not in bob.get(path).text
    assert "3 cards for $75.00" in bob.get(f"{path}?allow_repeat=1").text


def test_a_clone_without_credit_says_what_is_missing(house: House, app: Flask) -> None:
    poor = seed(house, vendor=False, credit_minor=7500)
    job_id = served_job(house, poor, 2)
    visitor = visitor_of(app, house, Role.CAMPAIGN_MANAGER, poor)

    page = visitor.get(f"/console/jobs/{job_id}/clone?allow_repeat=1").text

    assert "There is not enough credit" in page
    assert "clone-now" not in page


def test_who_may_only_look_sees_neither(
    house: House, app: Flask, seeded: Seeded, done: UUID
) -> None:
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    page = viewer.get(f"/console/jobs/{done}").text

    assert "Undo…" not in page
    assert "Run again…" not in page
    assert viewer.get(f"/console/jobs/{done}/undo").status_code == 403
    assert viewer.get(f"/console/jobs/{done}/clone").status_code == 403


def test_an_open_job_offers_neither(house: House, bob: Visitor, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit(house, seeded, recipients_csv(1))

    page = bob.get(f"/console/jobs/{job_id}").text

    assert "Undo…" not in page
    assert "Run again…" not in page


def test_s4_092_the_job_of_a_redeemed_code_offers_neither(
    house: House, bob: Visitor, seeded: Seeded
) -> None:
    """S4-092: one code is one card; both pages would only refuse."""
    job_id = coded_job(house, seeded, "SPRING-1", cards=1)

    page = bob.get(f"/console/jobs/{job_id}").text

    assert "Undo…" not in page
    assert "Run again…" not in page


def test_a_clone_while_a_file_is_taken_in_is_asked_to_come_again(
    house: House, bob: Visitor, done: UUID
) -> None:
    """It is judged as a file is; nothing is written, and the page does not take the slot beside."""
    form = bob.get(f"/console/jobs/{done}/clone?allow_repeat=1").text.rpartition("<form")[2]
    data = dict(HIDDEN.findall(form))
    with admission.intake_slot():
        shown = bob.get(f"/console/jobs/{done}/clone")
        sent = bob.client.post(f"/console/jobs/{done}/clone", data=data, headers=SAME_ORIGIN)
    newest_then = newest(house)
    again = bob.client.post(f"/console/jobs/{done}/clone", data=data, headers=SAME_ORIGIN)

    for busy in (shown, sent):
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
        assert "Another file is being taken in." in busy.text
    assert newest_then == done
    assert again.headers["Location"] == f"/console/jobs/{newest(house)}"
    assert newest(house) != done
