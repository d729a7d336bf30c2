"""The mails we send: each a text and a page in `templates/`, and the words of its subject."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

FOLDER = Path(__file__).parent / "templates"
_SUBJECT = "Subject:"


class Template(StrEnum):
    """A kind of mail; `<name>.txt`, whose first line is the subject, and `<name>.html`."""

    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    ACCOUNT_RESTS = "account_rests"
    REGISTRATION = "registration"
    ACCOUNT_EXISTS = "account_exists"
    INVITATION = "invitation"
    WELCOME = "welcome"
    ALERTS = "alerts"
    GIFT_CARD = "gift_card"
    COUPON_REDEEMED = "coupon_redeemed"


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A mail in words."""

    subject: str
    text: str
    html: str


_JINJA = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: Template, values: Mapping[str, str]) -> Rendered:
    """The mail with its values; one that is missing is a fault, never an empty space.

    A subject is one line whatever its values hold, so that none of them begins a header (B46).
    """
    first, _end, text = _JINJA.get_template(f"{template}.txt").render(values).partition("\n\n")
    if not first.startswith(_SUBJECT):
        raise ValueError(f"the first line of {template}.txt begins with {_SUBJECT}")
    subject = " ".join(first.removeprefix(_SUBJECT).split())
    return Rendered(subject, text, _JINJA.get_template(f"{template}.html").render(values))
