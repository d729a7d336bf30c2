"""The demo's credit: it enters at the platform and is allocated down to the client."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.ledger import Tier, Transfer
from models.scope import PLATFORM
from ops.demo import ids
from pipelines.credit.accounts import PLATFORM_ID, Owner, open_accounts
from pipelines.credit.allocate import allocate, top_up_platform

#: In minor units; the demo's job holds 2,492,500 of the client's.
PLATFORM_MINOR = 100_000_000
AGENCY_MINOR = 50_000_000
CLIENT_MINOR = 10_000_000
CURRENCIES = ("USD", "EUR")


def seed_credit(sessions: Sessions) -> None:
    """Open the accounts that are missing and make each movement that has not been made."""
    for currency in CURRENCIES:
        with scoped_transaction(sessions, PLATFORM) as session:
            _fund(session, currency)


def _fund(session: Session, currency: str) -> None:
    platform = open_accounts(
        session, Owner(Tier.PLATFORM, PLATFORM_ID), currency=currency, parent_id=None
    )
    agency = open_accounts(
        session, Owner(Tier.AGENCY, ids.AGENCY, ids.AGENCY), currency=currency, parent_id=platform
    )
    client = open_accounts(
        session,
        Owner(Tier.CLIENT, ids.CLIENT, ids.AGENCY, ids.CLIENT),
        currency=currency,
        parent_id=agency,
    )
    reference = f"demo:top-up:{currency}"
    if not _was_made(session, reference):
        top_up_platform(
            session,
            currency=currency,
            amount=PLATFORM_MINOR,
            client_ref=reference,
            actor_id=ids.ADMIN,
        )
    _allocate_once(session, "agency", currency, platform, agency, AGENCY_MINOR)
    _allocate_once(session, "client", currency, agency, client, CLIENT_MINOR)


def _allocate_once(
    session: Session, tier: str, currency: str, parent: UUID, child: UUID, amount: int
) -> None:
    reference = f"demo:{tier}:{currency}"
    if not _was_made(session, reference):
        allocate(
            session,
            parent_id=parent,
            child_id=child,
            amount=amount,
            notes="Opening credit of the demo",
            client_ref=reference,
            actor_id=ids.ADMIN,
        )


def _was_made(session: Session, reference: str) -> bool:
    found = session.execute(select(Transfer.id).where(Transfer.client_ref == reference))
    return found.scalar_one_or_none() is not None
