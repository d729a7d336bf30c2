"""The bulk job wizard: each step, going back, blockers, and sending once."""

import io
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.jobs.retention import forget_drafts
from pipelines.wiring import House
from tests.driving import recipients_csv, rows
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor, visitor_of
from web import admission


def begin(bob: Visitor, seeded: Seeded, *, at: str = "/console/jobs/new", **fields: str):
    chosen = {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "amount": "25",
        "delivery_method": "none",
    }
    return bob.send(at, **(chosen | fields))


def upload(bob: Visitor, home: str, content: bytes):
    return bob.send(f"{home}/upload", file=(io.BytesIO(content), "spring.csv"))


def draft_with(bob: Visitor, seeded: Seeded, content: bytes) -> str:
    """The address of a draft that has a file."""
    home = begin(bob, seeded).headers["Location"].removesuffix("/upload")
    answer = upload(bob, home, content)
    assert answer.headers["Location"] == f"{home}/check"
    return home


@pytest.fixture
def home(bob: Visitor, seeded: Seeded) -> str:
    return draft_with(bob, seeded, recipients_csv(3))


def test_a_job_is_sent_step_by_step(house: House, bob: Visitor, seeded: Seeded, home: str):
    checked = bob.send(f"{home}/check")
    sent = bob.send(f"{home}/cost")

    (job,) = rows(house, "SELECT id, total, file_name, client_id, spec FROM jobs")
    assert checked.headers["Location"] == f"{home}/cost"
    assert sent.headers["Location"] == f"/console/jobs/{job.id}"
    assert (job.total, job.file_name, job.client_id) == (3, "spring.csv", seeded.client_id)
    assert job.spec["denomination_minor"] == 2500
    assert job.spec["delivery_method"] == "none"
    assert rows(house, "SELECT content, job_id FROM upload_drafts") == [(None, job.id)]


def test_s4_101_what_cannot_be_sent_from_here_is_shown_with_its_reason_and_refused(
    house: House, bob: Visitor, seeded: Seeded
):
    page = bob.get("/console/jobs/new").text
    refused = [begin(bob, seeded, delivery_method=way) for way in ("email", "sms", "pigeon", "")]

    for value in ("email", "sms"):
        assert f'value="{value}" disabled' in page
    assert "no mail server is set up" in page
    assert "no account for SMS is set up" in page
    assert [answer.status_code for answer in refused] == [422] * 4
    assert "By SMS: Not possible" in refused[1].text
    assert "Choose how the recipients get their cards." in refused[2].text
    assert 'href="#delivery_method"' in refused[3].text
    assert '<fieldset id="delivery_method" role="radiogroup" tabindex="-1"' in refused[3].text
    assert rows(house, "SELECT count(*) FROM upload_drafts") == [(0,)]


def test_pressing_twice_sends_once(house: House, bob: Visitor, home: str):
    first = bob.send(f"{home}/cost")
    again = bob.client.post(
        f"{home}/cost",
        data={"csrf_token": bob.get("/console/").text.partition('csrf_token" value="')[2][:64]},
        headers={"Sec-Fetch-Site": "same-origin"},
    )

    assert again.headers["Location"] == first.headers["Location"]
    assert rows(house, "SELECT count(*) FROM jobs") == [(1,)]


def test_a_job_sent_while_another_file_is_taken_in_is_asked_to_come_again(
    house: House, bob: Visitor, home: str
):
    with admission.intake_slot():
        busy = bob.send(f"{home}/cost")
    jobs = rows(house, "SELECT count(*) FROM jobs")
    sent = bob.send(f"{home}/cost")

    assert (busy.status_code, busy.headers["Retry-After"], jobs) == (503, "2", [(0,)])
    assert "Another file is being taken in. Send this one again in a moment." in busy.text
    assert sent.status_code == 303


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(bob: Visitor, seeded: Seeded):
    answer = begin(bob, seeded, amount="25.005", campaign_id="")

    assert answer.status_code == 422
    assert 'value="25.005"' in answer.text
    assert "Choose the campaign that pays for the cards." in answer.text
    assert "The currency has 2 digits after the point; the amount has more." in answer.text
    assert "data-focus" in answer.text


def test_going_back_loses_nothing(bob: Visitor, seeded: Seeded, home: str):
    what = bob.get(f"{home}/what").text
    changed = bob.send(
        f"{home}/what",
        campaign_id=str(seeded.campaign_id),
        brand_id=str(seeded.brand_id),
        amount="10",
        delivery_method="none",
    )

    assert 'value="25.00"' in what
    assert changed.headers["Location"] == f"{home}/check"
    assert "$30.00" in bob.get(f"{home}/cost").text


