"""How many codes a campaign handed out and how they stand: in all, and by brand and value."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

#: No more codes of one brand and value are looked at where a page or an answer only tells of them.
COUNTED_MAX = 100_000

# From one brand and value to the next by the index, however many codes there are of each.
_BY_VALUE = text("""
WITH RECURSIVE kinds AS (
    (SELECT brand_id, denomination_minor FROM loaded_codes WHERE campaign_id = :campaign
     ORDER BY brand_id, denomination_minor LIMIT 1)
    UNION ALL
    SELECT n.brand_id, n.denomination_minor FROM kinds k CROSS JOIN LATERAL (
        SELECT brand_id, denomination_minor FROM loaded_codes
        WHERE campaign_id = :campaign
          AND (brand_id, denomination_minor) > (k.brand_id, k.denomination_minor)
        ORDER BY brand_id, denomination_minor LIMIT 1) n)
SELECT k.brand_id, b.name AS brand, b.currency, k.denomination_minor, n.*
FROM kinds k JOIN brands b ON b.id = k.brand_id CROSS JOIN LATERAL (
    SELECT count(*) AS loaded, count(r.job_id) AS redeemed, count(l.withdrawn_at) AS withdrawn
    FROM (SELECT campaign_id, blind_index, withdrawn_at FROM loaded_codes
          WHERE campaign_id = :campaign AND brand_id = k.brand_id
            AND denomination_minor = k.denomination_minor LIMIT :most) l
    LEFT JOIN redemption_codes r
      ON r.campaign_id = l.campaign_id AND r.blind_index = l.blind_index) n
ORDER BY b.name, b.currency, k.denomination_minor, k.brand_id
""")


@dataclass(frozen=True, slots=True)
class CodeCounts:
    """Codes of a campaign; a redeemed one brought a card or is about to, and is never withdrawn.

    `at_least`: there are more than were looked at, and each number may be greater.
    """

    loaded: int
    redeemed: int
    withdrawn: int
    at_least: bool = False

    @property
    def open(self) -> int:
        """Those that bring a card to whoever types them."""
        return self.loaded - self.redeemed - self.withdrawn


@dataclass(frozen=True, slots=True)
class CodesOfValue:
    """The codes of one brand and value, in minor units of the brand's currency."""

    brand_id: UUID
    brand: str
    currency: str
    denomination_minor: int
    counts: CodeCounts


def count_codes(session: Session, campaign_id: UUID) -> CodeCounts:
    """How many codes a campaign handed out, and how many brought a card or are about to.

    Of each brand and value at most `COUNTED_MAX` are looked at.
    """
    found = [one.counts for one in codes_by_value(session, campaign_id)]
    return CodeCounts(
        sum(counts.loaded for counts in found),
        sum(counts.redeemed for counts in found),
        sum(counts.withdrawn for counts in found),
        any(counts.at_least for counts in found),
    )


def codes_by_value(
    session: Session, campaign_id: UUID, *, at_most: int | None = COUNTED_MAX
) -> list[CodesOfValue]:
    """The same by brand and value: what one file loads, and what is withdrawn together.

    `at_most` None: every code, for who is about to change them all.
    """
    return [
        CodesOfValue(
            row.brand_id,
            row.brand,
            row.currency,
            row.denomination_minor,
            CodeCounts(row.loaded, row.redeemed, row.withdrawn, row.loaded == at_most),
        )
        for row in session.execute(_BY_VALUE, {"campaign": campaign_id, "most": at_most})
    ]
