"""The writes that end items: provisions for those served, verdicts for those refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import Source
from models.deliveries import Channel
from models.jobs import Priority
from pipelines.credit.hold import capture_and_void
from pipelines.jobs.chunks import among
from pipelines.jobs.verdicts import Verdict, end_positions
from pipelines.provisioning.deliveries import open_deliveries

#: The delivery methods by which something is sent.
DELIVERED_BY = {"email": Channel.EMAIL, "sms": Channel.SMS}


@dataclass(frozen=True, slots=True)
class JobInHand:
    """What a chunk or an order needs to know of its job."""

    id: UUID
    agency_id: UUID
    client_id: UUID
    campaign_id: UUID
    currency: str
    delivery_method: str
    #: Bulk jobs that do not allow repeats; a single request is asked for as often as it is sent.
    once_per_person: bool = False
    priority: int = Priority.NORMAL
    scheduled_for: datetime | None = None
    is_single: bool = False
    #: 1 until somebody has it tried again.
    round: int = 1
    #: The job's hold covers the items up to this position; None: all of them.
    funded_to: int | None = None
    #: The provision whose card did not work; the job gives one card in its place.
    replaces: UUID | None = None

    def covers(self, position: int) -> bool:
        return self.funded_to is None or position <= self.funded_to


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An item to serve; money in minor units."""

    position: int
    brand_id: UUID
    denomination_minor: int
    charge_minor: int
    person_key: bytes | None
    round: int


@dataclass(frozen=True, slots=True)
class CardInHand:
    """A card claimed for an item; its code stays sealed."""

    card_id: UUID
    source: Source
    cost_minor: int | None
    cost_currency: str | None
    last4: str


_JOB = text("""
SELECT id, agency_id, client_id, campaign_id, currency, state, spec->>'delivery_method' AS
    delivery_method, spec->'allow_repeat' = 'false' AS once_per_person, is_single, round,
    priority, scheduled_for, funded_to, CAST(spec->>'replaces' AS uuid) AS replaces
FROM jobs WHERE id = :job
""")
_PROVISIONS = text("""
INSERT INTO provisions (id, agency_id, client_id, campaign_id, job_id, position, card_id, brand_id,
    source, currency, face_value_minor, charge_minor, cost_minor, cost_currency, transfer_id,
    person_key, last4, delivery_method)
SELECT p.id, :agency, :client, :campaign, :job, p.position, p.card_id, p.brand_id, p.source,
    :currency, p.face, p.charge, p.cost, p.cost_currency, :transfer, p.person_key, p.last4,
    :delivery
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[]), CAST(:cards AS uuid[]),
    CAST(:brands AS uuid[]), CAST(:sources AS text[]), CAST(:faces AS bigint[]),
    CAST(:charges AS bigint[]), CAST(:costs AS bigint[]), CAST(:cost_currencies AS text[]),
    CAST(:persons AS bytea[]), CAST(:last4s AS text[]))
  AS p (id, position, card_id, brand_id, source, face, charge, cost, cost_currency, person_key,
        last4)
""")
_SUCCEED = text("""
UPDATE items i SET state = 'succeeded', source = p.source, result_id = p.id, code = NULL,
    detail = NULL, field = NULL, attempts = i.attempts + 1
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[]), CAST(:sources AS text[]))
  AS p (id, position, source)
WHERE i.job_id = :job AND i.position = p.position AND i.position BETWEEN :first AND :last
  AND i.state IN ('pending', 'running', 'retrying')
""")


def job_in_hand(session: Session, job_id: UUID) -> tuple[JobInHand, str]:
    """The job and its state, read without a lock: chunks never lock their job."""
    row = session.execute(_JOB, {"job": job_id}).one()
    return _job(row), row.state


def open_item(row: Row[Any]) -> OpenItem:
    """An item row as the work needs it."""
    return OpenItem(
        position=row.position,
        brand_id=row.brand_id,
        denomination_minor=row.denomination_minor,
        charge_minor=row.charge_minor,
        person_key=row.person_key,
        round=row.round,
    )


def _job(row: Row[Any]) -> JobInHand:
    return JobInHand(
        id=row.id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        campaign_id=row.campaign_id,
        currency=row.currency,
        delivery_method=row.delivery_method,
        once_per_person=bool(row.once_per_person),
        priority=row.priority,
        scheduled_for=row.scheduled_for,
        is_single=row.is_single,
        round=row.round,
        funded_to=row.funded_to,
        replaces=row.replaces,
    )


def provision(
    session: Session,
    job: JobInHand,
    served: Sequence[tuple[OpenItem, CardInHand]],
    *,
    transfer_id: UUID,
    now: datetime,
) -> None:
    """Write one provision per served item and mark the items succeeded, in two statements.

    What is to be delivered has its delivery and its task written beside it, in two more.
    """
    if not served:
        return
    given = among([item.position for item, _card in served]) | {
        "job": job.id,
        "ids": [new_id() for _ in served],
        "sources": [card.source.value for _item, card in served],
    }
    session.execute(
        _PROVISIONS,
        given
        | {
            "agency": job.agency_id,
            "client": job.client_id,
            "campaign": job.campaign_id,
            "currency": job.currency,
            "transfer": transfer_id,
            "delivery": job.delivery_method,
            "cards": [card.card_id for _item, card in served],
            "brands": [item.brand_id for item, _card in served],
            "faces": [item.denomination_minor for item, _card in served],
            "charges": [item.charge_minor for item, _card in served],
            "costs": [card.cost_minor for _item, card in served],
            "cost_currencies": [card.cost_currency for _item, card in served],
            "persons": [item.person_key for item, _card in served],
            "last4s": [card.last4 for _item, card in served],
        },
    )
    session.execute(_SUCCEED, given)
    if job.delivery_method in DELIVERED_BY:
        open_deliveries(
            session,
            tenant=(job.agency_id, job.client_id),
            job_id=job.id,
            positions=[item.position for item, _card in served],
            channel=DELIVERED_BY[job.delivery_method],
            now=now,
            replaces=job.replaces,
        )


def end_items(
    session: Session, job: JobInHand, items: Sequence[OpenItem], verdict: Verdict
) -> None:
    """End items with one verdict, in one statement."""
    end_positions(session, job.id, [item.position for item in items], verdict)


def settle_credit(
    session: Session,
    job: JobInHand,
    *,
    served: Sequence[OpenItem],
    refused: Sequence[OpenItem],
    transfer_id: UUID,
    now: datetime,
) -> None:
    """Capture what was issued and void what was refused: the last statement of the transaction.

    All items of one call belong to one round of the job, and draw on that round's hold; an item
    that it never covered has nothing to give back.
    """
    rounds = {item.round for item in (*served, *refused)}
    if not rounds:
        return
    capture_and_void(
        session,
        job_id=job.id,
        round_number=rounds.pop(),
        captured=sum(item.charge_minor for item in served),
        voided=sum(item.charge_minor for item in refused if job.covers(item.position)),
        client_ref=f"capture:{transfer_id.hex}",
        transfer_id=transfer_id,
        now=now,
    )
