"""What was paid for units that come back: each line's own share of the discount, its tax too (EC-033)."""

from collections.abc import Sequence
from typing import Any

from pipelines.errors import FieldError, ValidationFailed


def paid_for(quote: dict[str, Any], returned: Sequence[tuple[int, int]]) -> int:
    """Minor units paid for these units: places of lines, and how many of each.

    All units of a line are exactly what was paid for it; of some, a half is rounded up. Raises
    `ValidationFailed` for a line that is not there, twice the same, or more units than were bought.
    """
    lines, errors, amount = quote["lines"], list[FieldError](), 0
    seen = set[int]()
    for number, (place, quantity) in enumerate(returned):
        bought = lines[place]["quantity"] if place < len(lines) else 0
        if not bought:
            has = f"the lines 0 to {len(lines) - 1}" if len(lines) > 1 else "the line 0 alone"
            detail = f"The cart has {has}."
            errors.append(FieldError("not_bought", detail, pointer=f"/lines/{number}/line"))
            continue
        if place in seen or quantity > bought:
            detail = f"Of line {place} there are {bought} units, named once."
            errors.append(FieldError("not_bought", detail, pointer=f"/lines/{number}"))
            continue
        seen.add(place)
        paid = _paid(lines[place], includes_tax=quote["includes_tax"])
        amount += (2 * paid * quantity + bought) // (2 * bought)
    if errors:
        raise ValidationFailed(errors=tuple(errors))
    return amount


def _paid(line: dict[str, Any], *, includes_tax: bool) -> int:
    tax: int = 0 if includes_tax else line["tax_minor"]
    return int(line["net_minor"]) + tax
