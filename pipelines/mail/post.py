"""Write a mail down in the transaction of its cause: it is sent if and only if that commits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from models.base import new_id
from models.mails import OutgoingMail
from pipelines.mail.templates import Template
from pipelines.queue.defer import defer
from pipelines.queue.kinds import SEND_MAIL
from pipelines.sealing import Keyring, Purpose, Secret

TABLE, COLUMN = "outgoing_mails", "sealed_letter"
#: What is not sent within a day comes too late to be news.
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, and to whom: a user, an address, or a user at an address of another's.

    With neither it is sent to nobody, after the same work: who asks learns nothing from the time.
    """

    template: Template
    user_id: UUID | None = None
    address: str | None = field(default=None, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def post(
    session: Session,
    letter: Letter,
    *,
    keyring: Keyring,
    now: datetime,
    good_for: timedelta = DAY,
) -> UUID:
    """Write the mail down, its address and values sealed, and have it sent."""
    identity = new_id()
    content = json.dumps({"address": letter.address, "values": dict(letter.values)})
    sealed = keyring.seal(Purpose.SECRETS, content, table=TABLE, row_id=identity, column=COLUMN)
    return _write(session, identity, letter, sealed, now=now, good_until=now + good_for)


def post_plain(session: Session, letter: Letter, *, now: datetime) -> UUID:
    """As `post`, for a letter to a user in which there is nothing to seal."""
    if letter.address or letter.values:
        raise ValueError("what has an address or values is sealed")
    return _write(session, new_id(), letter, None, now=now, good_until=now + DAY)


def opened(
    keyring: Keyring, identity: UUID, sealed: bytes | None
) -> tuple[str | None, dict[str, Secret]]:
    """Address and values of a mail that waits."""
    if sealed is None:
        return None, {}
    secret = keyring.open_sealed(
        Purpose.SECRETS, sealed, table=TABLE, row_id=identity, column=COLUMN
    )
    content = json.loads(secret.reveal())
    return content["address"], {name: Secret(value) for name, value in content["values"].items()}


def _write(
    session: Session,
    identity: UUID,
    letter: Letter,
    sealed: bytes | None,
    *,
    now: datetime,
    good_until: datetime,
) -> UUID:
    session.execute(
        insert(OutgoingMail).values(
            id=identity,
            template=letter.template.value,
            user_id=letter.user_id,
            sealed_letter=sealed,
            good_until=good_until,
        )
    )
    defer(session, SEND_MAIL, args={"mail_id": str(identity)}, now=now)
    return identity
