"""The fields of a referral program: read and checked as they were typed, and shown as they are: pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from pipelines.discounts.rules import DiscountRules
from pipelines.errors import FieldError
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.referrals.rules import (
    HOLD_DAYS,
    HOLD_DAYS_MAX,
    PART_NAMES,
    RANDOM_LENGTH,
    RANDOM_LENGTH_MAX,
    RANDOM_LENGTH_MIN,
    VALID_DAYS,
    VALID_DAYS_MAX,
    ProgramRules,
    part_from,
)
from web.console.condition_form import number_of
from web.console.discount_form import FIELDS as CODE_FIELDS
from web.console.discount_form import by_field, kind_of, read_rules
from web.console.discount_words import amount_text, percent_text

NAME_CHARACTERS_MAX = 200
PARTS = ("friend", "reward")
PART_FIELDS = (
    "kind",
    "percent",
    "amount",
    "currency",
    "max_discount",
    "min_subtotal",
    "products",
)
PLAIN_FIELDS = (
    *("name", "prefix", "random_length", "hold_days", "reward_valid_days"),
    *("max_uses_per_code", "max_rewards_per_referrer"),
)
FIELDS = (*PLAIN_FIELDS, *(f"{part}_{field}" for part in PARTS for field in PART_FIELDS))
#: What an empty form offers.
OFFERED = {
    "friend_kind": "percent",
    "reward_kind": "fixed",
    "random_length": str(RANDOM_LENGTH),
    "hold_days": str(HOLD_DAYS),
    "reward_valid_days": str(VALID_DAYS),
}
#: Days are whole, and nobody leaves them open.
_WHOLE = {
    "random_length": (RANDOM_LENGTH_MIN, RANDOM_LENGTH_MAX),
    "hold_days": (0, HOLD_DAYS_MAX),
    "reward_valid_days": (1, VALID_DAYS_MAX),
}


def read_program(typed: Mapping[str, str], errors: dict[str, str]) -> ProgramRules:
    """The program that was typed; what is wrong is put into `errors`, by field."""
    name = typed["name"]
    if not name or len(name) > NAME_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(name):
        errors["name"] = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
    return ProgramRules(
        name=name,
        friend=_part("friend", typed, errors),
        reward=_part("reward", typed, errors),
        prefix=typed["prefix"].upper(),
        random_length=_whole("random_length", typed, errors),
        hold_days=_whole("hold_days", typed, errors),
        reward_valid_days=_whole("reward_valid_days", typed, errors),
        max_uses_per_code=_limit("max_uses_per_code", typed, errors),
        max_rewards_per_referrer=_limit("max_rewards_per_referrer", typed, errors),
    )


def shown_program(row: Row[Any]) -> dict[str, str]:
    """What the fields hold of a program as it is."""
    shown = {field: str(_or_nothing(getattr(row, field))) for field in PLAIN_FIELDS}
    for part in PARTS:
        rules = part_from(getattr(row, part))
        own = {
            "kind": rules.kind.value,
            "percent": percent_text(rules.percent_bp),
            "amount": amount_text(rules.amount_minor, rules.currency),
            "currency": rules.currency or "",
            "max_discount": amount_text(rules.max_discount_minor, rules.currency),
            "min_subtotal": amount_text(rules.min_subtotal_minor, rules.currency),
            "products": "\n".join(rules.products or ()),
        }
        shown |= {f"{part}_{field}": text for field, text in own.items()}
    return shown


def program_errors(errors: tuple[FieldError, ...]) -> dict[str, str]:
    """The errors of a program at the fields of the form."""
    found: dict[str, str] = {}
    for one in errors:
        part, _, rest = (one.pointer or "").lstrip("/").partition("/")
        if part in PARTS:
            told = by_field((replace(one, pointer=f"/{rest}"),))
            found |= {f"{part}_{field}": words for field, words in told.items()}
        else:
            found[rest or part] = one.detail
    return found


def _part(part: str, typed: Mapping[str, str], errors: dict[str, str]) -> DiscountRules:
    """The fields of a part are those of a discount code, under the part's name."""
    own = dict.fromkeys(CODE_FIELDS, "")
    own |= {field: typed[f"{part}_{field}"] for field in PART_FIELDS}
    wrong: dict[str, str] = {}
    kind = kind_of(own, wrong)
    values = read_rules(own, "UTC", wrong)
    errors |= {f"{part}_{field}": words for field, words in wrong.items()}
    return DiscountRules(kind, **{name: values[name] for name in PART_NAMES if name != "kind"})


def _limit(field: str, typed: Mapping[str, str], errors: dict[str, str]) -> int | None:
    return number_of(field, typed[field], errors)


def _whole(field: str, typed: Mapping[str, str], errors: dict[str, str]) -> int:
    (low, high), text = _WHOLE[field], typed[field]
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(high))
    if not is_number or not low <= int(text) <= high:
        errors[field] = f"Give a whole number from {low} to {high:,}."
        return low
    return int(text)


def _or_nothing(value: object) -> object:
    return "" if value is None else value
