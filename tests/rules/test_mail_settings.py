"""SMTP_URL and MAIL_FROM: what they mean, and what is refused (S1-109, SEC-02)."""

from email.headerregistry import Address

import pytest

from pipelines.mail_settings import MailSettings, NotAMailServer, Security, read_mail_settings

PUBLIC = "https://gifts.example.com"


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://127.0.0.1:8125", "127.0.0.1", 8125, Security.NONE),
        ("smtps://mx.example.com", "mx.example.com", 465, Security.TLS),
        ("smtp+starttls://mx.example.com", "mx.example.com", 587, Security.STARTTLS),
    ],
)
def test_the_scheme_says_what_protects_the_conversation(url, host, port, security):
    found = read_mail_settings(url, "", public_url=PUBLIC)

    sender = Address("Largesse", "no-reply", "gifts.example.com")
    assert found == MailSettings(host, port, security, sender)


def test_a_password_may_have_any_character_and_is_not_shown():
    found = read_mail_settings("smtps://u%40x:p%2Fw@mx.example.com", "", public_url=PUBLIC)

    assert (found.user, found.password) == ("u@x", "p/w")
    assert "p/w" not in repr(found)


def test_the_sender_may_be_named():
    found = read_mail_settings("smtp://mx", "Acme Gifts <gifts@acme.example>", public_url=PUBLIC)

    assert found.sender == Address("Acme Gifts", "gifts", "acme.example")


def test_a_stack_on_a_bare_address_has_a_sender_all_the_same():
    found = read_mail_settings("smtp://mx", "", public_url="http://127.0.0.1:8000")

    assert found.sender.domain == "largesse.local"


def test_without_an_address_there_is_no_mail_server():
    assert read_mail_settings("", "", public_url=PUBLIC) is None


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("http://mx.example.com", ""),
        ("mx.example.com:25", ""),
        ("smtps://", ""),
        ("smtps://mx:port", ""),
        ("smtps://mx/path", ""),
        ("smtp://user:secret@mx.example.com", ""),
        ("smtps://mx", "nobody"),
        ("smtps://mx", "a@b.example\nBcc: c@d.example"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy_and_without_the_secret(url, sender):
    with pytest.raises(NotAMailServer) as refused:
        read_mail_settings(url, sender, public_url=PUBLIC)

    assert "Set SMTP_URL to smtps://" in str(refused.value) or "set it to an address" in str(
        refused.value
    )
    assert "secret" not in str(refused.value)
