"""A mail as it goes over the wire (J22, B46)."""

from datetime import UTC, datetime
from email.headerregistry import Address
from uuid import UUID

import pytest

from pipelines.mail.compose import NotAnAddress, compose
from pipelines.mail.templates import Rendered

WORDS = Rendered("Grüße", "Text\n", "<p>Text</p>\n")
MAIL = UUID(int=7)


def composed(to: str, words: Rendered = WORDS):
    return compose(
        words,
        to=to,
        sender=Address("Largesse", "no-reply", "gifts.example.com"),
        mail_id=MAIL,
        now=datetime(2027, 1, 31, 9, tzinfo=UTC),
    )


def test_a_mail_has_these_headers_and_no_others():
    message = composed("ann@example.com")

    assert {name: str(value) for name, value in message.items()} == {
        "From": "Largesse <no-reply@gifts.example.com>",
        "To": "ann@example.com",
        "Subject": "Grüße",
        "Date": "Sun, 31 Jan 2027 09:00:00 +0000",
        "Message-ID": f"<{MAIL}@gifts.example.com>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\nBcc: eve@example.com",
        "ann@example.com, eve@example.com",
        "ann@example.com eve@example.com",
        "Ann <ann@example.com>",
        "ann",
        "@example.com",
        "ann@",
        "",
        "ännchen@example.com\r\nBcc: eve@example.com",
        "ännchen@example.com, eve@example.com",
        "Änn <ann@example.com>",
        "ä nn@example.com",
    ],
)
def test_b46_what_is_not_one_address_gets_no_mail(address: str):
    with pytest.raises(NotAnAddress) as refused:
        composed(address)

    assert str(refused.value) == "not_an_address"


def test_an_address_with_other_letters_is_left_to_servers_that_take_them():
    assert composed("bööl@bücher.example")["To"].addresses[0].addr_spec == (
        "bööl@xn--bcher-kva.example"
    )


def test_j22_a_subject_with_a_line_end_is_refused():
    with pytest.raises(ValueError, match="linefeed or carriage return"):
        composed("ann@example.com", Rendered("Hello\r\nBcc: eve@example.com", "", ""))
