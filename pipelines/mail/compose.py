"""Put a mail together as it goes over the wire: headers that no value can add to (J22, B46)."""

from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

from email_validator import validate_email

from pipelines.errors import Fault
from pipelines.mail.templates import Rendered


class NotAnAddress(Fault):
    """Nothing can be sent to this text; it is not quoted."""


def compose(
    rendered: Rendered, *, to: str, sender: Address, mail_id: UUID, now: datetime
) -> EmailMessage:
    """The message; its Message-ID is the same at every try, so that a repeat can be recognised."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = _address(to)
    message["Subject"] = rendered.subject
    message["Date"] = now
    message["Message-ID"] = f"<{mail_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def _address(text: str) -> Address:
    """One address and nothing else; the library's own error would quote it."""
    try:
        address = Address(addr_spec=text) if text.isascii() else _wide_address(text)
    except (ValueError, IndexError, HeaderParseError):
        raise NotAnAddress("not_an_address") from None
    if not address.username or not address.domain:
        raise NotAnAddress("not_an_address")
    return address


def _wide_address(text: str) -> Address:
    """One with other letters than ASCII before its @, which servers with SMTPUTF8 take."""
    valid = validate_email(text, check_deliverability=False, strict=True)
    return Address(username=valid.local_part, domain=valid.ascii_domain)
