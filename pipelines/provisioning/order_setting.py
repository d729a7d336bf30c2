"""What an order is for, as its life sees it: purchase and recovery know no more than this."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from sqlalchemy.orm import Session

from models.jobs import ItemState
from pipelines.jobs.verdicts import Verdict
from pipelines.limits import Limits
from pipelines.provisioning.effects import CardInHand
from pipelines.provisioning.orders import OrderInHand

VALUE_MISMATCH = Verdict(
    ItemState.NEEDS_REVIEW,
    "value_mismatch",
    "The vendor sold a card of another value; it is set aside until a person has looked.",
)
DUPLICATE_CARD = Verdict(
    ItemState.NEEDS_REVIEW,
    "duplicate_card",
    "The vendor delivered a card that is already known; a person must look.",
)
EXPIRES_SOON = Verdict(
    ItemState.NEEDS_REVIEW,
    "card_expires_soon",
    "The vendor sold a card that nobody would be given before it expires; a person must look.",
)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What decides whether an order may be sent, read without locking anything."""

    vendor: str
    is_paused: bool
    stop: Verdict | None
    #: The vendor's account is out of use.
    is_disabled: bool
    refuses_keys: bool
    #: By what its route costs now it would earn too little; it may have waited a while.
    is_too_dear: bool = False


class OrderSetting(Protocol):
    """An order and what it is for, everything locked in the house's lock order.

    The order's own row is moved by whoever calls; these write what follows from it, as the last
    statements of their transaction.
    """

    @property
    def order(self) -> OrderInHand: ...

    @property
    def stop(self) -> Verdict | None:
        """Why nothing more is bought for this, as the lock shows it."""

    @property
    def is_in_review(self) -> bool:
        """Whether it waits for a person."""

    def has_other_route(self, session: Session) -> bool:
        """Whether the card could be had another way than by this order."""

    def takes(self, expires_on: date | None, *, now: datetime) -> bool:
        """Whether a card that is valid until then is of use; none: it does not expire."""

    def keep(self, session: Session, card: Mapping[str, object], *, is_right: bool) -> bool:
        """Write the sealed card down; False: it is already known.

        One that is not right is quarantined.
        """

    def receive(self, session: Session, card: CardInHand, *, now: datetime, limits: Limits) -> None:
        """The card is in hand and right."""

    def go_on(
        self, session: Session, *, code: str, stop: Verdict | None, now: datetime, limits: Limits
    ) -> None:
        """Nothing was bought: what else is to be done, unless something stops it."""

    def need_person(self, session: Session, why: Verdict, *, now: datetime, limits: Limits) -> None:
        """Only a person can say what becomes of this."""

    def tell(self, session: Session, code: str, *, now: datetime) -> None:
        """Have a person of the platform look at the order; nothing of it changes."""

    def rest(self, session: Session, *, now: datetime, limits: Limits) -> None:
        """The order is on its way, and nothing more is to be done just now."""
