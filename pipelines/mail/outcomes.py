"""What the next station said of a message that was handed to it: a mail server, an SMS company."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """The station took the message over; `reference` is its own name for it, if it gives one."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Bounced:
    """The station will never take this message to this address."""

    code: str


@dataclass(frozen=True, slots=True)
class NotNow:
    """Not taken, or nobody heard that it was: to be tried again.

    `of_house`: the station itself could not be used, and nothing was said about this message.
    """

    code: str
    of_house: bool = False


Outcome = Sent | Bounced | NotNow
