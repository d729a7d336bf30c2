"""What a referral program says, when a purchase earns a reward, and who gets one: plain decisions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from models.discounts import UsageState
from models.payments import PaymentState
from models.risks import Decision
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern, check_pattern
from pipelines.discounts.rule_checks import contradictions
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.errors import ValidationFailed

#: So many random characters that nobody finds a code by trying, and that it can be typed.
RANDOM_LENGTH_MIN, RANDOM_LENGTH_MAX = 8, 24
RANDOM_LENGTH = 10
HOLD_DAYS, HOLD_DAYS_MAX = 14, 90
VALID_DAYS, VALID_DAYS_MAX = 365, 3_650
#: What a program says of what its codes do; when they are good it decides itself.
PART_NAMES = (
    "kind",
    "percent_bp",
    "amount_minor",
    "currency",
    "max_discount_minor",
    "min_subtotal_minor",
    "products",
)


@dataclass(frozen=True, slots=True)
class ProgramRules:
    """One program as it was asked for; a limit of None is none, times are whole days."""

    name: str
    friend: DiscountRules
    reward: DiscountRules
    prefix: str = ""
    random_length: int = RANDOM_LENGTH
    max_uses_per_code: int | None = None
    max_rewards_per_referrer: int | None = None
    hold_days: int = HOLD_DAYS
    reward_valid_days: int = VALID_DAYS

    @property
    def pattern(self) -> Pattern:
        """The pattern of the program's codes."""
        return Pattern(self.prefix, self.random_length, PLAIN_ALPHABET, "")


def check_program(rules: ProgramRules) -> None:
    """Raises `ValidationFailed` for what contradicts itself, with the pointer of each field."""
    errors = [
        replace(error, pointer=f"/{part}{error.pointer}")
        for part, told in (("friend", rules.friend), ("reward", rules.reward))
        for error in contradictions(told)
    ]
    try:
        check_pattern(rules.pattern)
    except ValidationFailed as wrong:
        errors += wrong.errors
    if errors:
        raise ValidationFailed(errors=tuple(errors))


def part_json(rules: DiscountRules) -> dict[str, Any]:
    """A friend's or referrer's part as it is kept and shown."""
    told = {name: getattr(rules, name) for name in PART_NAMES}
    products = rules.products
    return told | {
        "kind": rules.kind.value,
        "products": None if products is None else list(products),
    }


def part_from(told: Mapping[str, Any]) -> DiscountRules:
    """The rules in a part, as it is kept or came in a body; what is not said is no rule."""
    values: dict[str, Any] = {name: told.get(name) for name in PART_NAMES}
    products = values["products"]
    values["products"] = None if products is None else tuple(products)
    return DiscountRules(**values | {"kind": DiscountKind(told["kind"])})


@dataclass(frozen=True, slots=True)
class Standing:
    """A friend's purchase, as far as a reward for it asks."""

    payment: PaymentState
    #: What was paid, less what went back or is asked for to go back.
    kept_minor: int
    is_disputed: bool
    #: Its money is not kept, or waits for a person.
    is_refused: bool
    usage: UsageState
    #: The use of the code is by this very purchase.
    is_own_usage: bool
    decision: Decision | None


def is_earned(purchase: Standing) -> bool:
    """Whether the friend has paid, and as far as is known keeps, what was bought with the code.

    Part of it may have gone back, or be on its way. What cost nothing earns nothing: it would be rewards for the asking.
    """
    return (
        purchase.payment is PaymentState.SUCCEEDED
        and purchase.kept_minor > 0
        and not purchase.is_disputed
        and not purchase.is_refused
        and purchase.usage is UsageState.CONFIRMED
        and purchase.is_own_usage
        and purchase.decision is not Decision.REJECTED
    )


@dataclass(frozen=True, slots=True)
class Due:
    """A reward that is due, by its purchase, and whose it is; the oldest are dealt with first."""

    reward_id: UUID
    code_id: UUID
    max_rewards: int | None


def within_limit(due: Iterable[Due], issued: Mapping[UUID, int]) -> Sequence[UUID]:
    """Which of these are given, where a referrer, by their code, has got so many already."""
    given = dict(issued)
    chosen = []
    for one in due:
        had = given.get(one.code_id, 0)
        if one.max_rewards is None or had < one.max_rewards:
            given[one.code_id] = had + 1
            chosen.append(one.reward_id)
    return chosen
