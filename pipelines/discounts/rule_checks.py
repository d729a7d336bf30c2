"""Whether the rules of a discount contradict each other: said field by field, for bodies and rows."""

import re
from collections.abc import Iterator

from pipelines.currencies import is_accepted
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.tiers import TIERS_MAX
from pipelines.errors import FieldError, ValidationFailed

#: How codes that exclude each other are named together.
STACKING_GROUP = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
NO_GROUP = "Give 1 to 40 of a to z, 0 to 9 and -, such as shipping; or nothing."


def check_rules(rules: DiscountRules) -> None:
    """Raises `ValidationFailed` for rules that contradict each other."""
    errors = tuple(contradictions(rules))
    if errors:
        raise ValidationFailed(errors=errors)


def contradictions(rules: DiscountRules) -> list[FieldError]:
    """What is wrong, each with the pointer of its field; empty for good rules."""
    errors = []

    def wrong(code: str, field: str, detail: str) -> None:
        errors.append(FieldError(code, detail, pointer=f"/{field}"))

    if rules.kind is DiscountKind.PERCENT:
        if rules.percent_bp is None:
            wrong("required", "percent_bp", "A percentage says how much, in basis points.")
        if rules.amount_minor is not None:
            wrong("not_both", "amount_minor", "A percentage has no amount of its own.")
    else:
        if rules.amount_minor is None:
            wrong("required", "amount_minor", "A fixed discount says how much, in minor units.")
        if rules.percent_bp is not None:
            wrong("not_both", "percent_bp", "A fixed discount has no percentage.")
        if rules.max_discount_minor is not None:
            wrong("not_both", "max_discount_minor", "A fixed discount is its own maximum.")
    amounts = (rules.amount_minor, rules.max_discount_minor, rules.min_subtotal_minor)
    if rules.currency is None:
        if any(amount is not None for amount in amounts) or rules.tiers is not None:
            wrong("required", "currency", "Amounts are in a currency: say which.")
    elif not is_accepted(rules.currency):
        wrong("unknown_currency", "currency", "Give a currency of ISO 4217, such as USD.")
    if rules.stacking_group is not None and not STACKING_GROUP.fullmatch(rules.stacking_group):
        wrong("invalid_group", "stacking_group", NO_GROUP)
    if rules.starts_at and rules.expires_at and rules.expires_at <= rules.starts_at:
        wrong("window_ends_first", "expires_at", "The code must expire after it starts.")
    return [*errors, *_wrong_tiers(rules)]


def _wrong_tiers(rules: DiscountRules) -> Iterator[FieldError]:
    """Who spends more saves more: each tier begins later and gives more than what stands before it."""
    if rules.tiers is None:
        return
    if not 1 <= len(rules.tiers) <= TIERS_MAX:
        yield FieldError(
            "out_of_range", f"Give 1 to {TIERS_MAX} tiers, or null for none.", pointer="/tiers"
        )
    name = rules.given_by
    other = "amount_minor" if name == "percent_bp" else "percent_bp"
    begun, given = rules.min_subtotal_minor or 0, getattr(rules, name)
    for place, tier in enumerate(rules.tiers):
        pointer, gives = f"/tiers/{place}", tier.gives(name)
        if tier.from_minor <= begun:
            before = "the tier before" if place else "`min_subtotal_minor`"
            detail = f"A tier begins above {before}, which is {begun}."
            yield FieldError("tier_not_ascending", detail, pointer=f"{pointer}/from_minor")
        if tier.gives(other) is not None:
            detail = f"A tier of this code gives `{name}` alone."
            yield FieldError("not_both", detail, pointer=f"{pointer}/{other}")
        if gives is None:
            detail = f"A tier of this code says its `{name}`."
            yield FieldError("required", detail, pointer=f"{pointer}/{name}")
        elif given is not None and gives <= given:
            before = "the tier before" if place else "the code itself"
            detail = f"Who spends more saves more: give more than {before}, which gives {given}."
            yield FieldError("tier_not_ascending", detail, pointer=f"{pointer}/{name}")
        begun, given = max(begun, tier.from_minor), gives or given
