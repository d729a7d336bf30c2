"""What comes of a question to Stripe: the plain values that everybody above the SDK knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """The object that Stripe answered with, as plain values."""

    thing: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToldMany:
    """A page of a list, newest first."""

    things: Sequence[Mapping[str, Any]] = field(repr=False)
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe says no, and why: asking the same again gets the same answer."""

    code: str
    status: int


@dataclass(frozen=True, slots=True)
class Away:
    """No answer that says anything: it may have been done, and may be asked again under its key."""

    reason: str


@dataclass(frozen=True, slots=True)
class FailureKept:
    """Stripe failed when it was asked first, and keeps that as the answer to this key for a day.

    It may have been done all the same.
    """


@dataclass(frozen=True, slots=True)
class KeysRefused:
    """Stripe does not take our key."""


Answer = Told | ToldMany | Refused | Away | FailureKept | KeysRefused


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """One line of a payment page; `unit_amount` in Stripe's units."""

    name: str
    quantity: int
    unit_amount: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """A payment page to be made; `expires_at` in seconds since 1970.

    `payer` is the address that stands on it already, and is shown by nothing that prints this.
    """

    currency: str
    lines: Sequence[PaymentLine]
    reference: str
    metadata: Mapping[str, str]
    success_url: str
    cancel_url: str
    expires_at: int
    payer: str | None = field(default=None, repr=False)
