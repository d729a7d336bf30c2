"""The list of jobs, the job page and its live part, cancelling and retrying."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

#: How a recipient's row begins on the page.
RECIPIENT = '<tr><th scope="row" class="position">'


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def half_done(house: House, seeded: Seeded) -> UUID:
    """A finished job of four, two of them without a card."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job_id = submit(house, seeded, recipients_csv(4))
    drain(house)
    return job_id


def test_the_list_teaches_when_there_is_nothing(bob: Visitor):
    assert "No jobs yet" in bob.get("/console/jobs").text
    assert "No job is in this state" in bob.get("/console/jobs?state=failed").text


def test_the_job_page_says_how_it_went_and_why(bob: Visitor, half_done: UUID):
    page = bob.get(f"/console/jobs/{half_done}").text

    assert "Finished with failures" in page
    assert "2 of 4 issued" in page
    assert "$50.00" in page
    assert "No card was in stock" in page
    assert "Retry failed (2)" in page
    assert "p•••@example.com" in page
    assert "person0@example.com" not in page
    assert 'http-equiv="refresh"' not in page


def test_a_running_job_refreshes_itself_without_scripts(house: House, bob: Visitor, seeded: Seeded):
    job_id = submit(house, seeded, recipients_csv(1))

    assert 'http-equiv="refresh"' in bob.get(f"/console/jobs/{job_id}").text


