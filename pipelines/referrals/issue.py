"""Give referrers what is due: a code of their own for each purchase of a friend that was kept (S2-128).

A pass is one transaction: whatever dies in it, a reward is given once. Locked are payments, as by whoever
learns of a refund or dispute, then rewards, then the referrers' codes, by which rewards are counted;
what somebody has in hand at this moment is left to the next pass.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.referrals import RewardState
from pipelines.audit.record import record
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern, draw_codes
from pipelines.discounts.create import NewDiscount, create_discount
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.refusals import CodeBusy, CodeExists
from pipelines.referrals.follow import KEPT_MINOR, TOLD, standing_of
from pipelines.referrals.rules import Due, is_earned, part_from, within_limit
from pipelines.webhooks.catalogue import REFERRAL_REWARDED
from pipelines.webhooks.happened import Event, all_happened

Draw = Callable[[int], bytes]
#: Rewards that one pass deals with in a transaction.
ISSUED_AT_ONCE = 100
#: Of texts that were drawn hardly any is taken; twice in a row none is.
ROUNDS_MAX = 5

# What waits for a person is not due, and stands in nobody's way.
_DUE = text("""
SELECT r.id FROM referral_rewards r
WHERE r.state = 'pending' AND r.due_at <= :now AND NOT EXISTS (
    SELECT FROM purchases p JOIN usage_risks k ON k.usage_id = p.usage_id
    WHERE p.id = r.id AND k.flagged_at IS NOT NULL AND k.decision IS NULL)
ORDER BY r.due_at, r.id LIMIT :limit
""")
_PAYMENTS = text("""
SELECT id FROM payments WHERE id = ANY (CAST(:ids AS uuid[]))
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")
_REWARDS = text(f"""
SELECT r.id, r.agency_id, r.client_id, r.program_id, r.code_id, r.reward, r.valid_days,
    g.max_rewards_per_referrer, g.prefix, g.random_length, g.created_by,
    m.state AS payment_state, {KEPT_MINOR} AS kept_minor, m.is_disputed,
    p.refused IS NOT NULL OR p.review IS NOT NULL AS is_refused, u.state AS usage_state,
    u.purchase_id IS NOT DISTINCT FROM p.id AS is_own_usage, k.decision
FROM referral_rewards r JOIN referral_programs g ON g.id = r.program_id
JOIN purchases p ON p.id = r.id JOIN payments m ON m.id = r.id
JOIN discount_usages u ON u.id = p.usage_id LEFT JOIN usage_risks k ON k.usage_id = u.id
WHERE r.id = ANY (CAST(:ids AS uuid[])) AND r.state = 'pending'
  AND (k.flagged_at IS NULL OR k.decision IS NOT NULL)
ORDER BY r.due_at, r.id FOR NO KEY UPDATE OF r
""")
# Whoever gives a referrer something else of the program waits until this is counted.
_REFERRERS = text("""
SELECT code_id, referrer_keys FROM referral_codes WHERE code_id = ANY (CAST(:codes AS uuid[]))
ORDER BY code_id FOR NO KEY UPDATE
""")
_ISSUED = text("""
SELECT code_id, count(*) AS rewards FROM referral_rewards
WHERE code_id = ANY (CAST(:codes AS uuid[])) AND state = 'issued' GROUP BY code_id
""")
_WRITE = text("""
UPDATE referral_rewards r SET state = n.state, reward_code_id = n.code, ended_at = :now
FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:codes AS uuid[]))
  AS n (id, state, code)
WHERE r.id = n.id
""")


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a reward, and the code that was made for it."""

    reward: Row[Any]
    state: RewardState
    code_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """How many rewards one pass gave; `is_full`: there may be more that are due."""

    issued: int
    is_full: bool


def issue_rewards(
    session: Session, now: datetime, *, limit: int = ISSUED_AT_ONCE, draw: Draw = os.urandom
) -> Pass:
    """Give a pass of what is due: to each referrer as many rewards as the program says, the oldest first."""
    due = session.execute(_DUE, {"now": now, "limit": limit}).scalars().all()
    held = session.execute(_PAYMENTS, {"ids": due}).scalars().all()
    rewards = session.execute(_REWARDS, {"ids": held}).all()
    keys = _referrers(session, {reward.code_id for reward in rewards})
    # Whoever learned that a purchase earns nothing has written it down; this only reads it once more.
    earned = [reward for reward in rewards if is_earned(standing_of(reward))]
    chosen = set(_chosen(session, earned))
    ended = [_Ended(one, RewardState.VOID) for one in rewards if not is_earned(standing_of(one))]
    for reward in earned:
        if reward.id in chosen:
            code_id = _make(session, reward, keys[reward.code_id], now, draw)
            ended.append(_Ended(reward, RewardState.ISSUED, code_id))
        else:
            ended.append(_Ended(reward, RewardState.OVER_LIMIT))
    _end(session, ended, now)
    return Pass(len(chosen), len(due) == limit and bool(ended))


def _referrers(session: Session, codes: Collection[UUID]) -> Mapping[UUID, Sequence[bytes]]:
    """What each referrer is known by, by their code, which is locked."""
    found = session.execute(_REFERRERS, {"codes": list(codes)})
    return {row.code_id: row.referrer_keys for row in found}


def _chosen(session: Session, earned: Sequence[Row[Any]]) -> Sequence[UUID]:
    values = {"codes": [reward.code_id for reward in earned]}
    issued = {row.code_id: int(row.rewards) for row in session.execute(_ISSUED, values)}
    due = [Due(one.id, one.code_id, one.max_rewards_per_referrer) for one in earned]
    return within_limit(due, issued)


def _make(
    session: Session, reward: Row[Any], keys: Sequence[bytes], now: datetime, draw: Draw
) -> UUID:
    """A code for one purchase of the referrer's, by the promise of when the friend's first counted."""
    expires_at = now + timedelta(days=reward.valid_days)
    rules = replace(part_from(reward.reward), expires_at=expires_at)
    pattern = Pattern(reward.prefix, reward.random_length, PLAIN_ALPHABET, "")
    referrer = KnownCustomer(tuple(keys), None)
    for drawn in draw_codes(pattern, ROUNDS_MAX, draw=draw):
        new = NewDiscount(reward.client_id, drawn, rules, max_uses=1, assigned_to=referrer)
        try:
            return create_discount(session, new, actor_id=reward.created_by, is_own_act=False)
        except CodeExists:
            continue
    raise CodeBusy


def _end(session: Session, ended: Sequence[_Ended], now: datetime) -> None:
    values = {
        "ids": [one.reward.id for one in ended],
        "states": [one.state.value for one in ended],
        "codes": [one.code_id for one in ended],
        "now": now,
    }
    session.execute(_WRITE, values)
    for one in ended:
        _audit(session, one)
    given = [one for one in ended if one.state is RewardState.ISSUED]
    all_happened(session, [_event(one) for one in given], now=now)


def _event(one: _Ended) -> Event:
    reward = one.reward
    data = {
        "program_id": str(reward.program_id),
        "referral_code_id": str(reward.code_id),
        "reward_code_id": str(one.code_id),
    }
    return Event(REFERRAL_REWARDED, reward.id, reward.agency_id, reward.client_id, data)


def _audit(session: Session, one: _Ended) -> None:
    reward = one.reward
    made = {} if one.code_id is None else {"reward_discount_id": str(one.code_id)}
    record(
        session,
        TOLD[one.state],
        object_kind="referral_reward",
        object_id=reward.id,
        actor_id=None,
        agency_id=reward.agency_id,
        client_id=reward.client_id,
        detail={"discount_id": str(reward.code_id)} | made,
    )
