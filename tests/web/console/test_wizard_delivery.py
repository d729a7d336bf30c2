"""Cards of a job made in the wizard reach their recipients, by mail and by SMS (S4-101)."""

from collections.abc import Iterator

import pytest

from pipelines.wiring import House
from tests.conftest import Database, Ground
from tests.delivering import LINK
from tests.driving import cards_csv, drain, import_cards_now, rows
from tests.posting import a_mail_house
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.console.conftest import Visitor
from tests.web.console.test_wizard import begin, upload

HEADER = "reference,email,name,phone\n"
ADA, ADAS_PHONE = "ada@example.com", "+4915112345678"


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    """A house with a mail server and an account for SMS: the sandbox's."""
    with a_mail_house(ground, database, sandbox) as built:
        yield built


@pytest.fixture
def seeded(house: House) -> Seeded:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    return seeded


@pytest.mark.parametrize("method", ["email", "sms"])
def test_s4_101_a_job_of_the_wizard_sends_each_card_to_the_address_of_its_row(
    house: House, sandbox: Sandbox, bob: Visitor, seeded: Seeded, method: str
) -> None:
    file = f"{HEADER}a1,{ADA},Ada,{ADAS_PHONE}\na2,grace@example.com,Grace,+447700900001\n"
    home = begin(bob, seeded, delivery_method=method).headers["Location"].removesuffix("/upload")

    asked = bob.get(f"{home}/upload").text
    upload(bob, home, file.encode())
    checked = bob.send(f"{home}/check")
    cost = bob.get(f"{home}/cost").text
    sent = bob.send(f"{home}/cost")
    drain(house)

    way, column = {"email": ("by e-mail", "email"), "sms": ("by SMS", "phone")}[method]
    assert f"Cards are sent {way}, so every row needs “{column}”." in asked
    assert checked.headers["Location"] == f"{home}/cost"
    assert f"A link {way}, to the " in cost
    assert f"A link goes out {way} as soon as its card is issued." in cost
    (job,) = rows(house, "SELECT id, spec, state FROM jobs WHERE kind = 'provisioning'")
    assert sent.headers["Location"] == f"/console/jobs/{job.id}"
    assert (job.spec["delivery_method"], job.state) == (method, "succeeded")
    assert rows(house, "SELECT channel, state FROM deliveries") == [(method, "sent")] * 2
    texts = {
        "email": lambda: sandbox.mails(ADA)[0]["text"],
        "sms": lambda: sandbox.messages(ADAS_PHONE)[0]["body"],
    }
    assert LINK.search(texts[method]()) is not None
    assert "Links sent" in bob.get(f"/console/jobs/{job.id}").text
    again = bob.get(f"/console/jobs/{job.id}/clone?allow_repeat=1").text
    assert f"Cards go out as before: <strong>A link {way}" in again


@pytest.mark.parametrize("method", ["email", "sms"])
def test_s4_101_a_row_without_a_usable_address_is_told_and_can_be_left_out(
    house: House, bob: Visitor, seeded: Seeded, method: str
) -> None:
    bad = {"email": "no address,Bea,", "sms": "bea@example.com,Bea,12"}[method]
    file = f"{HEADER}a1,,Ada,\na2,{bad}\na3,grace@example.com,Grace,+447700900001\n"
    home = begin(bob, seeded, delivery_method=method).headers["Location"].removesuffix("/upload")
    upload(bob, home, file.encode())

    page = bob.get(f"{home}/check").text
    blocked = bob.send(f"{home}/cost", plan_hash="")
    bob.send(f"{home}/check", on_error="skip")
    sent = bob.send(f"{home}/cost")
    drain(house)

    column = {"email": "email", "sms": "phone"}[method]
    assert f"Row 1, {column}: This value is required" in page
    assert f"Row 2, {column}: " in page
    assert (blocked.status_code, sent.status_code) == (422, 303)
    states = rows(house, "SELECT state FROM items ORDER BY position")
    assert [row.state for row in states] == ["failed", "failed", "succeeded"]
    assert rows(house, "SELECT channel FROM deliveries") == [(method,)]


def test_s4_101_a_file_without_the_column_goes_back_to_the_upload_and_the_way_can_be_changed(
    bob: Visitor, seeded: Seeded
) -> None:
    home = begin(bob, seeded, delivery_method="sms").headers["Location"].removesuffix("/upload")
    upload(bob, home, f"reference,email\na1,{ADA}\n".encode())

    refused = bob.get(f"{home}/check")
    what = bob.get(f"{home}/what").text
    changed = begin(bob, seeded, at=f"{home}/what", delivery_method="email")
    checked = bob.get(f"{home}/check")

    assert refused.status_code == 422
    assert "these are missing: phone" in refused.text
    assert 'value="sms" required checked' in what
    assert changed.headers["Location"] == f"{home}/check"
    assert "Every row can be used." in checked.text
