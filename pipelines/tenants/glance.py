"""Tenants at a glance: each with its credit and what it issued in a period, for dashboards."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.credit.burn_down import cards_left
from pipelines.credit.follow import IS_USED
from pipelines.tenants.campaign_views import SHOWN_STATE

#: A dashboard shows this many; the lists behind it have all.
SHOWN_MAX = 20

# `issued` is read once for the whole period, not once per tenant. Whoever issued most stands first.
_AGENCIES = text(f"""
WITH usage AS (
    SELECT agency_id, currency, sum(cards) AS cards, CAST(sum(charge_minor) AS bigint) AS charged
    FROM issued WHERE day BETWEEN :first AND :last GROUP BY agency_id, currency
), clients_of AS (
    SELECT agency_id, count(*) AS clients FROM clients GROUP BY agency_id
)
SELECT g.id, g.name, a.id AS account_id, a.currency, a.balance - a.held AS available, a.held,
    coalesce(u.cards, 0) AS cards, coalesce(u.charged, 0) AS charged,
    coalesce(c.clients, 0) AS part_count, false AS suspended,
    g.name AS agency, {IS_USED} AS is_used
FROM agencies g
JOIN accounts a ON a.owner_id = g.id AND a.kind = 'credit'
LEFT JOIN usage u ON u.agency_id = g.id AND u.currency = a.currency
LEFT JOIN clients_of c ON c.agency_id = g.id
ORDER BY charged DESC, g.name, a.currency LIMIT :limit
""")
_CLIENTS = text(f"""
WITH usage AS (
    SELECT client_id, currency, sum(cards) AS cards, CAST(sum(charge_minor) AS bigint) AS charged
    FROM issued WHERE day BETWEEN :first AND :last GROUP BY client_id, currency
), campaigns_of AS (
    SELECT client_id, count(*) AS campaigns FROM campaigns WHERE state <> 'closed'
    GROUP BY client_id
)
SELECT l.id, l.name, a.id AS account_id, a.currency, a.balance - a.held AS available, a.held,
    coalesce(u.cards, 0) AS cards, coalesce(u.charged, 0) AS charged,
    coalesce(c.campaigns, 0) AS part_count, l.suspended_at IS NOT NULL AS suspended,
    g.name AS agency, {IS_USED} AS is_used
FROM clients l
JOIN agencies g ON g.id = l.agency_id
JOIN accounts a ON a.owner_id = l.id AND a.kind = 'credit'
LEFT JOIN usage u ON u.client_id = l.id AND u.currency = a.currency
LEFT JOIN campaigns_of c ON c.client_id = l.id
ORDER BY charged DESC, l.name, a.currency LIMIT :limit
""")
# A campaign draws on its own accounts when its budget is isolated, else on its client's.
_CAMPAIGNS = text(f"""
WITH usage AS (
    SELECT campaign_id, currency, sum(cards) AS cards, CAST(sum(charge_minor) AS bigint) AS charged
    FROM issued WHERE day BETWEEN :first AND :last GROUP BY campaign_id, currency
)
SELECT c.id, c.name, {SHOWN_STATE} AS state, c.pause_reason, c.budget_mode, a.id AS account_id, a.currency,
    a.balance - a.held AS available, a.held,
    coalesce(u.cards, 0) AS cards, coalesce(u.charged, 0) AS charged
FROM campaigns c
JOIN accounts a ON a.kind = 'credit'
    AND a.owner_id = CASE c.budget_mode WHEN 'isolated' THEN c.id ELSE c.client_id END
LEFT JOIN usage u ON u.campaign_id = c.id AND u.currency = a.currency
WHERE c.state <> 'closed'
ORDER BY charged DESC, c.name, a.currency LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class TenantGlance:
    """An agency or a client in one currency; amounts in minor units, cards and charges of a period.

    `part_count`: the clients of an agency, the campaigns of a client.
    """

    id: UUID
    name: str
    account_id: UUID
    currency: str
    available: int
    held: int
    cards: int
    charged: int
    part_count: int
    is_suspended: bool
    #: The client's; an agency's own.
    agency: str
    #: Whether anything ever moved in the account.
    is_used: bool


@dataclass(frozen=True, slots=True)
class CampaignGlance:
    """A campaign with the account it draws on; amounts in minor units."""

    id: UUID
    name: str
    state: str
    pause_reason: str | None
    budget_mode: str
    account_id: UUID
    currency: str
    available: int
    held: int
    cards: int
    charged: int

    @property
    def cards_left(self) -> int | None:
        """How many more cards the account pays at this period's average charge, rounded down.

        None where nothing was charged: there is no average to say.
        """
        return cards_left(self.available, cards=self.cards, charged_minor=self.charged)


def agencies_at_a_glance(
    session: Session, *, first: date, last: date, limit: int = SHOWN_MAX
) -> list[TenantGlance]:
    """The agencies of this scope and what they issued from `first` to `last` (UTC, inclusive)."""
    rows = session.execute(_AGENCIES, {"first": first, "last": last, "limit": limit})
    return [TenantGlance(*row) for row in rows]


def clients_at_a_glance(
    session: Session, *, first: date, last: date, limit: int = SHOWN_MAX
) -> list[TenantGlance]:
    """The clients of this scope and what they issued from `first` to `last` (UTC, inclusive)."""
    rows = session.execute(_CLIENTS, {"first": first, "last": last, "limit": limit})
    return [TenantGlance(*row) for row in rows]


def campaigns_at_a_glance(
    session: Session, *, first: date, last: date, limit: int = SHOWN_MAX
) -> list[CampaignGlance]:
    """The campaigns of this scope that are not closed, and what they issued (UTC, inclusive)."""
    rows = session.execute(_CAMPAIGNS, {"first": first, "last": last, "limit": limit})
    return [CampaignGlance(*row) for row in rows]
