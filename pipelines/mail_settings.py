"""Where outgoing mail is handed in, and in whose name: the address of the mail server, read once."""

from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from pipelines.errors import Fault


class Security(StrEnum):
    """What protects the conversation; STARTTLS is insisted on, never only tried."""

    NONE = "smtp"
    TLS = "smtps"
    STARTTLS = "smtp+starttls"


_PORTS = {Security.NONE: 25, Security.TLS: 465, Security.STARTTLS: 587}
_REMEDY = (
    "Set SMTP_URL to smtps://user:password@host:465 or smtp+starttls://user:password@host:587."
)


class NotAMailServer(Fault):
    """SMTP_URL or MAIL_FROM cannot be used; the text says what to set."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The mail server that takes our mail, and the sender that stands on it."""

    host: str
    port: int
    security: Security
    sender: Address
    user: str = ""
    password: str = field(default="", repr=False)


def read_mail_settings(smtp_url: str, mail_from: str, *, public_url: str) -> MailSettings | None:
    """The settings of an SMTP_URL; None without one. Raises `NotAMailServer`."""
    if not smtp_url:
        return None
    try:
        parts = urlsplit(smtp_url)
        security, port = Security(parts.scheme), parts.port
    except ValueError:
        raise NotAMailServer(_REMEDY) from None
    if not parts.hostname or parts.path not in {"", "/"}:
        raise NotAMailServer(_REMEDY)
    if parts.username and security is Security.NONE:
        raise NotAMailServer(f"SMTP_URL would send a password in clear. {_REMEDY}")
    return MailSettings(
        host=parts.hostname,
        port=port or _PORTS[security],
        security=security,
        sender=_sender(mail_from or f"Largesse <no-reply@{_domain(public_url)}>"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _domain(public_url: str) -> str:
    """The public name; an address of a machine alone is no domain of a mail address."""
    host = urlsplit(public_url).hostname or ""
    return (
        host if any(letter.isalpha() for letter in host) and ":" not in host else "largesse.local"
    )


def _sender(text: str) -> Address:
    name, address = parseaddr(text)
    try:
        if "@" not in address or "\n" in text or "\r" in text:
            raise ValueError
        return Address(name, addr_spec=address)
    except (ValueError, IndexError):
        raise NotAMailServer(
            "MAIL_FROM is no sender; set it to an address such as Largesse <mail@example.com>."
        ) from None
