"""Ask for a person to be erased, and see how far that has come (EC-041)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.oversight import Erasure
from models.tenants import Client
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.queue.defer import defer
from pipelines.queue.kinds import ERASE_PERSON
from pipelines.sealing import Keyring, Purpose

TABLE, COLUMN = "erasures", "sealed_email"
#: Before every job there is.
NO_JOB = UUID(int=0)

_ERASURES: Select[*tuple[Any, ...]] = select(
    Erasure.id,
    Erasure.agency_id,
    Erasure.client_id,
    Erasure.state,
    Erasure.items,
    Erasure.provisions,
    Erasure.redemption_codes,
    Erasure.drafts,
    Erasure.users,
    Erasure.created_at,
    Erasure.finished_at,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to be forgotten: an accepted address, at one client or, of None, everywhere."""

    email: str
    reason: str
    client_id: UUID | None


def ask_erasure(
    session: Session, asked: Asked, *, actor_id: UUID, keyring: Keyring, now: datetime
) -> UUID:
    """Accept a request to erase; a task does it. `NotFound` for a client the scope cannot see.

    It covers what was submitted before it. Who is sent something new comes anew.
    """
    agency_id = _agency_of(session, asked.client_id)
    identity = new_id()
    sealed = keyring.seal(Purpose.PII, asked.email, table=TABLE, row_id=identity, column=COLUMN)
    session.execute(
        insert(Erasure).values(
            id=identity,
            agency_id=agency_id,
            client_id=asked.client_id,
            sealed_email=sealed,
            asked_by=actor_id,
            until_job_id=identity,
            after_job_id=NO_JOB,
        )
    )
    record(
        session,
        "person.erasure_asked",
        object_kind="erasure",
        object_id=identity,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=asked.client_id,
        detail={"reason": asked.reason},
    )
    defer(session, ERASE_PERSON, args={"erasure_id": str(identity)}, now=now)
    return identity


def erasure(session: Session, identity: UUID) -> Row[Any]:
    """One request as its readers see it, or `NotFound`."""
    row = session.execute(_ERASURES.where(Erasure.id == identity)).one_or_none()
    if row is None:
        raise NotFound
    return row


def list_erasures(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """The requests that the scope sees, newest first."""
    query = _ERASURES if before is None else _ERASURES.where(Erasure.id < before)
    return list(session.execute(query.order_by(Erasure.id.desc()).limit(limit)))


def _agency_of(session: Session, client_id: UUID | None) -> UUID | None:
    if client_id is None:
        return None
    found = session.execute(select(Client.agency_id).where(Client.id == client_id)).one_or_none()
    if found is None:
        raise NotFound
    agency_id: UUID = found.agency_id
    return agency_id
