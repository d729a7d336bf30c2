"""A discount code in words: what it does, when, how often it was used, and how it stands: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from models.discounts import OnLate, Restores
from models.payments import PaymentState
from pipelines.discounts.outcomes import Outcomes
from pipelines.discounts.read import Standing
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.tiers import Tier
from pipelines.limits import DEFAULTS
from pipelines.tenants.time_zones import first_moment
from web.console.book_words import StockPart
from web.console.condition_words import in_zone
from web.console.formats import decimal_of, money, number, plural
from web.console.job_words import StateWords

STANDINGS: Mapping[Standing, StateWords] = {
    Standing.ACTIVE: StateWords("Active", "check", "good"),
    Standing.PAUSED: StateWords("Paused", "pause", "warn"),
    Standing.SCHEDULED: StateWords("Not started", "clock", "info"),
    Standing.EXPIRED: StateWords("Expired", "clock", "warn"),
    Standing.EXHAUSTED: StateWords("Used up", "stop", "warn"),
    Standing.DRAINING: StateWords("Draining", "clock", "plain"),
    Standing.ARCHIVED: StateWords("Put away", "stop", "plain"),
}
#: What a standing means at the checkout.
EFFECTS: Mapping[Standing, str] = {
    Standing.ACTIVE: "Customers can use it.",
    Standing.PAUSED: "Nobody reserves it until it is resumed. Who has reserved it can still pay.",
    Standing.SCHEDULED: "Its time has not begun: nobody can reserve it yet.",
    Standing.EXPIRED: "Its time is over: nobody reserves it any more.",
    Standing.EXHAUSTED: "It is reserved or used as often as it may be.",
    Standing.DRAINING: "It is put away; somebody who has reserved it can still pay.",
    Standing.ARCHIVED: "It is put away for good, with its history.",
}
#: Why slots came back without a payment; one that is not here is told by its own name.
#: Why a code was refused, as whoever runs it reads it.
REFUSALS: Mapping[str, str] = {
    "code_invalid": "No such code, or somebody else’s",
    "code_inactive": "It was paused or put away",
    "code_not_started": "Before its first day",
    "code_expired": "After its last day",
    "slot_exhausted": "Used as often as it may be",
    "already_reserved": "The customer had it in another cart",
    "already_used": "The customer had used it as often as one may",
    "own_referral": "The customer’s own code for friends",
    "stacking_not_allowed": "Did not go with the codes of the cart",
    "too_many_reservations": "The customer had too many reservations",
    "currency_mismatch": "Another currency",
    "no_eligible_items": "None of its products in the cart",
    "min_order_not_met": "The cart cost too little",
    "not_first_order": "Not a first purchase",
}
RELEASES: Mapping[str, str] = {
    "timeout": "Abandoned: not paid in time",
    "customer": "Given back by the customer",
    "code_removed": "Taken off its cart, which kept other codes",
    "cart_changed": "The cart changed, and the code was not for it",
    "payment": "The payment failed, or its page was ended",
    "manager": "Released at the console",
}
#: What a refund of all gives back, and what becomes of a payment whose slot is gone.
RESTORES: Mapping[str, str] = {
    Restores.NOTHING: "Nothing: the use stays counted",
    Restores.SLOT: "The slot: another customer can have it",
    Restores.CUSTOMER: "The slot and the use: the same customer can use the code again",
}
LATE: Mapping[str, str] = {
    OnLate.CONFIRM: "It is confirmed, beside the limit",
    OnLate.REFUND: "It is paid back",
}
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a code is used: the parts of the bar, and the same in words."""

    parts: list[StockPart]
    words: str


def what_it_does(rules: DiscountRules) -> str:
    """`10 % off (15 % from $100.00), at most $50.00, from $20.00 on, for 3 products`"""
    told = [f"{amount_off(rules)} off{tier_words(rules)}"]
    currency = rules.currency or ""
    if rules.max_discount_minor is not None:
        told.append(f"at most {money(rules.max_discount_minor, currency)}")
    if rules.min_subtotal_minor is not None:
        told.append(f"from {money(rules.min_subtotal_minor, currency)} on")
    if rules.products is not None:
        told.append(f"for {plural(len(rules.products), 'product')}")
    if rules.first_order_only:
        told.append("for a first purchase")
    if rules.stacking_group is not None:
        told.append(f"beside codes of other groups than {rules.stacking_group}")
    return ", ".join(told)


def tier_words(rules: DiscountRules) -> str:
    """` (15 % from $100.00, 20 % from $200.00)`; nothing without tiers."""
    told = (
        f"{amount_off(rules, tier)} from {money(tier.from_minor, rules.currency or '')}"
        for tier in rules.tiers or ()
    )
    return f" ({', '.join(told)})" if rules.tiers else ""


def amount_off(rules: DiscountRules, tier: Tier | None = None) -> str:
    """`12.5 %` or `$5.00`, of the code itself or of one of its tiers."""
    given = rules if tier is None else tier
    if rules.kind is DiscountKind.FIXED:
        return money(given.amount_minor or 0, rules.currency or "")
    return f"{percent_text(given.percent_bp)} %"


