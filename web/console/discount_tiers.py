"""The field of a discount's tiers, one a line: `100.00 15%` or `100.00 20.00`: pure (S2-127)."""

from collections.abc import Mapping

from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.discounts.tiers import TIERS_MAX, Tier
from pipelines.errors import FieldError
from web.console.discount_amounts import amount_of, percent_of_text
from web.console.discount_words import amount_text, percent_text

#: Of the field, which is longer than others.
TIERS_CHARACTERS_MAX = 1_000
NOT_A_TIER = "Give from which amount on, and what it takes off, such as 100.00 15% or 100.00 20.00."
_WORDS: Mapping[tuple[str, str], str] = {
    (
        "tier_not_ascending",
        "from_minor",
    ): "A tier begins above the one before it, and above “Only from”.",
    ("tier_not_ascending", "percent_bp"): "Who spends more saves more: take off more than the line "
    "before, and than the code itself.",
    ("tier_not_ascending", "amount_minor"): "Who spends more saves more: take off more than the "
    "line before, and than the code itself.",
    ("not_both", "percent_bp"): "The code takes off an amount: so do its tiers.",
    ("not_both", "amount_minor"): "The code takes off a percentage: so do its tiers.",
}


def read_tiers(
    typed: Mapping[str, str], currency: str | None, errors: dict[str, str]
) -> tuple[Tier, ...] | None:
    """The tiers that were typed, empty lines apart; None for nothing, and with why in `errors`."""
    lines = tier_lines(typed["tiers"])
    if not lines:
        return None
    if len(lines) > TIERS_MAX:
        errors["tiers"] = f"Give at most {TIERS_MAX} tiers."
        return None
    found = []
    for number, line in enumerate(lines, 1):
        wrong = dict[str, str]()
        is_percent = typed["kind"] == DiscountKind.PERCENT
        tier = _tier(line, currency, wrong, is_percent=is_percent)
        if tier is None:
            if "currency" in wrong:
                errors.setdefault("currency", wrong["currency"])
            else:
                errors["tiers"] = f"Line {number}: {wrong['tiers']}"
            return None
        found.append(tier)
    return tuple(found)


def tier_lines(text: str) -> list[str]:
    """The lines in which something stands."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def tiers_text(rules: DiscountRules) -> str:
    """The lines that the field holds of a code as it is."""
    return "\n".join(
        f"{amount_text(tier.from_minor, rules.currency)} "
        + (f"{percent_text(tier.percent_bp)}%" if tier.percent_bp else "")
        + amount_text(tier.amount_minor, rules.currency)
        for tier in rules.tiers or ()
    )


def tier_error(error: FieldError) -> str:
    """What the rules say of one tier, with the line in which it stands."""
    _, _, place, name = [*(error.pointer or "").split("/"), "", ""][:4]
    words = _WORDS.get((error.code, name), error.detail)
    return f"Line {int(place) + 1}: {words}" if place.isdigit() else words


def _tier(
    line: str, currency: str | None, wrong: dict[str, str], *, is_percent: bool
) -> Tier | None:
    begins, _, gives = line.partition(" ")
    gives = gives.strip()
    if not gives.removesuffix("%"):
        wrong["tiers"] = NOT_A_TIER
        return None
    from_minor = amount_of("tiers", begins, currency, wrong)
    if is_percent or gives.endswith("%"):
        tier = Tier(from_minor or 0, percent_bp=percent_of_text("tiers", gives, wrong))
    else:
        tier = Tier(from_minor or 0, amount_minor=amount_of("tiers", gives, currency, wrong))
    return None if wrong else tier
