"""The fields of a discount code: read and checked as they were typed, and shown as they are: pure.

Days are those of the client's time zone: a day without a time is whole, so that it ends where the
next one begins (EC-011).
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from models.discounts import OnLate, Restores
from pipelines.discounts.cart import SKU_CHARACTERS_MAX
from pipelines.discounts.options import OPTION_NAMES
from pipelines.discounts.read import CodeView
from pipelines.discounts.rules import DiscountKind
from pipelines.errors import FieldError
from pipelines.jobs.cells import (
    FORBIDDEN_CONTROLS,
    OUT_OF_YEARS,
    YEARS,
)
from pipelines.tenants.time_zones import first_moment
from web.console.condition_form import moment_of, number_of
from web.console.condition_words import in_zone
from web.console.discount_amounts import amount_of, percent_of_text
from web.console.discount_tiers import read_tiers, tier_error, tiers_text
from web.console.discount_words import (
    LATE,
    RESTORES,
    amount_text,
    begins_a_day,
    percent_text,
)
from web.console.stale_forms import touched_fields

PRODUCTS_MAX = 500
#: Of the field of products, which is longer than others.
PRODUCTS_CHARACTERS_MAX = PRODUCTS_MAX * (SKU_CHARACTERS_MAX + 2)
#: What can be changed, and what the words of a conflict call it.
FIELDS = {
    "percent": "The percentage",
    "amount": "The amount",
    "currency": "The currency",
    "max_discount": "The most that it takes off",
    "min_subtotal": "The least that its products cost",
    "products": "Its products",
    "tiers": "Its tiers",
    "starts_on": "Its first day",
    "starts_time": "The time at which it starts",
    "ends_on": "Its last day",
    "ends_time": "The time at which it ends",
    "stacking_group": "Its stacking group",
    "max_uses": "How often it is used in all",
    "max_uses_per_customer": "How often one customer uses it",
    "first_order_only": "Whether it is for a first purchase alone",
    "restore_on_refund": "What a refund of all gives back",
    "on_late": "What becomes of a payment that comes too late",
    "watch_leaks": "Whether it is paused where it seems to have leaked",
}
#: Each value of a code by the fields that say it.
SAID_BY: Mapping[str, tuple[str, ...]] = {
    "percent_bp": ("percent",),
    "amount_minor": ("amount", "currency"),
    "currency": ("currency",),
    "max_discount_minor": ("max_discount", "currency"),
    "min_subtotal_minor": ("min_subtotal", "currency"),
    "products": ("products",),
    "tiers": ("tiers", "currency"),
    "starts_at": ("starts_on", "starts_time"),
    "expires_at": ("ends_on", "ends_time"),
    "stacking_group": ("stacking_group",),
    "max_uses": ("max_uses",),
    "max_uses_per_customer": ("max_uses_per_customer",),
    **{name: (name,) for name in ("first_order_only", *OPTION_NAMES)},
}
#: What an empty form offers.
OFFERED = {
    "kind": "percent",
    "max_uses_per_customer": "1",
    "restore_on_refund": Restores.NOTHING.value,
    "on_late": OnLate.CONFIRM.value,
    "watch_leaks": "1",
}
FLAG_FIELDS = ("first_order_only", "watch_leaks")
CHOICES: Mapping[str, Mapping[str, str]] = {"restore_on_refund": RESTORES, "on_late": LATE}
NOT_A_DAY = "Give a day such as 2027-01-31."
#: The rules speak of members of a body; a form has fields.
WORDS: Mapping[tuple[str, str], str] = {
    ("required", "percent"): "Say how many percent it takes off.",
    ("not_both", "percent"): "A fixed amount has no percentage: leave this empty.",
    ("required", "amount"): "Say which amount it takes off.",
    ("not_both", "amount"): "A percentage has no amount of its own: leave this empty.",
    ("not_both", "max_discount"): "A fixed amount is its own maximum: leave this empty.",
    ("required", "currency"): "Amounts are in a currency: say which.",
}
_FIELD_OF = {
    "percent_bp": "percent",
    "amount_minor": "amount",
    "max_discount_minor": "max_discount",
    "min_subtotal_minor": "min_subtotal",
    "expires_at": "ends_on",
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_rules(typed: Mapping[str, str], zone: str, errors: dict[str, str]) -> dict[str, Any]:
    """What was typed of what a code does, by name; what is wrong is put into `errors`."""
    currency = typed["currency"].upper() or None
    values: dict[str, Any] = {
        "currency": currency,
        "percent_bp": percent_of_text("percent", typed["percent"], errors),
    }
    for name, field in (
        ("amount_minor", "amount"),
        ("max_discount_minor", "max_discount"),
        ("min_subtotal_minor", "min_subtotal"),
    ):
        values[name] = amount_of(field, typed[field], currency, errors)
    values["tiers"] = read_tiers(typed, currency, errors)
    values["products"] = _products(typed["products"], errors)
    values["starts_at"] = _moment("starts", typed, zone, errors)
    values["expires_at"] = _moment("ends", typed, zone, errors)
    values["stacking_group"] = typed["stacking_group"] or None
    values["first_order_only"] = bool(typed["first_order_only"])
    return values


def read_values(typed: Mapping[str, str], zone: str, errors: dict[str, str]) -> dict[str, Any]:
    """The rules, limits and options that were typed, by name; what is wrong is put into `errors`."""
    values = read_rules(typed, zone, errors)
    for name in ("max_uses", "max_uses_per_customer"):
        values[name] = number_of(name, typed[name], errors)
    values["watch_leaks"] = bool(typed["watch_leaks"])
    for name, choices in CHOICES.items():
        values[name] = typed[name]
        if typed[name] not in choices:
            errors[name] = f"Choose one of: {', '.join(choices.values())}."
    return values


def touched_values(
    values: Mapping[str, Any], typed: Mapping[str, str], was: Mapping[str, str]
) -> dict[str, Any]:
    """The values whose fields were changed: seconds, which no field shows, are not lost."""
    touched = touched_fields(FIELDS, typed, was)
    return {name: values[name] for name, by in SAID_BY.items() if touched & set(by)}


def shown_values(view: CodeView, zone: str) -> dict[str, str]:
    """What the fields hold of a code as it is, in the client's time zone."""
    rules, row = view.rules, view.row
    shown = {
        "kind": rules.kind.value,
        "code": row.code,
        "percent": percent_text(rules.percent_bp),
        "amount": amount_text(rules.amount_minor, rules.currency),
        "currency": rules.currency or "",
        "max_discount": amount_text(rules.max_discount_minor, rules.currency),
        "min_subtotal": amount_text(rules.min_subtotal_minor, rules.currency),
        "products": "\n".join(rules.products or ()),
        "tiers": tiers_text(rules),
        "stacking_group": rules.stacking_group or "",
        "max_uses": str(row.max_uses or ""),
        "max_uses_per_customer": str(row.max_uses_per_customer or ""),
    }
    shown |= {name: getattr(row, name) for name in CHOICES}
    shown |= {
        "first_order_only": "1" if rules.first_order_only else "",
        "watch_leaks": "1" if row.watch_leaks else "",
    }
    shown["starts_on"], shown["starts_time"] = _start_shown(rules.starts_at, zone)
    shown["ends_on"], shown["ends_time"] = _end_shown(rules.expires_at, zone)
    return shown


