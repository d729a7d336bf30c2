"""Flagged uses of codes as whoever decides on them sees them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.read import codes_json, codes_of
from pipelines.errors import NotFound
from pipelines.fraud.score import words

_FLAGGED = f"""
SELECT r.usage_id AS id, r.agency_id, r.client_id, r.code_id, c.code, r.score, r.reasons,
    r.flagged_at, r.decision, r.decided_by, r.decided_at, r.decision_reason, u.state,
    u.cart_reference, u.currency, CAST(u.quote->>'discount_minor' AS bigint) AS discount_minor,
    u.total_minor, u.user_id, u.expires_at,
    u.created_at, coalesce(p.id, u.purchase_id) AS purchase_id, p.review,
    m.state AS payment_state, coalesce(m.paid_minor - m.refunded_minor, 0) AS left_minor,
    {codes_of("u.id")} AS codes
FROM usage_risks r JOIN discount_usages u ON u.id = r.usage_id
JOIN discount_codes c ON c.id = r.code_id
LEFT JOIN LATERAL (SELECT p.id, p.review FROM purchases p
                   WHERE p.usage_id = r.usage_id AND p.review IS NOT NULL LIMIT 1) p ON true
LEFT JOIN payments m ON m.id = coalesce(p.id, u.purchase_id)
WHERE r.flagged_at IS NOT NULL
"""
SCORE_DIGITS_MAX = 3
#: What is over without a payment, or with all of it paid back, asks nobody for a decision.
WAITS = "r.decision IS NULL AND (u.state NOT IN ('released', 'refunded') OR p.review IS NOT NULL)"
_ONE = text(_FLAGGED + "AND r.usage_id = :usage")
#: Of the client and the code that are asked for, if any.
OF_LIST = """
  AND (CAST(:client AS uuid) IS NULL OR r.client_id = :client)
  AND (CAST(:code AS uuid) IS NULL OR r.usage_id IN (
    SELECT coalesce(stacked_on, id) FROM discount_usages WHERE code_id = :code))
"""
_DECIDED = text(
    _FLAGGED
    + OF_LIST
    + """
  AND r.decision IS NOT NULL AND (CAST(:before AS uuid) IS NULL OR r.usage_id < :before)
ORDER BY r.usage_id DESC LIMIT :limit
"""
)
_WAITING = text(
    _FLAGGED
    + OF_LIST
    + f"""
  AND {WAITS}
  AND (CAST(:before AS uuid) IS NULL OR (r.score, r.usage_id) < (:score, :before))
ORDER BY r.score DESC, r.usage_id DESC LIMIT :limit
"""
)


@dataclass(frozen=True, slots=True)
class WantedFlagged:
    """Which flagged uses: those that wait for a person, or those that somebody decided on."""

    is_decided: bool = False
    client_id: UUID | None = None
    code_id: UUID | None = None


def read_flagged(session: Session, usage_id: UUID) -> Row[Any]:
    """One flagged use; `NotFound` if this scope cannot see it, or it is not flagged."""
    row = session.execute(_ONE, {"usage": usage_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


@dataclass(frozen=True, slots=True)
class FlaggedPlace:
    """Where a page of flagged uses ended; a use that is decided, or gone, is a place all the same."""

    score: int
    usage_id: UUID

    def __str__(self) -> str:
        return f"{self.score}.{self.usage_id}"

    @classmethod
    def of(cls, row: Row[Any]) -> "FlaggedPlace":
        return cls(row.score, row.id)

    @classmethod
    def named(cls, words: str) -> "FlaggedPlace":
        """As it was written; raises `ValueError`."""
        score, _point, usage_id = words.partition(".")
        if not (score.isascii() and score.isdigit() and len(score) <= SCORE_DIGITS_MAX):
            raise ValueError(words)
        return cls(int(score), UUID(usage_id))


def list_flagged(
    session: Session, wanted: WantedFlagged, *, before: FlaggedPlace | None, limit: int
) -> list[Row[Any]]:
    """Flagged uses this scope can see: those that wait by score, the highest first, others newest first.

    `before` is where the page before ended. A score that grows meanwhile comes nearer to the front.
    """
    values = {
        "before": None if before is None else before.usage_id,
        "score": 0 if before is None else before.score,
        "client": wanted.client_id,
        "code": wanted.code_id,
        "limit": limit,
    }
    return list(session.execute(_DECIDED if wanted.is_decided else _WAITING, values))


def flagged_json(row: Row[Any]) -> dict[str, Any]:
    """A flagged use with its reasons in words; amounts in minor units."""
    return {
        "id": row.id,
        "client_id": row.client_id,
        "discount_id": row.code_id,
        "code": row.code,
        "codes": codes_json(row.codes),
        "state": row.state.upper(),
        "score": row.score,
        "reasons": [one | {"words": words(one)} for one in row.reasons],
        "purchase_id": row.purchase_id,
        "review": row.review,
        "cart_id": row.cart_reference,
        "user_id": row.user_id,
        "currency": row.currency,
        "discount_minor": row.discount_minor,
        "total_minor": row.total_minor,
        "flagged_at": row.flagged_at,
        "decision": row.decision,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at,
        "decision_reason": row.decision_reason,
        "created_at": row.created_at,
    }
