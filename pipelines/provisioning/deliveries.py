"""Have the links of issued cards sent, in the transaction that issues them; stop what still waits."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.deliveries import Channel
from pipelines.queue.defer import defer_many
from pipelines.queue.kinds import DELIVER
from pipelines.sealing import Keyring, Purpose, Secret

TABLE, COLUMN = "deliveries", "sealed_address"
#: A link that could not be sent for so long is given up; the card stays issued.
GOOD_FOR = timedelta(days=7)

#: What `address_of` needs of a delivery `d` and its item `i`; the address may be that of another
#: delivery, `a`, which `ADDRESS_FROM` joins.
ADDRESS = """i.email, i.phone, d.address_key IS NOT NULL AS is_corrected,
    a.id AS address_id, a.sealed_address"""
ADDRESS_FROM = "LEFT JOIN deliveries a ON a.id = coalesce(d.address_of_id, d.id)"

# What replaces a card goes to whom the card was redirected; erased meanwhile, it goes to nobody.
_OPEN = text("""
INSERT INTO deliveries (id, agency_id, client_id, job_id, position, channel, address_of_id,
    address_key, good_until)
SELECT d.id, :agency, :client, :job, d.position, :channel, old.address_of_id, old.address_key,
    :good_until
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[])) AS d (id, position)
LEFT JOIN (
    SELECT coalesce(o.address_of_id, o.id) AS address_of_id, o.address_key
    FROM provisions p JOIN deliveries o ON o.job_id = p.job_id AND o.position = p.position
    WHERE p.id = CAST(:replaces AS uuid) AND p.client_id = :client AND o.address_key IS NOT NULL
) AS old ON true
""")
_STOP = text("""
UPDATE deliveries SET state = 'cancelled', code = :code, ended_at = :now
WHERE job_id = :job AND position = ANY(:positions) AND position BETWEEN :first AND :last
  AND state = 'waiting'
""")


def open_deliveries(
    session: Session,
    *,
    tenant: tuple[UUID, UUID],
    job_id: UUID,
    positions: Sequence[int],
    channel: Channel,
    now: datetime,
    replaces: UUID | None = None,
) -> None:
    """One delivery for each card just given, and the task that sends it: two statements.

    `tenant` is agency and client; `replaces` the provision that the one card takes the place of.
    The tasks are no work of the job: it ends without them.
    """
    ids = [new_id() for _ in positions]
    values: dict[str, object] = {
        "agency": tenant[0],
        "client": tenant[1],
        "job": job_id,
        "channel": channel.value,
        "good_until": now + GOOD_FOR,
        "ids": ids,
        "positions": list(positions),
        "replaces": replaces,
    }
    session.execute(_OPEN, values)
    args: list[Mapping[str, str | int]] = [
        {"delivery_id": str(identity), "sending": 1} for identity in ids
    ]
    defer_many(session, DELIVER, args, now=now, tenant_id=tenant[1], job_id=None, flow=job_id)


def stop_deliveries(
    session: Session, job_id: UUID, among_positions: dict[str, object], *, code: str, now: datetime
) -> None:
    """What was not sent yet never is: the cards at these positions were taken back or replaced.

    `among_positions` is what `among` gives of one chunk's positions.
    """
    session.execute(_STOP, among_positions | {"job": job_id, "code": code, "now": now})


def address_of(row: Row[Any], keyring: Keyring) -> Secret | None:
    """Where the link goes: the corrected address, else the item's; None if it was erased.

    The row has what `ADDRESS` selects, and `channel`.
    """
    if row.is_corrected:
        if row.sealed_address is None:
            return None
        return keyring.open_sealed(
            Purpose.PII,
            bytes(row.sealed_address),
            table=TABLE,
            row_id=row.address_id,
            column=COLUMN,
        )
    given = row.email if row.channel == Channel.EMAIL else row.phone
    return Secret(given) if given else None
