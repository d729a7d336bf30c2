"""A mail is written with its cause, sent once it is committed, and ends in one of three ways."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from ops.home import free_port
from pipelines.mail.notices import tell_of_new_password, tell_of_rest
from pipelines.mail.post import Letter, post, post_plain
from pipelines.mail.send import KEPT_DAYS, forget_mails
from pipelines.mail.templates import Template
from pipelines.queue.defer import defer
from pipelines.queue.kinds import SEND_MAIL
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import drain, hasten, rows
from tests.mail.conftest import ANN, TOKEN, a_user, mail_row, posted
from tests.seeding import seed
from tests.vendor import Sandbox


def test_a_mail_goes_out_and_what_it_held_is_erased(mail_house: House, sandbox: Sandbox):
    mail_id = posted(mail_house)

    drain(mail_house)

    (mail,) = sandbox.mails(ANN)
    assert mail["subject"] == "Choose a new password for Largesse"
    assert f"http://127.0.0.1:8000/console/reset/{TOKEN}" in mail["text"]
    assert ["Message-ID", f"<{mail_id}@largesse.local>"] in mail["headers"]
    row = mail_row(mail_house, mail_id)
    assert (row.state, row.code, row.sealed_letter) == ("sent", None, None)
    assert row.ended_at is not None
    assert rows(mail_house, "SELECT 1 FROM tasks") == []


def test_a_cause_that_is_rolled_back_sends_nothing(mail_house: House, sandbox: Sandbox):
    with (
        pytest.raises(ZeroDivisionError),
        scoped_transaction(mail_house.sessions, SYSTEM) as session,
    ):
        letter = Letter(Template.PASSWORD_CHANGED, address=ANN)
        keyring = mail_house.settings.keyring
        post(session, letter, keyring=keyring, now=clock.now(session))
        raise ZeroDivisionError

    assert drain(mail_house) == 0
    assert sandbox.mails() == []


def test_a_tenant_may_cause_a_mail_and_not_read_it(mail_house: House, sandbox: Sandbox):
    """Mails of a client's own work, such as gift cards, take the same road."""
    seeded = seed(mail_house)
    with scoped_transaction(mail_house.sessions, client(seeded.client_id)) as session:
        letter = Letter(Template.PASSWORD_CHANGED, address=ANN)
        keyring = mail_house.settings.keyring
        mail_id = post(session, letter, keyring=keyring, now=clock.now(session))

    drain(mail_house)

    assert mail_row(mail_house, mail_id).state == "sent"
    assert len(sandbox.mails(ANN)) == 1
    with (
        pytest.raises(Exception, match="permission denied"),
        scoped_transaction(mail_house.sessions, client(seeded.client_id)) as session,
    ):
        session.execute(text("SELECT 1 FROM outgoing_mails"))


def test_neither_task_nor_row_shows_address_or_token(mail_house: House):
    mail_id = posted(mail_house)

    (task,) = rows(mail_house, "SELECT args, lane FROM tasks")
    row = mail_row(mail_house, mail_id)

    assert (task.args, task.lane) == ({"mail_id": str(mail_id)}, "system")
    assert ANN.encode() not in bytes(row.sealed_letter)
    assert TOKEN.encode() not in bytes(row.sealed_letter)


@pytest.mark.parametrize("fault", ["refuse_recipient", "refuse_message"])
def test_a_permanent_refusal_bounces_and_is_not_tried_again(
    mail_house: House, sandbox: Sandbox, fault: str
):
    sandbox.arm_mail(**{fault: {"always": True}})
    mail_id = posted(mail_house)

    drain(mail_house)
    sandbox.control("DELETE", "/mail/faults")
    drain(mail_house)

    row = mail_row(mail_house, mail_id)
    code = {"refuse_recipient": "smtp_550", "refuse_message": "smtp_554"}[fault]
    assert (row.state, row.code, row.sealed_letter) == ("bounced", code, None)
    assert (sandbox.mails(), rows(mail_house, "SELECT 1 FROM tasks")) == ([], [])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("defer_recipient", "smtp_450"),
        ("defer_message", "smtp_451"),
        ("drop_at_recipient", "connection_lost"),
    ],
)
def test_a_passing_refusal_is_tried_again_with_a_backoff(
    mail_house: House, sandbox: Sandbox, fault: str, code: str
):
    sandbox.arm_mail(**{fault: {"next": 1}})
    mail_id = posted(mail_house)

    drain(mail_house)
    waits = mail_row(mail_house, mail_id)
    (task,) = rows(mail_house, "SELECT attempts, last_error FROM tasks")
    hasten(mail_house)
    drain(mail_house)

    assert (waits.state, waits.code) == ("waiting", code)
    assert waits.sealed_letter is not None
    assert (task.attempts, task.last_error) == (1, code)
    assert mail_row(mail_house, mail_id).state == "sent"
    assert len(sandbox.mails(ANN)) == 1


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_mail_of_which_nobody_heard_is_sent_again_under_the_same_message_id(
    mail_house: House, sandbox: Sandbox, is_kept: bool
):
    """At least once: the reader's program can tell that it is the same mail."""
    sandbox.arm_mail(drop_after_data={"next": 1, "kept": is_kept})
    mail_id = posted(mail_house)

    drain(mail_house)
    hasten(mail_house)
    drain(mail_house)

    found = [dict(mail["headers"])["Message-ID"] for mail in sandbox.mails(ANN)]
    assert found == [f"<{mail_id}@largesse.local>"] * (2 if is_kept else 1)
    assert mail_row(mail_house, mail_id).state == "sent"