def test_the_live_part_is_sent_only_when_it_changed(bob: Visitor, half_done: UUID):
    live = f"/console/jobs/{half_done}/live"
    first = bob.get(live)

    again = bob.client.get(live, headers={"If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200
    assert 'data-ended="true"' in first.text
    assert 'data-title="Finished with failures – Campaign"' in first.text
    assert (again.status_code, again.data) == (304, b"")


def test_failed_items_are_retried_from_the_page(
    house: House, bob: Visitor, seeded: Seeded, half_done: UUID
):
    import_cards_now(house, seeded.csv_pool, cards_csv(5, "MORE"))
    page = bob.get(f"/console/jobs/{half_done}").text
    token = page.partition('csrf_token" value="')[2][:64]

    answer = bob.client.post(
        f"/console/jobs/{half_done}/retry",
        data={"csrf_token": token},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    drain(house)

    assert answer.headers["Location"] == f"/console/jobs/{half_done}"
    assert view(house, half_done)["state"] == "succeeded"


def test_cancelling_says_what_is_kept_and_wants_a_reason(
    house: House, bob: Visitor, seeded: Seeded
):
    job_id = submit(house, seeded, recipients_csv(3))
    ask = f"/console/jobs/{job_id}/cancel"

    question = bob.get(ask).text
    refused = bob.send(ask, reason="  ")
    answer = bob.send(ask, reason="wrong list")
    drain(house)

    assert "3 open items will not be issued. Up to $75.00 of credit is released." in question
    assert refused.status_code == 422
    assert answer.status_code == 303
    assert view(house, job_id)["state"] == "cancelled"
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'job.cancel_asked'")
    assert entry.detail["reason"] == "wrong list"


def test_a_job_is_paused_and_resumed_from_its_page(house: House, bob: Visitor, seeded: Seeded):
    job_id = submit(house, seeded, recipients_csv(1))
    home = f"/console/jobs/{job_id}"

    def press(button: str) -> str:
        token = bob.get(home).text.partition('csrf_token" value="')[2][:64]
        bob.client.post(f"{home}/{button}", data={"csrf_token": token}, headers=SAME_ORIGIN)
        return bob.get(home).text

    paused, resumed = press("pause"), press("resume")

    assert ("Resume job" in paused, "Pause job" in paused) == (True, False)
    assert "The job is paused because somebody paused it." in paused
    assert ("Resume job" in resumed, "Pause job" in resumed) == (False, True)
    assert view(house, job_id)["state"] == "running"


def test_the_rows_of_a_cancelled_job_can_be_downloaded_alone(
    house: House, bob: Visitor, seeded: Seeded
):
    job_id = submit(house, seeded, recipients_csv(2))
    bob.send(f"/console/jobs/{job_id}/cancel", reason="wrong list")
    drain(house)

    page = bob.get(f"/console/jobs/{job_id}?state=cancelled").text
    cancelled = bob.get(f"/console/jobs/{job_id}/results.csv?only=cancelled")

    assert f"/console/jobs/{job_id}/results.csv?only=cancelled" in page
    assert "recipients who got a card of this campaign are skipped" in page
    assert page.count(RECIPIENT) == 2
    assert cancelled.headers["Content-Disposition"].startswith('attachment; filename="cancelled-')
    assert cancelled.text.count("job_cancelled") == 2


def test_a_recipient_is_found_by_address_reference_or_row(bob: Visitor, half_done: UUID):
    def found(words: str) -> list[str]:
        page = bob.get(f"/console/jobs/{half_done}?find={words}").text
        return [part[0] for part in page.split(RECIPIENT)[1:]]

    assert found("PERSON2@example.com") == ["3"]
    assert found("r1") == ["2"]
    assert found("4") == ["4"]
    assert found("nobody") == []


def test_results_are_downloaded_and_the_download_is_audited(
    house: House, bob: Visitor, half_done: UUID
):
    everything = bob.get(f"/console/jobs/{half_done}/results.csv")
    failed = bob.get(f"/console/jobs/{half_done}/results.csv?only=failed")

    assert everything.headers["Content-Disposition"].startswith('attachment; filename="results-')
    assert everything.text.count("\r\n") == 5
    assert failed.text.count("\r\n") == 3
    assert failed.text.count("no_inventory") == 2
    assert rows(
        house, "SELECT count(*) FROM audit_entries WHERE action = 'job.results_downloaded'"
    ) == [(2,)]


def test_another_clients_job_does_not_exist(app: Flask, house: House, half_done: UUID):
    stranger = visitor_of(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    for path in ("", "/live", "/cancel", "/results.csv"):
        assert stranger.get(f"/console/jobs/{half_done}{path}").status_code == 404


def test_a_viewer_sees_the_job_and_no_buttons(
    app: Flask, house: House, seeded: Seeded, half_done: UUID
):
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    page = viewer.get(f"/console/jobs/{half_done}")
    pools = viewer.get("/console/inventory").text

    assert page.status_code == 200
    assert "Retry failed" not in page.text
    assert "import-cards" not in pools


def test_text_of_strangers_is_never_markup(house: House, bob: Visitor, seeded: Seeded):
    """SEC-33: a canary in every text that is shown."""
    canary = "<script>alert(1)</script>"
    rows(house, "UPDATE campaigns SET name = :name RETURNING 1", name=canary)
    rows(house, "UPDATE brands SET name = :name RETURNING 1", name=canary)
    listed = [{"reference": canary, "email": "ann@example.com", "name": canary, "phone": None}]
    job_id = submit(house, seeded, listed)

    for path in ("/console/", "/console/jobs", f"/console/jobs/{job_id}", "/console/jobs/new"):
        page = bob.get(path).text
        assert canary not in page
        assert "&lt;script&gt;" in page


def test_pools_and_credit_are_shown_in_words(
    app: Flask, house: House, seeded: Seeded, half_done: UUID
):
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)

    pools, credit = admin.get("/console/inventory").text, admin.get("/console/credit").text

    assert "Empty: no usable card left" in pools
    assert f"/console/inventory/pools/{seeded.csv_pool}" in pools
    assert "largesse import-cards FILE --pool ID" in pools
    assert "/api/v1/card-pools" not in pools
    assert credit.count("$99,950.00") == 1
    assert "depth-2" in credit


def test_ec035_a_form_that_is_sent_twice_does_its_work_once(
    house: House, bob: Visitor, half_done: UUID
):
    """A double click, or Back and once more: the same form, the same answer, one round."""
    job, retry = f"/console/jobs/{half_done}", f"/console/jobs/{half_done}/retry"

    def shown() -> dict[str, str]:
        return dict(HIDDEN.findall(bob.get(job).text.rpartition("<form method")[2]))

    def sent(fields: dict[str, str]) -> tuple[int, str]:
        answer = bob.client.post(retry, data=fields, headers=SAME_ORIGIN)
        drain(house)
        return answer.status_code, answer.headers["Location"]

    def rounds() -> int:
        return rows(house, "SELECT round FROM jobs WHERE id = :id", id=half_done)[0].round

    first = shown()
    assert {sent(first) for _click in range(3)} == {(303, job)}
    assert rounds() == 2

    assert sent(shown()) == (303, job)
    assert rounds() == 3
