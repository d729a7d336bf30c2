"""Units that come back: which did already, and what was paid for those that do now (EC-033)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError, ValidationFailed

# A refund that failed paid nobody: its units may come back again.
_BACK = text("""
SELECT CAST(one.key AS int) AS line, sum(CAST(one.value AS int)) AS units
FROM refunds r CROSS JOIN LATERAL jsonb_each_text(r.units) one
WHERE r.payment_id = :payment AND r.state <> 'failed'
GROUP BY 1 ORDER BY 1
""")


def units_back(session: Session, payment_id: UUID) -> dict[int, int]:
    """How many units of each line are paid back or are to be, by the line's place; no line without.

    Of a payment that is locked it stays so.
    """
    found = session.execute(_BACK, {"payment": payment_id})
    return {row.line: int(row.units) for row in found}


def paid_for(
    quote: dict[str, Any], returned: Sequence[tuple[int, int]], back: Mapping[int, int]
) -> int:
    """Minor units paid for these units: places of lines, and how many of each; `back` came before.

    Each line has its own share of the discount, its tax too. All units of a line are exactly what was
    paid for it, at once or one by one; of some, a half is rounded up. Raises `ValidationFailed` for a
    line that is not there, twice the same, or more units than were bought or are left.
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
        before = back.get(place, 0)
        if place in seen or quantity > bought:
            detail = f"Of line {place} there are {bought} units, named once."
            errors.append(FieldError("not_bought", detail, pointer=f"/lines/{number}"))
            continue
        if quantity > bought - before:
            detail = f"Line {place}: {left_words(bought, before)}"
            errors.append(FieldError("already_returned", detail, pointer=f"/lines/{number}"))
            continue
        seen.add(place)
        paid = _paid(lines[place], includes_tax=quote["includes_tax"])
        amount += _share(paid, before + quantity, bought) - _share(paid, before, bought)
    if errors:
        raise ValidationFailed(errors=tuple(errors))
    return amount


def left_words(bought: int, back: int) -> str:
    """`1 of 3 units is left, 2 came back already.`"""
    left = max(0, bought - back)
    return (
        f"{left} of {bought} units {'is' if left == 1 else 'are'} left, {back} came back already."
    )


def _share(paid: int, units: int, bought: int) -> int:
    return (2 * paid * units + bought) // (2 * bought)


def _paid(line: dict[str, Any], *, includes_tax: bool) -> int:
    tax: int = 0 if includes_tax else line["tax_minor"]
    return int(line["net_minor"]) + tax
