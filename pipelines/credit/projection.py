"""How long the credit of accounts lasts: from what is spent by day, held, waiting and scheduled.

An account that pays for campaigns is projected by itself; one that only allocates (an agency's, the
platform's) with all below it: what is there until new credit is needed from above.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.ledger import Tier
from pipelines.credit.burn_down import (
    WINDOW_DAYS,
    Due,
    Pace,
    cards_left,
    days_left,
    free_on,
    pace_of,
)
from pipelines.credit.follow import IS_USED
from pipelines.credit.hold import PAYS

#: Jobs that wait or are scheduled: of one account so many are listed; all of them count.
JOBS_LISTED_MAX = 100
#: SQL: jobs `j` that may want more than is held for them, or that begin later.
TO_COME = """j.kind = 'provisioning' AND j.state IN ('queued', 'running', 'paused')
  AND (j.funded_to IS NOT NULL OR (j.started_at IS NULL AND j.scheduled_for > :now))"""

# Each account of `accounts` with those whose credit counts as its own.
_REACH = """
WITH RECURSIVE reach AS (
    SELECT a.id AS root, a.id AS member, a.tier FROM accounts a
    WHERE a.id = ANY(:accounts) AND a.kind = 'credit'
    UNION ALL
    SELECT r.root, b.id, r.tier FROM reach r
    JOIN accounts b ON b.parent_id = r.member AND b.kind = 'credit'
    WHERE r.tier IN ('platform', 'agency')
)"""
_STANDS = text(f"""
{_REACH}
SELECT r.root, o.currency, o.tier, o.unlimited, sum(a.balance - a.held) AS free,
    sum(a.held) AS held, bool_or({IS_USED}) AS is_used
FROM reach r JOIN accounts a ON a.id = r.member JOIN accounts o ON o.id = r.root
GROUP BY r.root, o.currency, o.tier, o.unlimited
""")
# Each account is summed once, and then counted to every account above it that is asked for.
_SPENT = text(f"""
{_REACH}, spent AS MATERIALIZED (
    SELECT a.id, sum(i.charge_minor) AS charge, sum(i.cards) AS cards, min(i.day) AS first
    FROM accounts a JOIN campaigns c ON {PAYS} AND c.state <> 'closed'
    JOIN issued i ON i.campaign_id = c.id AND i.currency = a.currency
    WHERE a.id IN (SELECT member FROM reach) AND i.day BETWEEN :first AND :today
    GROUP BY a.id
)
SELECT r.root, CAST(sum(s.charge) AS bigint) AS spent, CAST(sum(s.cards) AS bigint) AS cards,
    min(s.first) AS first
FROM reach r JOIN spent s ON s.id = r.member GROUP BY r.root
""")
# A job that began, or whose time has come, takes its credit as soon as there is some: on day 0.
_DUE = text(f"""
{_REACH}, due AS MATERIALIZED (
    SELECT a.id, j.unfunded_minor AS charge,
        CASE WHEN j.started_at IS NULL AND j.scheduled_for > :now
             THEN CAST(j.scheduled_for AT TIME ZONE 'UTC' AS date) - CAST(:today AS date)
             ELSE 0 END AS day
    FROM accounts a JOIN campaigns c ON {PAYS}
    JOIN jobs j ON j.client_id = c.client_id AND j.campaign_id = c.id AND j.currency = a.currency
    WHERE a.id IN (SELECT member FROM reach) AND {TO_COME} AND j.funded_to IS NOT NULL
)
SELECT r.root, d.day, CAST(sum(d.charge) AS bigint) AS charge
FROM reach r JOIN due d ON d.id = r.member WHERE d.charge > 0
GROUP BY r.root, d.day ORDER BY r.root, d.day
""")
_JOBS = text(f"""
{_REACH}
SELECT j.id, j.scheduled_for, j.started_at,
    coalesce((SELECT h.amount - h.captured - h.voided FROM holds h
              WHERE h.job_id = j.id AND h.round = j.round AND h.state = 'open'), 0) AS held,
    j.unfunded_minor AS waiting
FROM reach r JOIN accounts a ON a.id = r.member
JOIN campaigns c ON {PAYS}
JOIN jobs j ON j.client_id = c.client_id AND j.campaign_id = c.id AND j.currency = a.currency
WHERE {TO_COME}
ORDER BY j.scheduled_for NULLS FIRST, j.id LIMIT {JOBS_LISTED_MAX}
""")
# A price may differ from the face value; jobs of earlier releases know the face value alone.
_LATEST = text(f"""
SELECT coalesce(CAST(j.spec->>'cheapest_minor' AS bigint),
                CAST(j.spec->>'denomination_minor' AS bigint)) AS charge
