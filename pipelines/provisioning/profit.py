"""What cards brought in and what they cost: by campaign, by price, and card by card.

A cost that nobody knows is never counted as nothing, and one in another currency is never added:
both are told beside the profit, which speaks of the cards whose cost is known.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.errors import NotFound

#: Cards of one step of a CSV.
CARDS_PER_STEP = 2_000
COLUMNS = (
    "redemption_id",
    "job_id",
    "brand",
    "source",
    "currency",
    "face_value_minor",
    "charge_minor",
    "cost_minor",
    "cost_currency",
    "profit_minor",
    "replaced_at",
    "created_at",
)

# A card that was taken back brought nothing in, and is in stock again. One that was replaced brought
# nothing in either, for its charge went back, but it cost what it cost.
_LINES = text("""
SELECT p.campaign_id, p.brand_id, b.name AS brand, p.face_value_minor, p.charge_minor, p.source,
    p.currency, count(*) FILTER (WHERE p.replaced_at IS NULL) AS cards,
    count(*) FILTER (WHERE p.replaced_at IS NOT NULL) AS cards_replaced,
    coalesce(sum(p.charge_minor) FILTER (WHERE p.replaced_at IS NULL), 0) AS revenue_minor,
    count(*) FILTER (WHERE p.cost_minor IS NULL) AS cards_without_cost,
    count(*) FILTER (WHERE p.cost_minor IS NOT NULL AND p.cost_currency <> p.currency)
        AS cards_of_other_cost_currency,
    sum(p.cost_minor) FILTER (WHERE p.cost_currency = p.currency) AS cost_minor,
    sum(CASE WHEN p.replaced_at IS NULL THEN p.charge_minor ELSE 0 END - p.cost_minor)
        FILTER (WHERE p.cost_currency = p.currency) AS profit_minor
FROM provisions p JOIN brands b ON b.id = p.brand_id
WHERE p.undone_at IS NULL AND p.campaign_id = ANY (:campaigns)
GROUP BY p.campaign_id, p.brand_id, b.name, p.face_value_minor, p.charge_minor, p.source,
    p.currency
ORDER BY p.campaign_id, b.name, p.face_value_minor, p.charge_minor, p.source
""")
_CARDS = text("""
SELECT p.id AS redemption_id, p.job_id, b.name AS brand, p.source, p.currency,
    p.face_value_minor, e.charge_minor, p.cost_minor, p.cost_currency,
    CASE WHEN p.cost_currency = p.currency THEN e.charge_minor - p.cost_minor END
        AS profit_minor, p.replaced_at, p.created_at
FROM provisions p JOIN brands b ON b.id = p.brand_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.replaced_at IS NULL THEN p.charge_minor ELSE 0 END AS charge_minor) e
WHERE p.undone_at IS NULL AND p.campaign_id = :campaign AND p.client_id = :client
  AND p.id < :before
ORDER BY p.id DESC LIMIT :limit
""")
_CLIENT_OF = text("SELECT client_id FROM campaigns WHERE id = :campaign")
_CLIENT = text("SELECT id FROM clients WHERE id = :client")
_CAMPAIGNS = text("SELECT id FROM campaigns WHERE client_id = :client")
_SUMMED = (
    "cards",
    "cards_replaced",
    "revenue_minor",
    "cards_without_cost",
    "cards_of_other_cost_currency",
    "cost_minor",
    "profit_minor",
)


def campaign_profit(session: Session, campaign_id: UUID) -> dict[str, Any]:
    """A campaign's totals by currency, and a line for each price and source; or `NotFound`."""
    _client_of(session, campaign_id)
    lines = list(session.execute(_LINES, {"campaigns": [campaign_id]}))
    return _shown(lines) | {"campaign_id": campaign_id}


def client_profit(session: Session, client_id: UUID) -> dict[str, Any]:
    """The same over all campaigns of a client, whose lines name theirs; or `NotFound`."""
    if session.execute(_CLIENT, {"client": client_id}).one_or_none() is None:
        raise NotFound
    campaigns = list(session.execute(_CAMPAIGNS, {"client": client_id}).scalars())
    lines = list(session.execute(_LINES, {"campaigns": campaigns}))
    return _shown(lines) | {"client_id": client_id}


def card_rows(
    sessions: Sessions, scope: Scope, campaign_id: UUID
) -> Iterator[list[str | int | None]]:
    """Every card of a campaign with its profit, newest first, in steps; `NotFound` at once."""
    with scoped_transaction(sessions, scope) as session:
        client_id = _client_of(session, campaign_id)
    return _steps(sessions, scope, {"client": client_id, "campaign": campaign_id})


def _steps(
    sessions: Sessions, scope: Scope, of: dict[str, object]
) -> Iterator[list[str | int | None]]:
    before = new_id()
    while True:
        values = of | {"before": before, "limit": CARDS_PER_STEP}
        with scoped_transaction(sessions, scope) as session:
            rows = session.execute(_CARDS, values).all()
        for row in rows:
            yield [_cell(getattr(row, name)) for name in COLUMNS]
        if len(rows) < CARDS_PER_STEP:
            return
        before = rows[-1].redemption_id


def _cell(value: object) -> str | int | None:
    return value if value is None or isinstance(value, int) else str(value)


def _client_of(session: Session, campaign_id: UUID) -> UUID:
    found: UUID | None = session.execute(_CLIENT_OF, {"campaign": campaign_id}).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def _shown(lines: list[Row[Any]]) -> dict[str, Any]:
    totals: dict[str, dict[str, Any]] = {}
    for line in lines:
        total = totals.setdefault(line.currency, {"currency": line.currency})
        for name in _SUMMED:
            total[name] = _plus(total.get(name), getattr(line, name))
    return {
        "totals": [total | {"findings": _findings(total)} for total in totals.values()],
        "lines": [dict(line._mapping) | {n: _number(line, n) for n in _SUMMED} for line in lines],
    }


def _number(line: Row[Any], name: str) -> int | None:
    value = getattr(line, name)
    return None if value is None else int(value)


def _plus(one: int | None, other: Any) -> int | None:
    """None is no number: only if both are, nothing is known."""
    if other is None:
        return one
    return int(other) + (one or 0)


def _findings(total: dict[str, Any]) -> list[dict[str, Any]]:
    """What keeps the profit from being that of every card alike (EC-078, EC-067)."""
    named = (
        ("cost_missing", "cards_without_cost"),
        ("other_cost_currency", "cards_of_other_cost_currency"),
        ("replaced", "cards_replaced"),
    )
    return [{"code": code, "cards": total[name]} for code, name in named if total[name]]
