"""Programs by which customers bring friends: their codes, and what the referrers get for it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, of_same_tenant, states
from models.discounts import CodeState


class RewardState(StrEnum):
    """What became of the reward for a friend's purchase."""

    #: The friend has paid; it is due when the purchase was kept long enough.
    PENDING = "pending"
    #: The referrer has a code for it.
    ISSUED = "issued"
    #: The purchase was not kept, or a person refused it.
    VOID = "void"
    #: The referrer has as many rewards as the program gives one person.
    OVER_LIMIT = "over_limit"


class ReferralProgram(Base):
    """What a friend and a referrer get; `friend` and `reward` are rules of discount codes to be made.

    A program stands as codes do: active, paused or archived.
    """

    __tablename__ = "referral_programs"
    __table_args__ = (
        of_agency(),
        states("state", CodeState),
        CheckConstraint("random_length BETWEEN 8 AND 24", name="random_length"),
        CheckConstraint("hold_days BETWEEN 0 AND 90", name="hold_days"),
        CheckConstraint("reward_valid_days BETWEEN 1 AND 3650", name="reward_valid_days"),
        CheckConstraint("max_uses_per_code > 0", name="max_uses_per_code"),
        CheckConstraint("max_rewards_per_referrer > 0", name="max_rewards_per_referrer"),
        Index("uq_referral_programs_tenant", "id", "agency_id", "client_id", unique=True),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    friend: Mapped[dict[str, Any]] = mapped_column(JSONB)
    reward: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Codes of the program are `{prefix}-{random}`.
    prefix: Mapped[str]
    random_length: Mapped[int]
    #: How many friends one code is for; None: any number.
    max_uses_per_code: Mapped[int | None]
    max_rewards_per_referrer: Mapped[int | None]
    #: How long a friend's purchase must be kept, and for how long a reward is good.
    hold_days: Mapped[int] = mapped_column(server_default=text("14"))
    reward_valid_days: Mapped[int]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class ReferralCode(Base):
    """The discount code that one customer gives to friends: what makes it a code of theirs."""

    __tablename__ = "referral_codes"
    __table_args__ = (
        of_same_tenant("discount_codes", "code_id"),
        of_same_tenant("referral_programs", "program_id"),
        CheckConstraint("cardinality(referrer_keys) > 0", name="referrer_keys"),
        Index(None, "program_id", "code_id"),
        Index(None, "referrer_keys", postgresql_using="gin"),
    )

    code_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    program_id: Mapped[UUID]
    #: What the referrer is known by, as customers of discount codes are; nobody reads them back.
    referrer_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class ReferralReward(Base):
    """What a referrer gets for one purchase of a friend, by the id of that purchase.

    Rules and validity are those of the program when the purchase first counted; a trigger holds the moves.
    """

    __tablename__ = "referral_rewards"
    __table_args__ = (
        of_same_tenant("payments", "id"),
        of_same_tenant("referral_programs", "program_id"),
        of_same_tenant("discount_codes", "code_id"),
        of_same_tenant("discount_codes", "reward_code_id"),
        states("state", RewardState),
        CheckConstraint("(state = 'issued') = (reward_code_id IS NOT NULL)", name="issued"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
        Index("uq_referral_rewards_reward_code_id", "reward_code_id", unique=True),
        Index(None, "program_id", "id"),
        Index(None, "code_id", "id"),
        Index(
            "ix_referral_rewards_due", "due_at", "id", postgresql_where=text("state = 'pending'")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    program_id: Mapped[UUID]
    #: The referrer's code, which the friend used.
    code_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    reward: Mapped[dict[str, Any]] = mapped_column(JSONB)
    valid_days: Mapped[int]
    due_at: Mapped[Utc]
    #: The referrer's own code for a purchase of theirs.
    reward_code_id: Mapped[UUID | None]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