def percent_text(basis_points: int | None) -> str:
    """`12.5`, as a form's field takes it back; nothing for None."""
    if basis_points is None:
        return ""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def amount_text(minor: int | None, currency: str | None) -> str:
    """`50.00`, as a form's field takes it back; nothing for None."""
    return "" if minor is None or currency is None else decimal_of(minor, currency)


def whose_words(row: Row[Any]) -> str:
    """Whom the code is for (EC-017)."""
    if not row.is_assigned:
        return "Whoever knows it"
    return "One customer alone" + (", a guest" if row.assigned_user_id is None else "")


def limit_words(row: Row[Any]) -> list[tuple[str, str]]:
    """How often in all, and one customer."""
    return [
        ("In all", _times(row.max_uses)),
        ("One customer", _times(row.max_uses_per_customer)),
        ("In one purchase", _beside(row.stacking_group)),
    ]


def option_words(row: Row[Any]) -> list[tuple[str, str]]:
    """What becomes of refunds, of late payments, and where it seems to have leaked."""
    return [
        ("A refund of all gives back", RESTORES[row.restore_on_refund]),
        ("A payment whose slot is gone", LATE[row.on_late]),
        ("Seems to have leaked", "It is paused by itself" if row.watch_leaks else "Not watched"),
    ]


def window_words(rules: DiscountRules, zone: str) -> str:
    """`From 1 Mar 2027 until the end of 4 Dec 2027 (Europe/Berlin)`: days whole, times as they are."""
    if rules.starts_at is None and rules.expires_at is None:
        return "Always"
    told = []
    if rules.starts_at is not None:
        told.append(f"from {_start(rules.starts_at, zone)}")
    if rules.expires_at is not None:
        told.append(f"until {_end(rules.expires_at, zone)}")
    words = " ".join(told)
    return f"{words[0].upper()}{words[1:]} ({zone})"


def begins_a_day(at: datetime, zone: str) -> bool:
    """Whether a day begins there at this moment."""
    return at == first_moment(in_zone(at, zone).date(), zone)


def uses_of(row: Row[Any]) -> Uses:
    """Reserved and confirmed of the limit; without one, of what is used."""
    confirmed = row.used - row.reserved
    shares = [("confirmed", "Paid", confirmed), ("reserved", "Reserved", row.reserved)]
    if row.max_uses is not None:
        shares.append(("left", "Left", row.max_uses - row.used))
    whole = sum(count for _state, _label, count in shares)
    parts, start = [], 0.0
    for state, label, count in shares:
        width = 100 * count / whole if whole else 0.0
        parts.append(StockPart(state, label, count, round(start, 2), round(width, 2)))
        start += width
    most = "no limit" if row.max_uses is None else f"of {number(row.max_uses)}"
    words = f"{number(row.reserved)} reserved, {number(confirmed)} paid, {most}"
    if row.overflow_uses:
        words += f"; {number(row.overflow_uses)} paid after their slot was gone"
    return Uses(parts, words)


def time_left(until: datetime, now: datetime) -> str:
    """`14:03`: minutes and seconds; `0:00` for what is over."""
    seconds = max(0, int((until - now) / timedelta(seconds=1)))
    return f"{seconds // SECONDS_PER_MINUTE}:{seconds % SECONDS_PER_MINUTE:02d}"


def held_words(payment_state: str | None) -> str | None:
    """Why a reserved slot runs out of no time, and is not released by hand; None for one that does.

    What is paid and reserved still waits for a decision.
    """
    match payment_state:
        case PaymentState.PROCESSING:
            return "Being paid"
        case PaymentState.SUCCEEDED | PaymentState.MISMATCHED:
            return "Paid, waits for a person"
        case _:
            return None


def release_words(reason: str) -> str:
    return RELEASES.get(reason, reason.replace("_", " ").capitalize() or "Not known")


def refusal_words(reason: str) -> str:
    return REFUSALS.get(reason, reason.replace("_", " ").capitalize())


def conversion_words(outcomes: Outcomes) -> str:
    """`62.5 %` of what is settled was paid."""
    found = outcomes.conversion_bp
    return "–" if found is None else f"{found / 100:.1f} %"


def _beside(group: str | None) -> str:
    if group is None:
        return "One code: a second one is refused, and none is added to another"
    return f"Beside codes of other groups than {group}: {DEFAULTS.codes_per_cart_max} codes at most"


def applied(codes: list[dict[str, Any]]) -> str:
    """`SAVE10, SHIP5`: codes of one cart."""
    return ", ".join(one["code"] for one in codes)


def _times(most: int | None) -> str:
    return "As often as they like" if most is None else f"{plural(most, 'time')} at most"


def _start(at: datetime, zone: str) -> str:
    local = in_zone(at, zone)
    return f"{local:%-d %b %Y}" if begins_a_day(at, zone) else f"{local:%-d %b %Y, %H:%M}"


def _end(at: datetime, zone: str) -> str:
    local = in_zone(at, zone)
    if begins_a_day(at, zone):
        return f"the end of {local - timedelta(days=1):%-d %b %Y}"
    return f"{local:%-d %b %Y, %H:%M}"
