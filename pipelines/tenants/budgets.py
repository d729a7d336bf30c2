"""Give a campaign its own budget, or let it share its client's again."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.tenants import BudgetMode, Campaign
from pipelines.access.principals import Principal
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.alone import may_move_alone, take_turns
from pipelines.limits import Limits
from pipelines.tenants.accounts import open_for_campaign
from pipelines.tenants.campaigns import audit_campaign, campaign
from pipelines.tenants.refusals import BudgetInUse, CurrencyRequired, SecondPersonNeeded
from pipelines.tenants.versions import change

_PAIRS = text("""
SELECT own.id AS own_id, own.parent_id AS parent_id, own.balance, own.held, own.currency
FROM accounts own
WHERE own.owner_id = :campaign AND own.kind = 'credit'
  AND (CAST(:currency AS text) IS NULL OR own.currency = :currency)
ORDER BY own.id
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

    Raises `CurrencyRequired`, `InsufficientCredit`, `NotFound`, `StepUpRequired`,
    `SecondPersonNeeded`; nothing is changed then.
    """
    actor_id = caller.actor_id
    take_turns(session, caller)
    row = campaign(session, campaign_id)
    open_for_campaign(session, campaign_id)
    if row.budget_mode != BudgetMode.ISOLATED:
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

    Raises `BudgetInUse` while jobs hold some of it, `StepUpRequired`, `SecondPersonNeeded`.
    """
    actor_id = caller.actor_id
    take_turns(session, caller)
    row = campaign(session, campaign_id)
    if row.budget_mode == BudgetMode.SHARED:
        return
    values = {"budget_mode": BudgetMode.SHARED.value}
    change(session, Campaign, campaign_id, values, version=row.version)
    for pair in session.execute(_PAIRS, {"campaign": campaign_id, "currency": None}).all():
        if pair.held:
            raise BudgetInUse
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
