"""What a change of a campaign's budget would move, told before it is made: reads only."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from models.tenants import BudgetMode
from pipelines.access.principals import Principal
from pipelines.approvals.foresee import SideForeseen, both_sides
from pipelines.credit import read
from pipelines.credit.alone import may_move_alone
from pipelines.credit.refusals import AccountFrozen, AccountRestricted, InsufficientCredit
from pipelines.errors import NotFound
from pipelines.limits import Limits
from pipelines.tenants.campaigns import campaign
from pipelines.tenants.refusals import SecondPersonNeeded


@dataclass(frozen=True, slots=True)
class BudgetMove:
    """One currency's credit between a client and its campaign."""

    currency: str
    source: SideForeseen
    target: SideForeseen


def foresee_isolation(
    session: Session,
    campaign_id: UUID,
    *,
    amount: int,
    currency: str,
    caller: Principal,
    limits: Limits,
) -> BudgetMove:
    """What `isolate_budget` would move; it raises what that would raise of the credit.

    The campaign's own account may not be there yet: it is opened with its first budget.
    """
    row = campaign(session, campaign_id)
    client = _in(currency, read.accounts_of(session, row.client_id))
    own = _in(currency, read.accounts_of(session, campaign_id))
    if client is None:
        raise NotFound
    if amount:
        _refuse(session, client, amount, caller, limits)
    if own is not None:
        return BudgetMove(currency, *both_sides(session, client, own, amount))
    return BudgetMove(
        currency,
        SideForeseen(client.name, "client", client.balance, client.balance - amount, client.held),
        SideForeseen(row.name, "campaign", 0, amount, 0),
    )


def foresee_sharing(session: Session, campaign_id: UUID) -> list[BudgetMove]:
    """What `share_budget` would give back to the client, in each currency that has something left."""
    row = campaign(session, campaign_id)
    if row.budget_mode != BudgetMode.ISOLATED:
        return []
    clients = read.accounts_of(session, row.client_id)
    moves = []
    for own in read.accounts_of(session, campaign_id):
        client = _in(own.currency, clients)
        if own.balance and client is not None:
            sides = both_sides(session, own, client, int(own.balance))
            moves.append(BudgetMove(own.currency, *sides))
    return moves


def _refuse(
    session: Session,
    client: Row[Any],
    amount: int,
    caller: Principal,
    limits: Limits,
) -> None:
    if not may_move_alone(session, caller, account_id=client.id, amount=amount, limits=limits):
        raise SecondPersonNeeded
    if client.frozen_at is not None:
        raise AccountFrozen
    if client.restricted_at is not None:
        raise AccountRestricted
    if not client.unlimited and amount > client.balance - client.held:
        raise InsufficientCredit.to_move(
            amount, balance=client.balance, held=client.held, is_back=False
        )


def _in(currency: str, accounts: list[Row[Any]]) -> Row[Any] | None:
    return next((one for one in accounts if one.currency == currency), None)
