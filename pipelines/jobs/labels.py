"""The names that pages show beside a job's ids, and what of it can be tried again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

_CAMPAIGNS = text("SELECT id, name FROM campaigns WHERE id = ANY(:ids)")
_BRANDS = text("SELECT id, name FROM brands WHERE id = ANY(:ids)")
_RETRYABLE = text("""
SELECT count(*) FROM items WHERE job_id = :job
  AND (state = 'failed' AND charge_minor > 0
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

    def campaign(self, row: Row[Any]) -> str:
        return self.campaigns.get(row.campaign_id, "")

    def brand(self, row: Row[Any]) -> str:
        return self.brands.get(_uuid(row.spec.get("brand_id")), "")


def labels_of(session: Session, rows: Iterable[Row[Any]]) -> JobLabels:
    """The names of these jobs' campaigns and brands, as far as this scope sees them."""
    listed = list(rows)
    campaigns = {row.campaign_id for row in listed if row.campaign_id is not None}
    brands = {_uuid(row.spec["brand_id"]) for row in listed if row.spec.get("brand_id")}
    return JobLabels(
        campaigns={r.id: r.name for r in session.execute(_CAMPAIGNS, {"ids": list(campaigns)})},
        brands={r.id: r.name for r in session.execute(_BRANDS, {"ids": list(brands)})},
    )


def count_retryable(session: Session, job_id: UUID) -> int:
    """Items that another round would take up: those refused at intake need a new row."""
    return int(session.execute(_RETRYABLE, {"job": job_id}).scalar_one())


def job_tallies(session: Session, *, lately: datetime) -> Row[Any]:
    """How many jobs are open, by state, and ended with failures since `lately`, in this scope."""
    return session.execute(_TALLIES, {"lately": lately}).one()


def _uuid(value: Any) -> UUID:
    return UUID(str(value)) if value else UUID(int=0)
