"""Recipients who wait for a fair cost are given up on the job's page, with a reason (EC-081)."""

from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.pipelines.test_margin import set_floor, verdicts
from tests.proof import assert_proven
from tests.seeding import seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, visitor_of

CODE = "margin_below_floor"


def test_ec081_those_who_wait_are_given_up_once_with_a_reason(app: Flask, house: House) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    set_floor(house, 300)
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    bob = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    path = f"/console/jobs/{job_id}/give-up"

    linked = path in bob.get(f"/console/jobs/{job_id}").text
    shown = bob.get(path)
    hidden = dict(HIDDEN.findall(shown.text.rpartition("<form")[2]))
    silent = bob.client.post(path, data=hidden, headers=SAME_ORIGIN)
    waiting = verdicts(house, job_id)
    sent = [
        bob.client.post(path, data=hidden | {"reason": "too dear"}, headers=SAME_ORIGIN)
        for _ in range(2)
    ]
    drain(house)

    assert (linked, shown.status_code) == (True, 200)
    assert "$50.00 held for them" in shown.text
    assert (silent.status_code, waiting) == (422, {("needs_review", CODE): 2})
    assert [one.status_code for one in sent] == [303, 303]
    assert verdicts(house, job_id) == {("cancelled", CODE): 2}
    assert view(house, job_id)["money"]["held_minor"] == 0
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'job.waiting_given_up'")
    assert [one.detail["reason"] for one in told] == ["too dear"]
    assert path not in bob.get(f"/console/jobs/{job_id}").text
    assert bob.get(path).status_code == 303
    assert_proven(house)


def test_ec081_no_more_are_given_up_than_were_shown(app: Flask, house: House) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    set_floor(house, 300)
    job_id = submit(house, seeded, recipients_csv(3))
    drain(house)
    change = "UPDATE items SET code = :code WHERE job_id = :job AND position > 1 RETURNING 1"
    rows(house, change, code="no_card_available", job=job_id)
    bob = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    path = f"/console/jobs/{job_id}/give-up"
    shown = bob.get(path)
    rows(house, change, code=CODE, job=job_id)

    def agree(page: str, **fields: str) -> TestResponse:
        hidden = dict(HIDDEN.findall(page.rpartition("<form")[2]))
        return bob.client.post(path, data=hidden | fields, headers=SAME_ORIGIN)

    refused = agree(shown.text, reason="too dear")
    odd = [
        agree(shown.text, reason="too dear", waiting=n).status_code for n in ("", "-9", "9" * 5000)
    ]
    before = verdicts(house, job_id)
    done = agree(refused.text, reason="too dear")

    assert "1 recipient wait" in shown.text
    assert (refused.status_code, odd) == (409, [409] * 3)
    assert "Recipients is now: 3 recipients wait" in refused.text
    assert "Give up 3 recipients" in refused.text
    assert 'value="too dear"' in refused.text
    assert before == {("needs_review", CODE): 3}
    assert (done.status_code, verdicts(house, job_id)) == (303, {("cancelled", CODE): 3})


def test_a_viewer_is_not_offered_to_give_up(app: Flask, house: House) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    set_floor(house, 300)
    job_id = submit(house, seeded, recipients_csv(1))
    drain(house)
    path = f"/console/jobs/{job_id}/give-up"
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    assert path not in viewer.get(f"/console/jobs/{job_id}").text
    assert viewer.get(path).status_code == 403
    assert verdicts(house, job_id) == {("needs_review", CODE): 1}