def said_in_words(values: Mapping[str, str]) -> dict[str, str]:
    """The fields as the words of a conflict say them: no codes, and lines as any browser ends them."""
    words = {name: "\n".join(values[name].splitlines()) for name in FIELDS}
    words |= {name: "yes" if values[name] else "no" for name in FLAG_FIELDS}
    return words | {name: said.get(values[name], "") for name, said in CHOICES.items()}


def by_field(errors: tuple[FieldError, ...]) -> dict[str, str]:
    """The errors of a body at the fields of the form; those of tiers by their line."""
    found = dict[str, str]()
    for one in errors:
        if (one.pointer or "").startswith("/tiers"):
            found.setdefault("tiers", tier_error(one))
            continue
        name = (one.pointer or "").rpartition("/")[2]
        field = _FIELD_OF.get(name, name)
        found[field] = WORDS.get((one.code, field), one.detail)
    return found


def kind_of(typed: Mapping[str, str], errors: dict[str, str]) -> DiscountKind:
    """Which kind was chosen; a percentage for none, with why in `errors`."""
    if typed["kind"] not in set(DiscountKind):
        errors["kind"] = "Choose what the code takes off."
        return DiscountKind.PERCENT
    return DiscountKind(typed["kind"])


def _products(text: str, errors: dict[str, str]) -> tuple[str, ...] | None:
    """One SKU a line, each once; None for nothing: all products."""
    found = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not found:
        return None
    if len(found) > PRODUCTS_MAX:
        errors["products"] = f"Name at most {PRODUCTS_MAX} products."
    elif any(len(one) > SKU_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(one) for one in found):
        errors["products"] = (
            f"A product is named by at most {SKU_CHARACTERS_MAX} ordinary characters, one a line."
        )
    return found


def _moment(
    end: str, typed: Mapping[str, str], zone: str, errors: dict[str, str]
) -> datetime | None:
    """When a day begins there, or is over; at the time that stands beside it where one does."""
    field = f"{end}_on"
    text, clock_time = typed[field], typed[f"{end}_time"]
    if not text:
        if clock_time:
            errors[field] = "Give the day, too."
        return None
    day = day_of(field, text, errors)
    if day is None:
        return None
    if clock_time:
        return moment_of(field, f"{text}T{clock_time[:5]}", zone, errors)
    return first_moment(day if end == "starts" else day + timedelta(days=1), zone)


def day_of(field: str, text: str, errors: dict[str, str]) -> date | None:
    """The day that was typed; None with why in `errors`."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        errors[field] = NOT_A_DAY
        return None
    if day.year not in YEARS:
        errors[field] = OUT_OF_YEARS
        return None
    return day


def _start_shown(at: datetime | None, zone: str) -> tuple[str, str]:
    if at is None:
        return "", ""
    local = in_zone(at, zone)
    return f"{local:%Y-%m-%d}", "" if begins_a_day(at, zone) else f"{local:%H:%M}"


def _end_shown(at: datetime | None, zone: str) -> tuple[str, str]:
    """A whole day by its own name, though it ends where the next one begins."""
    if at is None:
        return "", ""
    local = in_zone(at, zone)
    if begins_a_day(at, zone):
        return f"{local - timedelta(days=1):%Y-%m-%d}", ""
    return f"{local:%Y-%m-%d}", f"{local:%H:%M}"