FROM accounts a JOIN campaigns c ON {PAYS}
JOIN jobs j ON j.campaign_id = c.id AND j.currency = a.currency AND j.kind = 'provisioning'
WHERE a.id = :account ORDER BY j.id DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Coming:
    """A job that waits for credit, or begins later; amounts in minor units."""

    job_id: UUID
    #: None: as soon as credit comes in.
    starts_at: datetime | None
    held_minor: int
    waiting_minor: int


@dataclass(frozen=True, slots=True)
class Projection:
    """How long one account lasts; amounts in minor units, days in UTC."""

    account_id: UUID
    currency: str
    unlimited: bool
    #: Whether anything ever moved in it, or in those that count as its own.
    is_used: bool
    #: Whether the accounts below count as its own.
    covers_below: bool
    at: datetime
    free_minor: int
    held_minor: int
    pace: Pace
    cards_left: int | None
    #: What jobs want that nothing is held for, by day.
    due: tuple[Due, ...]
    #: The first of these jobs, and of those that are scheduled; only of an account asked for alone.
    coming: tuple[Coming, ...] = ()

    @property
    def waiting_minor(self) -> int:
        return sum(one.charge_minor for one in self.due)

    @property
    def days_left(self) -> int | None:
        """Whole days until nothing is free, 0: today; None: not at this pace, unlimited, or never used."""
        if self.unlimited or not self.is_used:
            return None
        return days_left(self.free_minor, self.pace, self.due)

    @property
    def runs_out_on(self) -> date | None:
        left = self.days_left
        return None if left is None else self.at.date() + timedelta(days=left)

    def course(self, days: int) -> list[tuple[date, int]]:
        """What is free at the end of today and of each of the next `days`."""
        today = self.at.date()
        return [
            (today + timedelta(days=day), free_on(self.free_minor, self.pace, self.due, day=day))
            for day in range(days + 1)
        ]


def projection(session: Session, account_id: UUID, *, now: datetime) -> Projection | None:
    """One account's; None where this scope has no such credit account."""
    found = projections(session, [account_id], now=now).get(account_id)
    if found is None:
        return None
    jobs = session.execute(_JOBS, {"accounts": [account_id], "now": now})
    found = replace(found, coming=tuple(_coming(row, now) for row in jobs))
    if found.cards_left is not None:
        return found
    latest = session.execute(_LATEST, {"account": account_id}).scalar_one_or_none()
    left = cards_left(found.free_minor, cards=0, charged_minor=0, latest_minor=latest)
    return replace(found, cards_left=left)


def projections(
    session: Session, accounts: Sequence[UUID], *, now: datetime
) -> dict[UUID, Projection]:
    """How long each of these credit accounts lasts, in three statements however many there are."""
    today = now.date()
    values = {
        "accounts": list(accounts),
        "now": now,
        "today": today,
        "first": today - timedelta(days=WINDOW_DAYS - 1),
    }
    spent = {row.root: row for row in session.execute(_SPENT, values)}
    due: dict[UUID, list[Due]] = {}
    for row in session.execute(_DUE, values):
        due.setdefault(row.root, []).append(Due(row.day, row.charge))
    return {
        row.root: _projected(row, spent.get(row.root), due.get(row.root, ()), now)
        for row in session.execute(_STANDS, values)
    }


def _projected(
    stands: Row[Any], spent: Row[Any] | None, due: Sequence[Due], now: datetime
) -> Projection:
    free = int(stands.free)
    charged, cards, first = (spent.spent, spent.cards, spent.first) if spent else (0, 0, None)
    return Projection(
        account_id=stands.root,
        currency=stands.currency,
        unlimited=stands.unlimited,
        is_used=stands.is_used,
        covers_below=stands.tier in (Tier.PLATFORM, Tier.AGENCY),
        at=now,
        free_minor=free,
        held_minor=int(stands.held),
        pace=pace_of(charged, first=first, today=now.date()),
        cards_left=cards_left(free, cards=cards, charged_minor=charged),
        due=tuple(due),
    )


def _coming(row: Row[Any], now: datetime) -> Coming:
    is_later = row.started_at is None and row.scheduled_for is not None and row.scheduled_for > now
    return Coming(row.id, row.scheduled_for if is_later else None, int(row.held), row.waiting)
