"""The fields of a book: read and checked as they were typed, and shown as they are: pure."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pipelines.books.patterns import PLAIN_ALPHABET, Pattern, check_pattern, draw_codes
from pipelines.books.read import BookView
from pipelines.errors import FieldError, ValidationFailed
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from web.console.book_words import PatternLook, pattern_look
from web.console.condition_form import moment_of, number_of
from web.console.stale_forms import touched_fields
from web.console.starts import FIELD_FORMAT

NAME_CHARACTERS_MAX = 200
PART_CHARACTERS_MAX = 64
CODES_MEANT = 1_000
CODES_MEANT_MAX = 10**9
EXAMPLES = 5
#: Every field of both forms, and what the words of a conflict call it.
FIELDS = {
    "name": "Its name",
    "source": "Where its codes come from",
    "prefix": "The beginning of its codes",
    "random_length": "The length of their random part",
    "alphabet": "Their characters",
    "suffix": "The end of its codes",
    "allow_multi_redemption": "Whether a coupon is redeemed several times",
    "max_redemptions_per_coupon": "How often a coupon is redeemed",
    "max_assignments_per_user": "Coupons of one person",
    "max_redemptions_per_user": "Redemptions of one person",
    "max_assignments": "Coupons given in all",
    "max_redemptions": "Redemptions in all",
    "starts_at": "Its start",
    "expires_at": "Its end",
    "tells_holder": "Whether holders are told by mail",
}
PATTERN_FIELDS = ("source", "prefix", "random_length", "alphabet", "suffix")
LIMIT_FIELDS = (
    "max_redemptions_per_coupon",
    "max_assignments_per_user",
    "max_redemptions_per_user",
    "max_assignments",
    "max_redemptions",
)
FLAG_FIELDS = ("allow_multi_redemption", "tells_holder")
TIME_FIELDS = ("starts_at", "expires_at")
BY_PATTERN, BY_UPLOAD = "pattern", "upload"
#: What an empty form offers.
OFFERED = {
    "source": BY_PATTERN,
    "random_length": "16",
    "alphabet": PLAIN_ALPHABET,
    "worth": "bearer",
    "meant": str(CODES_MEANT),
}
#: The rules' own words speak of members of a body; a form has fields.
WORDS = {
    "window_ends_first": "The book must expire after it starts.",
    "single_redemption": "A coupon is redeemed once, unless it may be redeemed several times.",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A pattern tried: some of its codes, and what it has room for."""

    examples: list[str]
    look: PatternLook


def read_rules(typed: Mapping[str, str], errors: dict[str, str]) -> dict[str, Any]:
    """The rules that were typed, by name; what is wrong is put into `errors`."""
    name = typed["name"]
    is_line = not FORBIDDEN_CONTROLS.search(name) and "\n" not in name and "\r" not in name
    if not name or len(name) > NAME_CHARACTERS_MAX or not is_line:
        errors["name"] = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
    rules: dict[str, Any] = {"name": name, "pattern": read_pattern(typed, errors)}
    for field in FLAG_FIELDS:
        rules[field] = typed[field] == "1"
    for field in LIMIT_FIELDS:
        rules[field] = number_of(field, typed[field], errors)
    for field in TIME_FIELDS:
        rules[field] = moment_of(field, typed[field], "UTC", errors)
    return rules


def read_pattern(typed: Mapping[str, str], errors: dict[str, str]) -> Pattern | None:
    """The pattern that was typed; None for uploads, and for one that makes no codes."""
    if typed["source"] == BY_UPLOAD:
        return None
    length = typed["random_length"]
    is_number = length.isascii() and length.isdigit() and len(length) <= len("64")
    if not is_number or not 1 <= int(length) <= PART_CHARACTERS_MAX:
        errors["random_length"] = f"Give a whole number from 1 to {PART_CHARACTERS_MAX}."
        return None
    pattern = Pattern(
        typed["prefix"].upper(),
        int(length),
        typed["alphabet"].upper() or PLAIN_ALPHABET,
        typed["suffix"].upper(),
    )
    try:
        check_pattern(pattern)
    except ValidationFailed as refusal:
        errors.update(by_field(refusal.errors))
        return None
    return pattern


def try_pattern(
    typed: Mapping[str, str], errors: dict[str, str], *, existing: int, seals_codes: bool
) -> Trial | None:
    """Look at the pattern that was typed; None where there is none, or it makes no codes."""
    meant = typed["meant"] or str(CODES_MEANT)
    if not (meant.isascii() and meant.isdigit() and 1 <= int(meant) <= CODES_MEANT_MAX):
        errors["meant"] = f"Give a whole number from 1 to {CODES_MEANT_MAX:,}."
        return None
    pattern = read_pattern(typed, errors)
    if pattern is None:
        return None
    look = pattern_look(pattern, existing=existing, meant=int(meant), seals_codes=seals_codes)
    return Trial(draw_codes(pattern, EXAMPLES, draw=os.urandom), look)


def by_field(errors: tuple[FieldError, ...]) -> dict[str, str]:
    """The errors of a body at the fields of the form."""
    return {
        (one.pointer or "").rpartition("/")[2]: WORDS.get(one.code, one.detail) for one in errors
    }


def shown_rules(view: BookView) -> dict[str, str]:
    """What the fields hold of a book as it is; times are of UTC."""
    rules, pattern = view.rules, view.pattern
    shown = {"name": rules.name, "source": BY_PATTERN if pattern else BY_UPLOAD}
    shown["prefix"] = pattern.prefix if pattern else ""
    shown["random_length"] = str(pattern.random_length) if pattern else OFFERED["random_length"]
    shown["alphabet"] = pattern.alphabet if pattern else OFFERED["alphabet"]
    shown["suffix"] = pattern.suffix if pattern else ""
    for field in FLAG_FIELDS:
        shown[field] = "1" if getattr(rules, field) else ""
    for field in LIMIT_FIELDS:
        shown[field] = str(getattr(rules, field) or "")
    for field in TIME_FIELDS:
        at = getattr(rules, field)
        shown[field] = at.astimezone(UTC).strftime(FIELD_FORMAT) if at else ""
    return shown


def changed_rules(
    rules: Mapping[str, Any], typed: Mapping[str, str], was: Mapping[str, str]
) -> dict[str, Any]:
    """The rules whose fields were touched: seconds, which no field shows, are not lost."""
    touched = touched_fields(FIELDS, typed, was)
    found = {name: rules[name] for name in touched - set(PATTERN_FIELDS)}
    if touched & set(PATTERN_FIELDS):
        found["pattern"] = rules["pattern"]
    return found
