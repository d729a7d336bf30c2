"""A referrer's reward follows the purchase that earns it: pending while it is kept, void if it is not."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import UsageState
from models.payments import PaymentState
from models.referrals import RewardState
from models.risks import Decision
from pipelines.audit.record import record
from pipelines.referrals.rules import Standing, is_earned

#: SQL: what is kept of a payment `m`, for good as far as is known here: Stripe may be away for hours.
KEPT_MINOR = """
coalesce(m.paid_minor, 0) - m.refunded_minor - (SELECT coalesce(sum(b.amount_minor), 0)
    FROM refunds b WHERE b.payment_id = m.id AND b.state = 'asked')
"""
_PURCHASE = text(f"""
SELECT p.id, p.agency_id, p.client_id, f.code_id, f.program_id, g.reward, g.reward_valid_days,
    g.hold_days, m.state AS payment_state, {KEPT_MINOR} AS kept_minor, m.paid_at,
    m.is_disputed, p.refused IS NOT NULL OR p.review IS NOT NULL AS is_refused,
    u.state AS usage_state, u.purchase_id IS NOT DISTINCT FROM p.id AS is_own_usage, k.decision
FROM purchases p JOIN payments m ON m.id = p.id JOIN discount_usages u ON u.id = p.usage_id
JOIN LATERAL (
    SELECT f.code_id, f.program_id FROM discount_usages s JOIN referral_codes f USING (code_id)
    WHERE s.id = u.id OR s.stacked_on = u.id ORDER BY s.id LIMIT 1) f ON true
JOIN referral_programs g ON g.id = f.program_id
LEFT JOIN usage_risks k ON k.usage_id = u.id
WHERE p.id = :purchase
""")
# A purchase that is kept again gets back what it had, by the promise of when it first counted.
_EARN = text("""
INSERT INTO referral_rewards AS r (id, agency_id, client_id, program_id, code_id, reward, valid_days,
                                   due_at, created_at)
VALUES (:id, :agency, :client, :program, :code, CAST(:reward AS jsonb), :valid_days, :due_at, :now)
ON CONFLICT (id) DO UPDATE SET state = 'pending', ended_at = NULL WHERE r.state = 'void'
RETURNING r.id
""")
_VOID = text("""
UPDATE referral_rewards SET state = 'void', ended_at = :now
WHERE id = :id AND state = 'pending' RETURNING id
""")
#: What the audit log calls it that a reward has come to a state.
TOLD = {
    RewardState.PENDING: "referral_reward.pending",
    RewardState.VOID: "referral_reward.void",
    RewardState.ISSUED: "referral_reward.issued",
    RewardState.OVER_LIMIT: "referral_reward.over_limit",
}


def follow_reward(session: Session, purchase_id: UUID, *, now: datetime) -> None:
    """Write down, take away or give back what a purchase earns; its payment is locked.

    A purchase with no referral code earns nothing. What was given already stays given.
    """
    purchase = session.execute(_PURCHASE, {"purchase": purchase_id}).one_or_none()
    if purchase is None:
        return
    if is_earned(standing_of(purchase)):
        values = {
            "id": purchase.id,
            "agency": purchase.agency_id,
            "client": purchase.client_id,
            "program": purchase.program_id,
            "code": purchase.code_id,
            "reward": json.dumps(purchase.reward),
            "valid_days": purchase.reward_valid_days,
            "due_at": purchase.paid_at + timedelta(days=purchase.hold_days),
            "now": now,
        }
        if session.execute(_EARN, values).one_or_none() is not None:
            _tell(session, purchase, RewardState.PENDING)
    elif session.execute(_VOID, {"id": purchase.id, "now": now}).one_or_none() is not None:
        _tell(session, purchase, RewardState.VOID)


def standing_of(row: Row[Any]) -> Standing:
    """How a purchase stands, by a row that names it so."""
    return Standing(
        payment=PaymentState(row.payment_state),
        kept_minor=int(row.kept_minor),
        is_disputed=row.is_disputed,
        is_refused=row.is_refused,
        usage=UsageState(row.usage_state),
        is_own_usage=row.is_own_usage,
        decision=None if row.decision is None else Decision(row.decision),
    )


def _tell(session: Session, purchase: Row[Any], state: RewardState) -> None:
    record(
        session,
        TOLD[state],
        object_kind="referral_reward",
        object_id=purchase.id,
        actor_id=None,
        agency_id=purchase.agency_id,
        client_id=purchase.client_id,
        detail={"discount_id": str(purchase.code_id)},
    )
