"""Give a campaign its own budget, or let it share its client's again."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.tenants import BudgetMode, Campaign
from pipelines.access.principals import Principal
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.alone import may_move_alone, take_turns
from pipelines.credit.refusals import AccountRestricted
from pipelines.limits import Limits
from pipelines.tenants.accounts import open_for_campaign
from pipelines.tenants.campaigns import audit_campaign, campaign
from pipelines.tenants.refusals import CurrencyRequired, HoldsOutstanding, SecondPersonNeeded
from pipelines.tenants.versions import change

# What an ended job still holds waits for a person's review, and is settled where it was held.
_OUTSTANDING = text("""
SELECT EXISTS (
    SELECT FROM accounts a JOIN holds h ON h.account_id = a.id AND h.state = 'open'
    JOIN jobs j ON j.id = h.job_id
    WHERE a.owner_id IN (:campaign, :client) AND j.campaign_id = :campaign
) OR EXISTS (
    SELECT FROM jobs j WHERE j.client_id = :client AND j.campaign_id = :campaign
      AND j.state = 'paused' AND j.pause_reason = 'no_credit')
""")
_PAIRS = text("""
SELECT own.id AS own_id, own.parent_id AS parent_id, own.balance, own.held, own.currency,
    own.restricted_at
FROM accounts own
WHERE own.owner_id = :campaign AND own.kind = 'credit'
  AND (CAST(:currency AS text) IS NULL OR own.currency = :currency)
ORDER BY own.id
""")
# By id, as whoever moves credit locks them: nobody holds credit or claws it back until this is over.
_LOCK_PAIRS = text("""
SELECT FROM accounts WHERE id IN (
    SELECT unnest(ARRAY[own.id, own.parent_id]) FROM accounts own
    WHERE own.owner_id = :campaign AND own.kind = 'credit')
ORDER BY id FOR NO KEY UPDATE
""")


def isolate_budget(
    session: Session,
    campaign_id: UUID,
    *,
    amount: int,
    currency: str | None,
    client_ref: str,
    caller: Principal,
    limits: Limits,
) -> None:
    """Let the campaign pay from its own account, filled with `amount` from its client's.

    Raises `HoldsOutstanding`, `CurrencyRequired`, `InsufficientCredit`, `NotFound`,
    `StepUpRequired`, `SecondPersonNeeded`; nothing is changed then.
    """
    actor_id = caller.actor_id
    take_turns(session, caller)
    row = campaign(session, campaign_id)
    open_for_campaign(session, campaign_id)
    if row.budget_mode != BudgetMode.ISOLATED:
        _refuse_outstanding(session, row)
        values = {"budget_mode": BudgetMode.ISOLATED.value}
        change(session, Campaign, campaign_id, values, version=row.version)
    if amount:
        pair = _one_pair(session, campaign_id, currency)
        _alone(session, caller, pair, amount, limits)
        allocate(
            session,
            parent_id=pair.parent_id,
            child_id=pair.own_id,
            amount=amount,
            notes="campaign budget",
            client_ref=client_ref,
            actor_id=actor_id,
        )
    audit_campaign(session, "campaign.isolated", row, actor_id, {"amount_minor": amount})


def share_budget(
    session: Session, campaign_id: UUID, *, client_ref: str, caller: Principal, limits: Limits
) -> None:
    """Let the campaign draw on its client's account again; what is left of its own goes back.

    Raises `HoldsOutstanding` while its jobs hold credit or wait for it, `AccountRestricted` while
    it owes (a debt is not left behind, EC-077), `StepUpRequired`, `SecondPersonNeeded`.
    """
    actor_id = caller.actor_id
    take_turns(session, caller)
    row = campaign(session, campaign_id)
    if row.budget_mode == BudgetMode.SHARED:
        return
    _refuse_outstanding(session, row)
    session.execute(_LOCK_PAIRS, {"campaign": campaign_id})
    pairs = session.execute(_PAIRS, {"campaign": campaign_id, "currency": None}).all()
    if any(pair.held for pair in pairs):
        raise HoldsOutstanding
    if any(pair.restricted_at is not None for pair in pairs):
        raise AccountRestricted
    values = {"budget_mode": BudgetMode.SHARED.value}
    change(session, Campaign, campaign_id, values, version=row.version)
    for pair in pairs:
        if pair.balance:
            _alone(session, caller, pair, pair.balance, limits)
            recall(
                session,
                parent_id=pair.parent_id,
                child_id=pair.own_id,
                amount=pair.balance,
                notes="campaign budget returned",
                client_ref=f"{client_ref}:{pair.currency}",
                actor_id=actor_id,
            )
    audit_campaign(session, "campaign.shared", row, actor_id)


def _refuse_outstanding(session: Session, row: Row[Any]) -> None:
    values = {"campaign": row.id, "client": row.client_id}
    if session.execute(_OUTSTANDING, values).scalar_one():
        raise HoldsOutstanding


def _alone(
    session: Session, caller: Principal, pair: Row[Any], amount: int, limits: Limits
) -> None:
    if not may_move_alone(session, caller, account_id=pair.parent_id, amount=amount, limits=limits):
        raise SecondPersonNeeded


def _one_pair(session: Session, campaign_id: UUID, currency: str | None) -> Row[Any]:
    pairs = session.execute(_PAIRS, {"campaign": campaign_id, "currency": currency}).all()
    if len(pairs) != 1:
        raise CurrencyRequired
    return pairs[0]
