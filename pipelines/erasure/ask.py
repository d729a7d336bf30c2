"""Ask for a person to be erased, and see how far that has come (EC-041)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.oversight import Erasure
from models.people import User
from models.tenants import Client
from models.user_pools import ClientUser
from pipelines.access.users import UserNotFound
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


#: A client's person, as it knows them.
_KNOWN = select(ClientUser.user_id, ClientUser.email)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to be forgotten, at one client or, of None, everywhere.

    By one of three: an accepted address, our id, or the id of the client that is named.
    """

    email: str | None
    reason: str
    client_id: UUID | None
    user_id: UUID | None = None
    external_id: str | None = None


def ask_erasure(
    session: Session, asked: Asked, *, actor_id: UUID, keyring: Keyring, now: datetime
) -> UUID:
    """Accept a request to erase; a task does it. `NotFound` for a client the scope cannot see.

    It covers what was submitted before it. Who is sent something new comes anew. An address may be
    anybody's; by an id only whom the client knows is found: `UserNotFound`.
    """
    agency_id = _agency_of(session, asked.client_id)
    user_id, email = _whom(session, asked)
    identity, sealed = new_id(), None
    if email is not None:
        sealed = keyring.seal(Purpose.PII, email, table=TABLE, row_id=identity, column=COLUMN)
    session.execute(
        insert(Erasure).values(
            id=identity,
            agency_id=agency_id,
            client_id=asked.client_id,
            sealed_email=sealed,
            user_id=user_id,
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


def _whom(session: Session, asked: Asked) -> tuple[UUID | None, str | None]:
    """The person's id if they were named by one, and their address if they have one."""
    if asked.email is not None:
        return None, asked.email
    if asked.external_id is not None:
        query = _KNOWN.where(ClientUser.external_id == asked.external_id)
    elif asked.client_id is not None:
        query = _KNOWN.where(ClientUser.user_id == asked.user_id)
    else:
        query = select(User.id, User.email).where(User.id == asked.user_id)
    if asked.client_id is not None:
        query = query.where(ClientUser.client_id == asked.client_id)
    found = session.execute(query).one_or_none()
    if found is None:
        raise UserNotFound
    user_id, email = found
    return user_id, email


def _agency_of(session: Session, client_id: UUID | None) -> UUID | None:
    if client_id is None:
        return None
    found = session.execute(select(Client.agency_id).where(Client.id == client_id)).one_or_none()
    if found is None:
        raise NotFound
    agency_id: UUID = found.agency_id
    return agency_id