@pytest.mark.parametrize("to_user", [True, False])
def test_a_task_run_again_after_the_mail_was_sent_sends_nothing(
    mail_house: House, sandbox: Sandbox, *, to_user: bool
):
    """What was sealed is erased by then, but a user's address is not."""
    whom = {"user_id": a_user(mail_house), "address": None} if to_user else {"address": ANN}
    mail_id = posted(mail_house, Template.ACCOUNT_EXISTS, **whom)
    drain(mail_house)
    with scoped_transaction(mail_house.sessions, SYSTEM) as session:
        defer(session, SEND_MAIL, args={"mail_id": str(mail_id)}, now=clock.now(session))

    assert drain(mail_house) == 1

    assert len(sandbox.mails(ANN)) == 1
    assert rows(mail_house, "SELECT 1 FROM tasks") == []


def test_a_slow_server_is_left_at_the_deadline(mail_house: House, sandbox: Sandbox):
    sandbox.arm_mail(slow={"next": 1, "seconds": 30.0})
    house = replace(mail_house, limits=replace(mail_house.limits, mail_deadline_seconds=0.3))
    mail_id = posted(house)

    drain(house)

    row = mail_row(house, mail_id)
    assert (row.state, row.code) == ("waiting", "deadline")


def test_a_server_that_is_down_is_waited_for_until_it_is_up(ground: Ground, database: Database):
    port = free_port()
    with a_house(ground, database, SMTP_URL=f"smtp://127.0.0.1:{port}") as house:
        mail_id = posted(house)
        drain(house)
        waits = mail_row(house, mail_id)
        late = Sandbox(smtp_port=port)
        try:
            hasten(house)
            drain(house)
            mails = late.mails(ANN)
        finally:
            late.process.terminate()
            late.process.wait(timeout=5)

        assert (waits.state, waits.code) == ("waiting", "unreachable")
        assert mail_row(house, mail_id).state == "sent"
        assert len(mails) == 1


def test_without_a_mail_server_a_mail_waits_and_says_why(house: House):
    mail_id = posted(house)

    drain(house)

    row = mail_row(house, mail_id)
    assert (row.state, row.code) == ("waiting", "no_mail_server")
    (task,) = rows(house, "SELECT postponed_for, attempts FROM tasks")
    assert (task.postponed_for, task.attempts) == ("no_mail_server", 0)


def test_a_mail_whose_time_is_over_is_given_up_and_erased(mail_house: House, sandbox: Sandbox):
    mail_id = posted(mail_house)
    rows(mail_house, "UPDATE outgoing_mails SET good_until = now() RETURNING 1")

    drain(mail_house)

    row = mail_row(mail_house, mail_id)
    assert (row.state, row.code, row.sealed_letter) == ("gave_up", "out_of_time", None)
    assert sandbox.mails() == []


def test_a_mail_that_kills_its_workers_is_given_up_and_erased(mail_house: House, sandbox: Sandbox):
    mail_id = posted(mail_house)
    rows(mail_house, "UPDATE tasks SET starts = 3 RETURNING 1")

    drain(mail_house)

    row = mail_row(mail_house, mail_id)
    assert (row.state, row.code, row.sealed_letter) == ("gave_up", "internal_error", None)
    assert (sandbox.mails(), rows(mail_house, "SELECT 1 FROM tasks")) == ([], [])


@pytest.mark.parametrize("address", ["ann@example.com\r\nBcc: eve@example.com", "ann"])
def test_b46_what_is_no_address_bounces_without_a_word_to_the_server(
    mail_house: House, sandbox: Sandbox, address: str
):
    mail_id = posted(mail_house, address=address)

    drain(mail_house)

    row = mail_row(mail_house, mail_id)
    assert (row.state, row.code) == ("bounced", "invalid_address")
    assert sandbox.mails() == []


def test_a_mail_to_nobody_is_written_as_any_other_and_sent_to_nobody(
    mail_house: House, sandbox: Sandbox
):
    mail_id = posted(mail_house, address=None)
    before = mail_row(mail_house, mail_id)

    drain(mail_house)

    assert (before.state, before.sealed_letter is None) == ("waiting", False)
    assert mail_row(mail_house, mail_id).code == "to_nobody"
    assert sandbox.mails() == []


def test_a_user_gets_mail_at_the_address_of_the_moment(mail_house: House, sandbox: Sandbox):
    user_id = a_user(mail_house)
    with scoped_transaction(mail_house.sessions, SYSTEM) as session:
        now = clock.now(session)
        tell_of_rest(session, user_id, now=now)
        tell_of_new_password(session, user_id, now=now)
    rows(mail_house, "UPDATE users SET email = 'new@example.com' RETURNING 1")

    drain(mail_house)

    assert sandbox.mails(ANN) == []
    assert {mail["subject"] for mail in sandbox.mails("new@example.com")} == {
        "Somebody tried wrong passwords for your Largesse account",
        "Your Largesse password was changed",
    }


def test_what_is_secret_cannot_be_posted_unsealed(house: House):
    with (
        pytest.raises(ValueError, match="is sealed"),
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        letter = Letter(Template.PASSWORD_RESET, user_id=uuid4(), values={"token": TOKEN})
        post_plain(session, letter, now=clock.now(session))


def test_a_mail_that_ended_is_forgotten_after_a_month(mail_house: House):
    old, new = posted(mail_house), posted(mail_house)
    drain(mail_house)
    waiting = posted(mail_house)
    with scoped_transaction(mail_house.sessions, SYSTEM) as session:
        age = timedelta(days=KEPT_DAYS, seconds=60)
        session.execute(
            text("UPDATE outgoing_mails SET ended_at = ended_at - :age WHERE id = :id"),
            {"age": age, "id": old},
        )
        forgotten = forget_mails(session, clock.now(session))

    assert forgotten == 1
    assert {row.id for row in rows(mail_house, "SELECT id FROM outgoing_mails")} == {new, waiting}
