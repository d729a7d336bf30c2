"""Read the recipients of a job from its items, page by page, as an intake takes them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

#: Rows in memory at a time.
PAGE_ROWS = 5_000


class Only(StrEnum):
    """Which recipients of the original a clone is for."""

    ALL = "all"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class CloneSource:
    """Whose recipients, and whether each row keeps its own amount and its own brand."""

    job_id: UUID
    only: Only
    keeps_amounts: bool
    keeps_brands: bool

    @property
    def digest(self) -> bytes:
        """Names the recipients in a plan, as the digest of a file does."""
        return hashlib.sha256(f"{self.job_id}:{self.only}".encode()).digest()

    def as_spec(self) -> dict[str, Any]:
        return {
            "job_id": str(self.job_id),
            "only": self.only.value,
            "keeps_amounts": self.keeps_amounts,
            "keeps_brands": self.keeps_brands,
        }

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "CloneSource":
        return cls(
            UUID(spec["job_id"]), Only(spec["only"]), spec["keeps_amounts"], spec["keeps_brands"]
        )


@dataclass(frozen=True, slots=True)
class CopiedRow:
    """One item as a row of input; `refusal` is the verdict its own text got at intake.

    Of a refused row only a part of the text is kept: it is refused again with the same words.
    """

    position: int
    cells: dict[str, str | int | None]
    refusal: tuple[str, str, str | None] | None


# Rows that intake refused are neither `failed` here nor retried: they need a corrected file.
_PAGE = text("""
SELECT i.position, i.code, i.detail, i.field, i.reference, i.email, i.name, i.phone, i.brand_id,
       i.denomination_minor, i.state = 'failed' AND i.charge_minor = 0 AS is_refused
FROM items i
WHERE i.job_id = :job AND i.position > :after AND CASE :only
    WHEN 'all' THEN true
    WHEN 'failed' THEN i.state = 'failed' AND i.charge_minor > 0
    WHEN 'cancelled' THEN i.state = 'cancelled'
    ELSE EXISTS (SELECT FROM provisions p WHERE p.job_id = i.job_id
                 AND p.position = i.position AND p.undone_at IS NOT NULL) END
ORDER BY i.position LIMIT :limit
""")


def copied_rows(session: Session, source: CloneSource) -> Iterator[CopiedRow]:
    """The original's rows in their order, at their positions."""
    after = 0
    while page := _page(session, source, after):
        for row in page:
            yield _copied(row, source)
        after = page[-1].position


def _page(session: Session, source: CloneSource, after: int) -> list[Row[Any]]:
    values = {
        "job": source.job_id,
        "only": source.only.value,
        "after": after,
        "limit": PAGE_ROWS,
    }
    return list(session.execute(_PAGE, values))


def _copied(row: Row[Any], source: CloneSource) -> CopiedRow:
    cells: dict[str, str | int | None] = {
        "reference": row.reference,
        "email": row.email,
        "name": row.name,
        "phone": row.phone,
        "denomination_minor": row.denomination_minor if source.keeps_amounts else None,
        "brand": str(row.brand_id) if source.keeps_brands and row.brand_id else None,
    }
    refusal = (row.code, row.detail, row.field) if row.is_refused else None
    return CopiedRow(row.position, cells, refusal)
