"""Campaigns as their pages show them: what pays, what was issued, what holds the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from pipelines.credit.follow import IS_USED, SHORTAGE
from pipelines.credit.hold import PAYS
from pipelines.errors import NotFound

BRANDS_SHOWN = 50
JOBS_SHOWN = 20

#: What pages call the state: an active campaign whose window is over gives nothing more.
SHOWN_STATE = f"""
CASE WHEN c.state = 'active' AND c.ends_at <= {clock.SQL} THEN 'over' ELSE c.state END
"""
_LIST = text(f"""
SELECT c.id, c.name, c.state, c.pause_reason, c.budget_mode, c.time_zone, c.version, c.created_at,
    c.client_id, l.name AS client, g.name AS agency, {SHOWN_STATE} AS shown_state,
    CASE WHEN c.state <> 'closed' AND c.ends_at <= {clock.SQL} THEN c.ends_at END AS over_since
FROM campaigns c JOIN clients l ON l.id = c.client_id
LEFT JOIN agencies g ON g.id = c.agency_id
WHERE (CAST(:campaign AS uuid) IS NULL OR c.id = :campaign)
  AND (CAST(:state AS text) IS NULL OR {SHOWN_STATE} = :state)
  AND (CAST(:words AS text) IS NULL OR position(lower(:words) IN lower(c.name)) > 0)
  AND (CAST(:before AS uuid) IS NULL OR c.id < :before)
ORDER BY c.id DESC LIMIT :limit
""")
_PAYERS = text(f"""
SELECT c.id AS campaign_id, a.id, a.tier, a.parent_id, a.currency, a.balance, a.held, a.unlimited,
    a.frozen_at, a.restricted_at, {SHORTAGE} AS shortage, {IS_USED} AS is_used
FROM campaigns c JOIN accounts a ON {PAYS}
WHERE c.id = ANY(:campaigns) ORDER BY c.id, a.currency
""")
_ISSUED = text("""
SELECT campaign_id, currency, source, CAST(sum(cards) AS bigint) AS cards,
    CAST(sum(charge_minor) AS bigint) AS charge_minor
FROM issued WHERE campaign_id = ANY(:campaigns)
GROUP BY campaign_id, currency, source ORDER BY campaign_id, currency, source
""")
_BRANDS = text("""
SELECT b.name, b.currency FROM client_brands r JOIN brands b ON b.id = r.brand_id
WHERE r.client_id = :client ORDER BY b.name, b.currency LIMIT :limit
""")
#: As `budgets` refuses a change of mode: what holds the budget, and what waits for some of it.
_HOLDING = text("""
SELECT job_id, CAST(sum(held) AS bigint) AS held, min(currency) AS currency, bool_or(waits) AS waits
FROM (
    SELECT h.job_id, h.amount - h.captured - h.voided AS held, h.currency, false AS waits
    FROM accounts a JOIN holds h ON h.account_id = a.id AND h.state = 'open'
    JOIN jobs j ON j.id = h.job_id
    WHERE a.owner_id IN (:campaign, :client) AND j.campaign_id = :campaign
    UNION ALL
    SELECT j.id, 0, j.currency, true FROM jobs j
    WHERE j.client_id = :client AND j.campaign_id = :campaign
      AND j.state = 'paused' AND j.pause_reason = 'no_credit') o
GROUP BY job_id ORDER BY job_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class CampaignSeen:
    """A campaign with whose it is."""

    id: UUID
    name: str
    state: str
    pause_reason: str | None
    budget_mode: str
    time_zone: str
    version: int
    created_at: datetime
    client_id: UUID
    client: str
    #: None to a client, which does not see its agency's row.
    agency: str | None
    #: `over`, or as `state`.
    shown_state: str
    #: The end of a window that is past, unless the campaign is closed.
    over_since: datetime | None


@dataclass(frozen=True, slots=True)
class PayingAccount:
    """An account a campaign draws on; amounts in minor units.

    `shortage`: 0 none, 1 to 3 as `credit.follow.SHORTAGE` counts it.
    """

    campaign_id: UUID
    id: UUID
    tier: str
    parent_id: UUID | None
    currency: str
    balance: int
    held: int
    unlimited: bool
    frozen_at: datetime | None
    restricted_at: datetime | None
    shortage: int
    #: Whether anything ever moved in it.
    is_used: bool

    @property
    def available(self) -> int:
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class IssuedFrom:
    """What a campaign issued from one source since it began, less what was undone."""

    campaign_id: UUID
    currency: str
    source: str
    cards: int
    charge_minor: int


def campaigns_seen(
    session: Session,
    *,
    state: str | None = None,
    words: str | None = None,
    before: UUID | None,
    limit: int,
) -> list[CampaignSeen]:
    """Campaigns of this scope, newest first: `state` as shown; `words` stand anywhere in the name."""
    values = {
        "campaign": None,
        "state": state,
        "words": words or None,
        "before": before,
        "limit": limit,
    }
    return [CampaignSeen(*row) for row in session.execute(_LIST, values)]


def campaign_seen(session: Session, campaign_id: UUID) -> CampaignSeen:
    """One campaign, or `NotFound`."""
    values = {"campaign": campaign_id, "state": None, "words": None, "before": None, "limit": 1}
    found = session.execute(_LIST, values).one_or_none()
    if found is None:
        raise NotFound
    return CampaignSeen(*found)


def paying_accounts(session: Session, campaigns: Sequence[UUID]) -> dict[UUID, list[PayingAccount]]:
    """What each campaign draws on now, one account for each currency."""
    payers: dict[UUID, list[PayingAccount]] = {one: [] for one in campaigns}
    for row in session.execute(_PAYERS, {"campaigns": list(campaigns)}):
        payers[row.campaign_id].append(PayingAccount(*row))
    return payers


def issued_from(session: Session, campaigns: Sequence[UUID]) -> dict[UUID, list[IssuedFrom]]:
    """What each campaign issued, by currency and source."""
    issued: dict[UUID, list[IssuedFrom]] = {one: [] for one in campaigns}
    for row in session.execute(_ISSUED, {"campaigns": list(campaigns)}):
        issued[row.campaign_id].append(IssuedFrom(*row))
    return issued


def brands_allowed(session: Session, client_id: UUID) -> list[Row[Any]]:
    """The brands a client is restricted to, name and currency; none: it may draw on every brand."""
    values = {"client": client_id, "limit": BRANDS_SHOWN}
    return list(session.execute(_BRANDS, values))


def jobs_holding(session: Session, campaign: CampaignSeen) -> list[Row[Any]]:
    """Jobs that hold credit of the campaign's budget or wait for some: `job_id, held, currency, waits`."""
    values = {"campaign": campaign.id, "client": campaign.client_id, "limit": JOBS_SHOWN}
    return list(session.execute(_HOLDING, values))
