"""Say what every vendor adapter takes and answers: the words the waterfall and recovery read.

An adapter never raises for a network or vendor failure it can expect: it answers one of these
values. The split between them is by proof. `Refused`, `NotSent`, `Throttled` and `AuthFailed`
prove that nothing was bought, so the next source may be tried; `Unknown` proves nothing, so it
may not.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One card to buy; `reference` is the order row's id as 32 hex characters."""

    reference: str
    product: str
    face_value_minor: int
    currency: str
    sent_at: datetime | None = None
    #: Monotonic seconds after which the order must not be sent any more.
    send_by: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class IssuedCard:
    """What the recipient redeems; its repr is masked, so that no log can show it.

    `card_number` is never empty: where a vendor issues only a PIN or only a link, that stands
    in it and is not repeated in `pin` or `url`.
    """

    card_number: str
    pin: str | None
    url: str | None
    expires_on: date | None

    def __repr__(self) -> str:
        return "IssuedCard([removed])"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The card is bought and in hand; the caller compares the face value with the request.

    `made_anew`: the vendor had handed the card over before, to an answer that was lost, and made
    another key to it now; whoever writes the card down has that audited.
    """

    vendor_order_id: str
    card: IssuedCard
    face_value_minor: int
    currency: str
    cost_minor: int | None
    cost_currency: str | None
    made_anew: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor owes the card: poll. `waits_for` says on what, where the vendor does."""

    vendor_order_id: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Proof that nothing is bought: `code` is ours, `vendor_code` the vendor's, if it has one."""

    code: str
    vendor_code: str | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proof that the order never left: it may be tried again or elsewhere."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Proof that nothing ran: the vendor asks for slower calls."""

    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """Proof that nothing ran: the vendor does not take our credentials."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may or may not have run. For a look-up: the question got no usable answer.

    `retry_after_seconds`: the vendor asks for slower calls, and may be asked again after that.
    """

    reason: str
    retry_after_seconds: float | None = None


#: The reason of an `Unknown` when the vendor did not take our keys for a question.
NOT_AUTHORISED = "question_not_authorised"
#: And when it asked for slower calls.
QUESTION_THROTTLED = "question_throttled"


@dataclass(frozen=True, slots=True)
class Absent:
    """The vendor answered a look-up: it knows no order under this reference."""


@dataclass(frozen=True, slots=True)
class Conflicting:
    """Several live orders, or another order, stand under this reference: a person must look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What the vendor account holds, rounded down."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Product:
    """What a vendor sells; values in minor units of the card's currency.

    At `fixed_minor`, or between `least_minor` and `most_minor`. What a card costs, in basis points
    of its face value and a flat part, is in `cost_currency`; None: the catalogue does not say.
    """

    id: str
    name: str
    currency: str
    #: Where its cards are used, ISO 3166-1; empty: the catalogue does not say.
    countries: tuple[str, ...] = ()
    least_minor: int | None = None
    most_minor: int | None = None
    fixed_minor: tuple[int, ...] = ()
    cost_bp: int | None = None
    cost_flat_minor: int | None = None
    cost_currency: str | None = None


@dataclass(frozen=True, slots=True)
class CataloguePage:
    """A part of a vendor's catalogue; `next_page` is where it goes on, None: it is over."""

    products: tuple[Product, ...]
    next_page: str | None


Outcome = Succeeded | Accepted | Refused | NotSent | Throttled | AuthFailed | Unknown
LookUp = Outcome | Absent | Conflicting


class Provider(Protocol):
    """One vendor account.

    `look_up` and `poll` speak about the order, never about their own call: when the call itself
    fails, is throttled or is not authorised they answer `Unknown`, so that a failed question is
    never read as proof that the order did not run. `resend_is_safe` says whether the vendor
    answers a repeated reference with the original order, even while the first one still runs.
    """

    name: ClassVar[str]
    resend_is_safe: ClassVar[bool]

    @property
    def order_deadline_seconds(self) -> float: ...

    @property
    def lookup_deadline_seconds(self) -> float: ...

    def place_order(self, request: OrderRequest) -> Outcome: ...

    def look_up(self, request: OrderRequest) -> LookUp: ...

    def poll(self, request: OrderRequest, vendor_order_id: str) -> LookUp: ...

    def balance(self) -> Balance | Unknown: ...

    def catalogue(self, page: str | None) -> CataloguePage | Unknown:
        """One call's worth of what the account may buy, from the beginning or at `page`."""
