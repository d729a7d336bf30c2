"""The ground of every table: naming, ids, times, money columns and the classes of table."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import uuid_utils
import uuid_utils.compat
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> UUID:
    """A time-ordered UUIDv7, made in Python because sealed columns bind their row's id."""
    return uuid_utils.compat.uuid7()


def first_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that moment: where a time bounds a range of ids."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def new_ids(count: int) -> list[str]:
    """As many of them as text, in their order: a fifth of the work, for COPY."""
    return [str(uuid_utils.uuid7()) for _ in range(count)]


Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
Utc = Annotated[datetime, mapped_column(DateTime(timezone=True))]
MinorUnits = Annotated[int, mapped_column(BigInteger)]
#: ISO 4217, upper case.
Currency = Annotated[str, mapped_column(Text)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]


class Base(DeclarativeBase):
    """Declarative base; text columns are TEXT, enums are TEXT with a CHECK."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {str: Text(), dict[str, Any]: JSONB()}


class TableClass(StrEnum):
    """Who may see a table's rows (docs/tenancy.md)."""

    TENANT = "tenant"  # agency_id + client_id, one equality policy per scope role
    SHARED = "shared"  # inventory and identity: no tenant policy, reached by named paths
    PLUMBING = "plumbing"  # tasks, runs, rates: no personal data, no policy


def states(column: str, values: type[StrEnum], name: str = "state") -> CheckConstraint:
    """A CHECK that a text column holds one of an enum's values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def of_same_tenant(
    parent: str, column: str, *, ondelete: str | None = None
) -> ForeignKeyConstraint:
    """A foreign key that names the tenant: `column`'s row belongs to this row's client and agency.

    Foreign keys ignore row policies, so the id alone would let a row hang under a stranger's.
    It says nothing of rows without a client: see `whole_tenant` and `of_same_agency`.
    """
    tenant = ("agency_id", "client_id")
    return ForeignKeyConstraint(
        [column, *tenant], [f"{parent}.{name}" for name in ("id", *tenant)], ondelete=ondelete
    )


def of_same_agency(parent: str, column: str) -> ForeignKeyConstraint:
    """Beside `of_same_tenant`, where an agency has rows without a client."""
    return ForeignKeyConstraint([column, "agency_id"], [f"{parent}.id", f"{parent}.agency_id"])


def whole_tenant() -> CheckConstraint:
    """A row is a client's or the platform's: an agency has none without a client, so that no row
    of its scope is left out by `of_same_tenant`.
    """
    return CheckConstraint("(agency_id IS NULL) = (client_id IS NULL)", name="whole_tenant")


def in_campaign() -> ForeignKeyConstraint:
    """The row's campaign is one of its client's, and that of its agency."""
    tenant = ("agency_id", "client_id")
    return ForeignKeyConstraint(
        [*tenant, "campaign_id"], [f"campaigns.{name}" for name in (*tenant, "id")]
    )


def of_agency() -> ForeignKeyConstraint:
    """The row's client, if it has one, is one of its agency's."""
    return ForeignKeyConstraint(["agency_id", "client_id"], ["clients.agency_id", "clients.id"])
