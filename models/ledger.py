"""Money: accounts, holds, and the immutable two-sided ledger, in integer minor units."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    Currency,
    Id,
    MinorUnits,
    Utc,
    of_agency,
    of_same_agency,
    of_same_tenant,
    states,
)


class AccountKind(StrEnum):
    OUTSIDE = "outside"  # where money enters and leaves the tree; unlimited
    CREDIT = "credit"
    SPENT = "spent"  # what a credit account has paid for


class Tier(StrEnum):
    PLATFORM = "platform"
    AGENCY = "agency"
    CLIENT = "client"
    CAMPAIGN = "campaign"


class TransferKind(StrEnum):
    TOP_UP = "top_up"
    ALLOCATION = "allocation"
    RECALL = "recall"
    CAPTURE = "capture"
    REFUND = "refund"
    #: The charge of a card that did not work, given back for the card in its place.
    REPLACEMENT = "replacement"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    #: Paid back, or disputed, outside: moved back to where it had come from.
    CLAW_BACK = "claw_back"
    #: What an account had when Largesse began with it, from a balance sheet.
    OPENING = "opening"


class HoldState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Account(Base):
    __tablename__ = "accounts"
    __table_args__ = (
        of_agency(),
        states("kind", AccountKind, "kind"),
        states("tier", Tier, "tier"),
        UniqueConstraint("owner_id", "kind", "currency"),
        Index("uq_accounts_tenant", "id", "agency_id", "client_id", unique=True),
        Index("uq_accounts_agency", "id", "agency_id", unique=True),
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("unlimited OR balance - held >= 0", name="available"),
        Index(None, "agency_id"),
        Index(None, "client_id"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    tier: Mapped[str]
    #: The tenant's id; for the platform its own fixed id.
    owner_id: Mapped[UUID]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    currency: Mapped[Currency]
    balance: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    held: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    unlimited: Mapped[bool] = mapped_column(server_default=text("false"))
    #: The balance when credit last came in: one hundred percent of what shortage is told by.
    full_minor: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    #: How short of it somebody was told that the account is; `SHORTAGE` in pipelines/credit/follow.py.
    told_level: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: Its numbers were not what its postings and holds add up to; two people decide.
    frozen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: It owes for a top-up that was taken back outside: nothing new is paid from it.
    restricted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Hold(Base):
    """Credit set aside for one round of a job; open amount = amount - captured - voided."""

    __tablename__ = "holds"
    __table_args__ = (
        of_same_tenant("accounts", "account_id"),
        of_same_agency("accounts", "account_id"),
        states("state", HoldState),
        UniqueConstraint("job_id", "round"),
        CheckConstraint(
            "amount > 0 AND captured >= 0 AND voided >= 0 AND captured + voided <= amount",
            name="parts",
        ),
        CheckConstraint(
            "(state = 'closed') = (captured + voided = amount)", name="closed_is_spent"
        ),
        Index(None, "account_id", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    job_id: Mapped[UUID]
    round: Mapped[int]
    currency: Mapped[Currency]
    amount: Mapped[MinorUnits]
    captured: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    voided: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Transfer(Base):
    """One movement of an amount between two accounts; never changed, corrected by reversal."""

    __tablename__ = "transfers"
    __table_args__ = (
        states("kind", TransferKind, "kind"),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "job_id", postgresql_where=text("job_id IS NOT NULL")),
        Index(
            "ix_transfers_moved",
            "actor_id",
            "created_at",
            postgresql_where=text("kind IN ('allocation', 'recall')"),
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    kind: Mapped[str]
    #: The caller's own name for the movement: the same name never moves money twice.
    client_ref: Mapped[str] = mapped_column(unique=True)
    amount: Mapped[MinorUnits]
    currency: Mapped[Currency]
    job_id: Mapped[UUID | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), unique=True)
    notes: Mapped[str] = mapped_column(server_default=text("''"))
    actor_id: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Posting(Base):
    """One signed side of a transfer in one account, with the balance after it."""

    __tablename__ = "postings"
    __table_args__ = (
        of_same_tenant("accounts", "account_id"),
        of_same_agency("accounts", "account_id"),
        CheckConstraint("amount <> 0", name="amount"),
        Index(None, "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfers.id"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    amount: Mapped[MinorUnits]
    currency: Mapped[Currency]
    balance_after: Mapped[MinorUnits]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
