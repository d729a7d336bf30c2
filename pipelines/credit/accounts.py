"""Open a tenant's accounts: one credit account per currency and its spent twin."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import Account, AccountKind, Tier
from pipelines.credit.rules import Side
from pipelines.errors import NotFound

#: The platform itself, as the owner of its accounts.
PLATFORM_ID = UUID(int=1)


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant as the owner of accounts."""

    tier: Tier
    owner_id: UUID
    agency_id: UUID | None = None
    client_id: UUID | None = None


def open_accounts(session: Session, owner: Owner, *, currency: str, parent_id: UUID | None) -> UUID:
    """Make sure the owner has a credit account and its spent twin; returns the credit's id."""
    kinds = [AccountKind.CREDIT, AccountKind.SPENT]
    if owner.tier is Tier.PLATFORM:
        kinds.append(AccountKind.OUTSIDE)
    session.execute(
        insert(Account)
        .values(
            [
                {
                    "id": new_id(),
                    "kind": kind.value,
                    "tier": owner.tier.value,
                    "owner_id": owner.owner_id,
                    "agency_id": owner.agency_id,
                    "client_id": owner.client_id,
                    "parent_id": parent_id if kind is AccountKind.CREDIT else None,
                    "currency": currency,
                    "unlimited": kind is AccountKind.OUTSIDE,
                }
                for kind in kinds
            ]
        )
        .on_conflict_do_nothing()
    )
    return account_id(session, owner.owner_id, currency=currency)


def account_id(
    session: Session, owner_id: UUID, *, currency: str, kind: AccountKind = AccountKind.CREDIT
) -> UUID:
    """The id of a tenant's account, or `NotFound`."""
    found = session.execute(
        select(Account.id).where(
            Account.owner_id == owner_id, Account.kind == kind, Account.currency == currency
        )
    ).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def side(session: Session, identity: UUID) -> Side:
    """What the rules need of one account; `NotFound` if this scope cannot see it."""
    row = session.execute(
        select(Account.id, Account.kind, Account.parent_id, Account.currency).where(
            Account.id == identity
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return Side(row.id, AccountKind(row.kind), row.parent_id, row.currency)


def owner_of(session: Session, identity: UUID) -> Owner:
    """Whose an account is; `NotFound` if this scope cannot see it."""
    row = session.execute(
        select(Account.tier, Account.owner_id, Account.agency_id, Account.client_id).where(
            Account.id == identity
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return Owner(Tier(row.tier), row.owner_id, row.agency_id, row.client_id)
