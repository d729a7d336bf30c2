"""How likely a use of a code is a deception: signals in, a score with its reasons out. Pure.

A person decides what comes of it, and nobody is refused by it. Where somebody sits, and at what, is
never enough: people of one office or family share both (EC-014).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: From here on a person looks.
THRESHOLD = 70
SCORE_MAX = 100
#: From so much off, in basis points, a first purchase is worth inventing a person for.
HIGH_DISCOUNT_BP = 5_000
_WHOLE_BP = 10_000


class ReasonCode(StrEnum):
    NETWORK = "network_shared"
    DEVICE = "device_shared"
    ALIAS = "email_alias"
    CODES = "many_codes"
    CARTS = "many_carts"
    VELOCITY = "velocity"
    FIRST = "first_purchase_high_discount"
    CARD = "card_of_another"
    REFERRER = "card_of_referrer"


#: From how many on, how many points: the highest step that is reached counts.
STEPS: Mapping[ReasonCode, Sequence[tuple[int, int]]] = {
    ReasonCode.NETWORK: ((3, 15), (8, 25)),
    ReasonCode.DEVICE: ((1, 15), (3, 30)),
    ReasonCode.ALIAS: ((1, 50),),
    ReasonCode.CODES: ((4, 15), (8, 30)),
    ReasonCode.CARTS: ((6, 10), (12, 20)),
    ReasonCode.VELOCITY: ((5, 15), (10, 25)),
    ReasonCode.FIRST: ((1, 10),),
    ReasonCode.CARD: ((1, THRESHOLD),),
    ReasonCode.REFERRER: ((1, THRESHOLD),),
}
_WORDS: Mapping[ReasonCode, str] = {
    ReasonCode.NETWORK: "{} other customers came from the same network within an hour.",
    ReasonCode.DEVICE: "{} other customers came with the same device within a month.",
    ReasonCode.ALIAS: "{} uses of the code are of the same mailbox, its address written otherwise.",
    ReasonCode.CODES: "The customer tried {} different codes within a day.",
    ReasonCode.CARTS: "The customer reserved for {} carts within a day.",
    ReasonCode.VELOCITY: "The customer made {} reservations within ten minutes.",
    ReasonCode.FIRST: "It is a first purchase, and the code takes off half or more.",
    ReasonCode.CARD: "The card that paid has paid for {} uses of the code by other customers.",
    ReasonCode.REFERRER: "The card that paid has paid for {} purchases of whoever gives the code to friends.",
}
#: Of what may be noticed of a single one.
_WORDS_OF_ONE: Mapping[ReasonCode, str] = {
    ReasonCode.DEVICE: "One other customer came with the same device within a month.",
    ReasonCode.ALIAS: "One use of the code is of the same mailbox, its address written otherwise.",
    ReasonCode.CARD: "The card that paid has paid for a use of the code by another customer.",
    ReasonCode.REFERRER: "The card that paid has paid for a purchase of whoever gives the code to friends.",
}


@dataclass(frozen=True, slots=True)
class Signals:
    """What was noticed of one use of a code."""

    #: Other customers from the same network within an hour, and with the same device in a month.
    network_customers: int = 0
    device_customers: int = 0
    #: Other uses of the code by whoever owns the mailbox, under an address that is written otherwise.
    alias_uses: int = 0
    #: Of the customer: codes and carts within a day, reservations within ten minutes, this among them.
    codes: int = 0
    carts: int = 0
    reservations: int = 0
    is_first_purchase: bool = False
    discount_minor: int = 0
    subtotal_minor: int = 0
    #: Uses of the code by other customers that the same card has paid for.
    card_uses: int = 0
    #: Purchases that it has paid for of the referrer whose code this is.
    referrer_purchases: int = 0

    @property
    def is_high_discount(self) -> bool:
        return 0 < self.subtotal_minor * HIGH_DISCOUNT_BP <= self.discount_minor * _WHOLE_BP


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was noticed, what it counts, and how often it was so.

    `code` is a `ReasonCode`, or the word of another release that had noticed it.
    """

    code: str
    points: int
    count: int

    def as_json(self) -> dict[str, Any]:
        return {"reason": str(self.code), "points": self.points, "count": self.count}


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of its reasons, 100 at most."""

    reasons: tuple[Reason, ...] = ()

    @property
    def points(self) -> int:
        return min(SCORE_MAX, sum(reason.points for reason in self.reasons))

    @property
    def is_high(self) -> bool:
        return self.points >= THRESHOLD

    def as_json(self) -> list[dict[str, Any]]:
        return [reason.as_json() for reason in self.reasons]


def score(signals: Signals) -> Score:
    """What the signals are worth, each with the highest of its steps."""
    counts = {
        ReasonCode.NETWORK: signals.network_customers,
        ReasonCode.DEVICE: signals.device_customers,
        ReasonCode.ALIAS: signals.alias_uses,
        ReasonCode.CODES: signals.codes,
        ReasonCode.CARTS: signals.carts,
        ReasonCode.VELOCITY: signals.reservations,
        ReasonCode.FIRST: int(signals.is_first_purchase and signals.is_high_discount),
        ReasonCode.CARD: signals.card_uses,
        ReasonCode.REFERRER: signals.referrer_purchases,
    }
    found = (Reason(code, _points(code, count), count) for code, count in counts.items())
    return Score(tuple(reason for reason in found if reason.points))


def with_card(
    known: Iterable[Mapping[str, Any]], card_uses: int, referrer_purchases: int = 0
) -> Score:
    """A score that was kept as JSON, once the card is known."""
    of_card = {ReasonCode.CARD, ReasonCode.REFERRER}
    kept = [_read(told) for told in known if told["reason"] not in of_card]
    signals = Signals(card_uses=card_uses, referrer_purchases=referrer_purchases)
    more = score(signals).reasons
    return Score((*kept, *more))


def words(told: Mapping[str, Any]) -> str:
    """A reason that was kept as JSON, as a sentence; another release's says only its name."""
    try:
        code, count = ReasonCode(told["reason"]), told["count"]
    except ValueError:
        return str(told["reason"])
    return (_WORDS_OF_ONE.get(code, "") if count == 1 else "") or _WORDS[code].format(count)


def _points(code: ReasonCode, count: int) -> int:
    return max((points for least, points in STEPS[code] if count >= least), default=0)


def _read(told: Mapping[str, Any]) -> Reason:
    return Reason(told["reason"], told["points"], told["count"])
