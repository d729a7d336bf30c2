"""The sandbox's mail server: it takes mail over real SMTP, and fails in the ways that are asked for."""

import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.vendor import Sandbox


def mail(to: str = "ann@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Shop <shop@example.com>", to
    message["Subject"] = "Grüße"
    message.set_content("Guten Tag\n")
    message.add_alternative("<p>Guten Tag</p>\n", subtype="html")
    return message


@pytest.fixture
def line(sandbox: Sandbox) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=10) as connection:
        yield connection


def test_what_was_sent_is_read_in_the_mailbox(sandbox: Sandbox, line: smtplib.SMTP):
    line.send_message(mail())
    line.send_message(mail("bob@example.com"))

    (found,) = sandbox.mails("Ann@example.com")
    assert (found["to"], found["from"]) == ("ann@example.com", "shop@example.com")
    assert (found["subject"], found["text"]) == ("Grüße", "Guten Tag\n")
    assert found["html"] == "<p>Guten Tag</p>\n"
    assert ["To", "ann@example.com"] in found["headers"]
    assert [m["to"] for m in sandbox.mails()] == ["bob@example.com", "ann@example.com"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("refuse_recipient", 550), ("defer_recipient", 450)],
)
def test_a_recipient_is_refused_or_deferred_while_asked(
    sandbox: Sandbox, line: smtplib.SMTP, fault: str, code: int
):
    sandbox.arm_mail(**{fault: {"next": 1}})

    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        line.send_message(mail())
    line.send_message(mail())

    assert refused.value.recipients["ann@example.com"][0] == code
    assert len(sandbox.mails("ann@example.com")) == 1


@pytest.mark.parametrize(("fault", "code"), [("refuse_message", 554), ("defer_message", 451)])
def test_a_message_is_refused_or_deferred_once_it_was_read(
    sandbox: Sandbox, line: smtplib.SMTP, fault: str, code: int
):
    sandbox.arm_mail(**{fault: {"next": 1}})

    with pytest.raises(smtplib.SMTPDataError) as refused:
        line.send_message(mail())

    assert refused.value.smtp_code == code
    assert sandbox.mails() == []


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_connection_is_cut_after_the_message_which_may_have_been_taken(
    sandbox: Sandbox, is_kept: bool
):
    sandbox.arm_mail(drop_after_data={"next": 1, "kept": is_kept})

    connection = smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=10)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        connection.send_message(mail())
    connection.close()

    assert len(sandbox.mails()) == is_kept


def test_a_fault_of_another_company_is_none_of_the_mail_server(sandbox: Sandbox):
    shown = sandbox.control("GET", "/mail/faults")

    assert "refuse_recipient" in shown["known"]
    assert "out_of_stock" not in shown["known"]


def test_without_its_port_no_mail_server_is_started():
    shown = subprocess.run(
        [sys.executable, "-m", "ops.sandbox", "--help"], capture_output=True, check=True, text=True
    )

    assert "without it no mail is taken" in " ".join(shown.stdout.split())
