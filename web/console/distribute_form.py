"""The form of a distribution: what was typed, kept through every step, and what it asks for: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pipelines.distribution.draw import Mode, RemainderPolicy
from pipelines.distribution.plan import DistributionOptions, OnFailure
from pipelines.distribution.submit import Submission
from pipelines.jobs.schedule import ScheduleRefused
from pipelines.limits import DEFAULTS
from web.console.starts import StartForm, priority_of, time_of, typed_start
from web.console.typed import id_in

SEED_CHARACTERS_MAX = 128
COUNT_MAX = DEFAULTS.distribution_items_max
NO_BOOK = "Choose the book whose coupons are given."
NO_MODE = "Choose how the coupons are distributed."
NO_COUNT = f"Give a whole number of coupons from 1 to {COUNT_MAX:,}."
NO_MOST = f"Give a whole number from 1 to {COUNT_MAX:,}, or nothing."
NO_SEED = f"Give at most {SEED_CHARACTERS_MAX} printable characters, or nothing."
#: Fields of a text, and those that are ticked or not.
TEXTS = ("book_id", "mode", "count", "remainder_policy", "max_per_recipient", "seed")
TICKS = ("all_or_nothing", "allow_partial")
MODES = (
    (
        Mode.RANDOM,
        "Random",
        "A person is drawn for every coupon, so that some get several and some get none.",
    ),
    (
        Mode.EQUAL,
        "Equal",
        "Everybody in the pool gets the same number: the coupons divided by the people.",
    ),
)
REMAINDERS = (
    (RemainderPolicy.KEEP, "They stay in the book"),
    (RemainderPolicy.RANDOM, "One more for people who are drawn"),
    (RemainderPolicy.FIRST, "One more for the first people of the pool"),
)


@dataclass(frozen=True, slots=True)
class DistributeForm:
    """Every field as typed; it travels in hidden fields, so that going back loses nothing."""

    texts: Mapping[str, str]
    ticks: frozenset[str]
    start: StartForm

    def hidden(self) -> list[tuple[str, str]]:
        """The form as names and values of hidden fields."""
        return [
            *self.texts.items(),
            *((name, "1") for name in TICKS if name in self.ticks),
            ("starts_at", self.start.starts_at),
            ("priority", self.start.priority),
        ]


def typed_distribution(form: Mapping[str, str]) -> DistributeForm:
    """What stands in the fields, or was proposed by an address."""
    texts = {name: form.get(name, "").strip()[:400] for name in TEXTS}
    if texts["remainder_policy"] not in set(RemainderPolicy):
        texts["remainder_policy"] = RemainderPolicy.KEEP
    return DistributeForm(
        texts, frozenset(name for name in TICKS if name in form), typed_start(form)
    )


def read_distribution(
    pool_id: UUID, form: DistributeForm, errors: dict[str, str]
) -> Submission | None:
    """What is asked for; None with what is wrong in `errors`, by field."""
    texts = form.texts
    book_id = id_in(texts["book_id"])
    if book_id is None:
        errors["book_id"] = NO_BOOK
    if texts["mode"] not in set(Mode):
        errors["mode"] = NO_MODE
    count = _whole(texts["count"])
    if count is None:
        errors["count"] = NO_COUNT
    most = _whole(texts["max_per_recipient"])
    if most is None and texts["max_per_recipient"]:
        errors["max_per_recipient"] = NO_MOST
    if len(texts["seed"]) > SEED_CHARACTERS_MAX or not texts["seed"].isprintable():
        errors["seed"] = NO_SEED
    try:
        starts_at = time_of(form.start)
    except ScheduleRefused as refusal:
        errors["starts_at"] = refusal.detail
    if errors or book_id is None or count is None:
        return None
    options = DistributionOptions(
        pool_id=pool_id,
        book_id=book_id,
        mode=Mode(texts["mode"]),
        count=count,
        remainder_policy=RemainderPolicy(texts["remainder_policy"]),
        on_failure=OnFailure.ATOMIC if "all_or_nothing" in form.ticks else OnFailure.PER_RECIPIENT,
        max_per_recipient=most,
        seed=texts["seed"] or None,
    )
    return Submission(
        options,
        allow_partial="allow_partial" in form.ticks,
        scheduled_for=starts_at,
        priority=priority_of(form.start),
    )


def _whole(text: str) -> int | None:
    """The number of coupons that stands there; people write thousands with commas."""
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(COUNT_MAX)):
        return None
    return int(digits) if 1 <= int(digits) <= COUNT_MAX else None
