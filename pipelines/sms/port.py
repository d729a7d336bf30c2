"""What the house asks of whoever sends its SMS."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pipelines.mail.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Sms:
    """One message: to whom (E.164), its words, and where its sender tells what became of it."""

    to: str = field(repr=False)
    text: str = field(repr=False)
    receipts_to: str


class Fate(StrEnum):
    """What became of a message that was taken over."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The last word about a message; `code` says why it did not arrive."""

    fate: Fate
    code: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a phone (E.164) answered: it wants no more messages, or wants them again."""

    phone: str = field(repr=False)
    wants_messages: bool


class SmsSender(Protocol):
    """Sends one message per call, and knows its own receipts."""

    def send(self, sms: Sms, *, deadline_seconds: float) -> Outcome:
        """One try, in no transaction; an answer that got lost may be a message that was sent."""
        ...
