"""The names that pages show beside a job's ids, and what of it can be tried again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

_CAMPAIGNS = text("SELECT id, name FROM campaigns WHERE id = ANY(:ids)")
_BRANDS = text("SELECT id, name FROM brands WHERE id = ANY(:ids)")
_BOOKS = text("SELECT id, name FROM books WHERE id = ANY(:ids)")
_POOLS = text("SELECT id, name FROM user_pools WHERE id = ANY(:ids)")
_RETRYABLE = text("""
SELECT count(*) FROM items WHERE job_id = :job
  AND (state = 'failed' AND (charge_minor > 0 OR :retries_all)
       OR state = 'needs_review' AND code = 'margin_below_floor')
""")
_TALLIES = text("""
SELECT count(*) FILTER (WHERE state = 'running') AS running,
    count(*) FILTER (WHERE state = 'queued') AS queued,
    count(*) FILTER (WHERE state = 'paused') AS paused,
    count(*) FILTER (WHERE state = 'cancelling') AS cancelling,
    count(*) FILTER (WHERE state IN ('failed', 'partially_succeeded')) AS with_failures
FROM jobs WHERE state IN ('queued', 'running', 'paused', 'cancelling')
    OR (state IN ('failed', 'partially_succeeded') AND finished_at > :lately)
""")


@dataclass(frozen=True, slots=True)
class JobLabels:
    """Names by id."""

    campaigns: dict[UUID, str]
    brands: dict[UUID, str]
    books: dict[UUID, str]
    #: Of people.
    pools: dict[UUID, str]

    def campaign(self, row: Row[Any]) -> str:
        return self.campaigns.get(row.campaign_id, "")

    def brand(self, row: Row[Any]) -> str:
        return self.brands.get(_uuid(row.spec.get("brand_id")), "")

    def book(self, row: Row[Any]) -> str:
        return self.books.get(_uuid(row.spec.get("book_id")), "")

    def pool(self, row: Row[Any]) -> str:
        return self.pools.get(_uuid(row.spec.get("pool_id")), "")


def labels_of(session: Session, rows: Iterable[Row[Any]]) -> JobLabels:
    """The names of what these jobs are of, as far as this scope sees it."""
    listed = list(rows)
    campaigns = {row.campaign_id for row in listed if row.campaign_id is not None}
    return JobLabels(
        campaigns=_names(session, _CAMPAIGNS, campaigns),
        brands=_names(session, _BRANDS, _named(listed, "brand_id")),
        books=_names(session, _BOOKS, _named(listed, "book_id")),
        pools=_names(session, _POOLS, _named(listed, "pool_id")),
    )


def count_retryable(session: Session, job_id: UUID, *, retries_all: bool) -> int:
    """Items that another round would take up; without `retries_all` only those that were charged.

    What was refused at intake needs a new row.
    """
    values = {"job": job_id, "retries_all": retries_all}
    return int(session.execute(_RETRYABLE, values).scalar_one())


def job_tallies(session: Session, *, lately: datetime) -> Row[Any]:
    """How many jobs are open, by state, and ended with failures since `lately`, in this scope."""
    return session.execute(_TALLIES, {"lately": lately}).one()


def _named(rows: Iterable[Row[Any]], member: str) -> set[UUID]:
    return {_uuid(row.spec[member]) for row in rows if row.spec.get(member)}


def _names(session: Session, statement: TextClause, ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    return {row.id: row.name for row in session.execute(statement, {"ids": list(ids)})}


def _uuid(value: Any) -> UUID:
    return UUID(str(value)) if value else UUID(int=0)
