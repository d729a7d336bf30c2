"""What only those who see costs are shown beside a recipient's page: source and margin (S4-055, S4-056)."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.currencies import money

_ROW = text("""
SELECT source, charge_minor, currency, cost_minor, cost_currency FROM provisions
WHERE id = :provision
""")


@dataclass(frozen=True, slots=True)
class StaffLine:
    """Where the card came from; the margin as text, None while its cost is not known."""

    source: str
    margin: str | None


def staff_line(session: Session, provision_id: UUID) -> StaffLine | None:
    """None for a card that the caller's scope does not hold."""
    row = session.execute(_ROW, {"provision": provision_id}).one_or_none()
    if row is None:
        return None
    is_known = row.cost_minor is not None and row.cost_currency == row.currency
    margin = money(row.charge_minor - row.cost_minor, row.currency) if is_known else None
    return StaffLine(row.source, margin)