def test_rows_with_errors_are_shown_by_reason_and_can_be_left_out(
    house: House, bob: Visitor, seeded: Seeded
):
    bad = (
        b"reference,email,name,phone\na,ann@example.com,A,\nb,no address,B,\nc,ann@example.com,C,\n"
    )
    home = draft_with(bob, seeded, bad)

    page = bob.get(f"{home}/check").text
    blocked = bob.get(f"{home}/cost").text
    bob.send(f"{home}/check", on_error="skip")
    sent = bob.send(f"{home}/cost")

    assert "Row 2, email: This is not a deliverable e-mail address." in page
    assert "The recipient stands in the file twice" in page
    assert "row 1 is the first one below it" in page
    assert "Issue a card for the 1 row that is ready." in page
    assert "2 rows cannot be used." in blocked
    assert "Issue 1 card" not in blocked
    assert sent.status_code == 303
    assert rows(house, "SELECT state, code FROM items ORDER BY position") == [
        ("pending", None),
        ("failed", "invalid_email"),
        ("skipped", "duplicate_recipient"),
    ]


def test_b48_addresses_that_look_alike_are_shown_before_anything_is_sent(
    bob: Visitor, seeded: Seeded
):
    home = draft_with(bob, seeded, "email\npаypal@x.de\nann+1@x.de\n".encode())

    page = bob.get(f"{home}/check").text

    assert "Every row can be used." in page
    assert "Rows to look at" in page
    assert "The address mixes letters that look alike" in page
    assert "Row 1, email: The address mixes letters of scripts that look alike; check it." in page
    assert "The address has a tag after its plus" in page


def test_a_job_without_credit_is_blocked_in_words(house: House, bob: Visitor, seeded: Seeded):
    home = draft_with(bob, seeded, recipients_csv(5_000))

    page = bob.get(f"{home}/cost").text

    assert "the job needs $125,000.00 and $100,000.00 is available" in page
    assert "Ask for $25,000.00 more." in page
    assert 'name="plan_hash"' not in page


def test_a_plan_that_changed_is_shown_again_and_not_sent(house: House, bob: Visitor, home: str):
    answer = bob.send(f"{home}/cost", plan_hash="0" * 32)

    assert answer.status_code == 409
    assert "The plan has changed since the preview." in answer.text
    assert rows(house, "SELECT count(*) FROM jobs") == [(0,)]


def test_the_same_file_is_sent_again_only_on_purpose(
    house: House, bob: Visitor, seeded: Seeded, home: str
):
    first = bob.send(f"{home}/cost").headers["Location"]
    other = draft_with(bob, seeded, recipients_csv(3))

    refused = bob.send(f"{other}/cost")
    again = bob.send(f"{other}/cost", force="1")

    assert refused.status_code == 409
    assert f'href="{first}"' in refused.text
    assert again.status_code == 303
    assert rows(house, "SELECT count(*) FROM jobs") == [(2,)]


def test_a_file_that_is_no_csv_goes_back_to_the_upload_with_the_remedy(
    bob: Visitor, seeded: Seeded
):
    home = begin(bob, seeded).headers["Location"].removesuffix("/upload")
    bob.send(f"{home}/upload", file=(io.BytesIO(b"PK\x03\x04 sheet"), "people.xlsx"))

    page = bob.get(f"{home}/check")

    assert page.status_code == 422
    assert "This is an archive or a spreadsheet file." in page.text


def test_a_file_over_the_limit_is_refused(bob: Visitor, seeded: Seeded):
    home = begin(bob, seeded).headers["Location"].removesuffix("/upload")

    answer = bob.send(
        f"{home}/upload", file=(io.BytesIO(b"x" * (16 * 1024 * 1024 + 1)), "people.csv")
    )

    assert answer.status_code == 422
    assert "larger than 16 MB" in answer.text


def test_nobody_else_sees_a_draft(app, house: House, seeded: Seeded, home: str):
    colleague = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    assert colleague.get(f"{home}/cost").status_code == 404


def test_a_viewer_cannot_begin_a_job(app, house: House, seeded: Seeded):
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    answer = viewer.get("/console/jobs/new")

    assert answer.status_code == 403
    assert "provision" in answer.text


def test_a_draft_is_forgotten_after_a_day(house: House, home: str):
    draft_id = UUID(home.rpartition("/")[2])
    rows(
        house,
        "UPDATE upload_drafts SET created_at = now() - interval '25 hours' WHERE id = :id "
        "RETURNING 1",
        id=draft_id,
    )

    with scoped_transaction(house.sessions, SYSTEM) as session:
        was_full = forget_drafts(session, clock.now(session))

    assert not was_full
    assert rows(house, "SELECT 1 FROM upload_drafts") == []
