"""A card that does not work: another one for the same recipient, and no second charge.

What was charged goes back from spent to credit in an entry of its own and is held at once for a
request of one card, which walks down the waterfall as any other: there is no second path.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.ledger import TransferKind
from models.locks import Namespace, wait_for_lock
from models.tenants import CampaignState
from pipelines.audit.record import record
from pipelines.credit.hold import Payer
from pipelines.credit.refund import give_back
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.chunks import among
from pipelines.jobs.refusals import ClientSuspended
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import BrandInUse, CampaignInUse
from pipelines.provisioning.deliveries import ADDRESS, ADDRESS_FROM, stop_deliveries
from pipelines.provisioning.recipients import DeliveryMethod, Recipient
from pipelines.provisioning.refusals import (
    CampaignNotActive,
    ProvisionUndone,
    RecipientsForgotten,
)
from pipelines.provisioning.single_write import AcceptedRequest, Replaced, write_single
from pipelines.webhooks.catalogue import CARD_REPORTED
from pipelines.webhooks.happened import Event, happened

#: The kind of the approval that a further replacement for one recipient needs.
APPROVAL = "cards.replacement"


class ReplacementLimit(Refusal):
    """The recipient was given another card before; `approval_id` names what waits, if anything."""

    code = "replacement_limit"
    kind = Kind.CONFLICT
    detail = (
        "This recipient was given another card before. Send ask_approval=true: a second person "
        "then has to agree."
    )


@dataclass(frozen=True, slots=True)
class Replacement:
    """The job that gives the other card; its task, which the accepter rings, if it is new."""

    job_id: UUID
    task_id: UUID | None


_PERSON = text("SELECT campaign_id, person_key FROM provisions WHERE id = :provision")
# The lock decides between reports, undos and openings: whoever comes second sees what the first did.
_GIVEN = text("""
SELECT p.*, b.name AS brand FROM provisions p JOIN brands b ON b.id = p.brand_id
WHERE p.id = :provision FOR NO KEY UPDATE OF p
""")
# The hold of the item's round knows which account paid. A delivery knows by which way the link went.
_CONTEXT = text(f"""
SELECT i.reference, i.name, {ADDRESS}, coalesce(d.channel, p.delivery_method) AS channel,
    j.retain_until, j.spec ? 'replaces' AS is_replacement, h.account_id,
    EXISTS (SELECT FROM redemption_codes r WHERE r.job_id = p.job_id) AS has_code,
    c.state AS campaign_state, c.version AS campaign_version, l.suspended_at
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
JOIN jobs j ON j.id = i.job_id JOIN campaigns c ON c.id = j.campaign_id
JOIN clients l ON l.id = j.client_id
JOIN holds h ON h.job_id = i.job_id AND h.round = i.round
LEFT JOIN deliveries d ON d.job_id = p.job_id AND d.position = p.position
{ADDRESS_FROM}
WHERE p.id = :provision
""")
_HAD_ANOTHER = text("""
SELECT EXISTS (SELECT FROM provisions WHERE campaign_id = :campaign AND person_key = :person
               AND replaced_at IS NOT NULL AND id <> :provision)
""")
_PENDING = text("""
SELECT id FROM approvals WHERE client_id = :client AND kind = :kind AND state = 'pending'
  AND expires_at > :now AND detail->>'redemption_id' = :provision ORDER BY id DESC LIMIT 1
""")
_MARK = text("""
UPDATE provisions SET replaced_at = :now, replacement_job_id = :job,
    replacement_transfer_id = :transfer, reveal_version = reveal_version + 1
WHERE id = :provision AND job_id = :old_job AND position = :position
""")
# The code bought the card that lives: it is asked for by its link, and asked again it leads to it.
_HAND_ON_CODE = text("""
UPDATE redemption_codes SET job_id = :job
WHERE job_id = :old_job AND campaign_id = :campaign
""")
_DEFECTIVE = text("SELECT mark_defective(:provision, :job)")
_PAYER = text("SELECT id, currency, balance, held, unlimited FROM accounts WHERE id = :account")


def replace_card(
    session: Session,
    provision_id: UUID,
    *,
    reason: str,
    actor_id: UUID,
    limits: Limits,
    is_approved: bool = False,
) -> Replacement:
    """Mark the card defective and accept another for its recipient, in the caller's scope.

    Reporting it again gives the same replacement. Raises `NotFound`, `ProvisionUndone`,
    `ReplacementLimit` unless approved, `RecipientsForgotten`, `ClientSuspended`,
    `CampaignNotActive`; nothing is written then.
    """
    now = clock.now(session)
    _wait_for_others(session, provision_id)
    given = session.execute(_GIVEN, {"provision": provision_id}).one_or_none()
    if given is None:
        raise NotFound
    if given.undone_at is not None:
        raise ProvisionUndone
    if given.replaced_at is not None:
        return Replacement(given.replacement_job_id, None)
    context = session.execute(_CONTEXT, {"provision": provision_id}).one()
    _refuse(session, given, context, now, is_approved=is_approved)
    job_id = new_id()
    _take_out(session, given, context, job_id, now)
    task_id = _ask_for_another(session, given, context, job_id, actor_id, now, limits)
    _tell(session, given, job_id, actor_id, reason)
    return Replacement(job_id, task_id)


def _wait_for_others(session: Session, provision_id: UUID) -> None:
    """Reports of one person's cards take turns: the limit counts what those before have done.

    An approval's own row may be locked by now; nobody who waits for one holds this lock.
    """
    person = session.execute(_PERSON, {"provision": provision_id}).one_or_none()
    if person is not None and person.person_key is not None:
        key = f"{person.campaign_id}:{bytes(person.person_key).hex()}"
        wait_for_lock(session, Namespace.REPLACEMENT, key)


def _refuse(
    session: Session, given: Row[Any], context: Row[Any], now: datetime, *, is_approved: bool
) -> None:
    """What is owed is given even by a paused campaign: it costs no further credit."""
    if context.suspended_at is not None:
        raise ClientSuspended
    if context.campaign_state == CampaignState.CLOSED:
        raise CampaignNotActive("The campaign is closed; nothing is given any more.")
    goes_to = {DeliveryMethod.EMAIL: context.email, DeliveryMethod.SMS: context.phone}
    if context.is_corrected:
        goes_to[DeliveryMethod(context.channel)] = context.sealed_address
    if not goes_to.get(DeliveryMethod(context.channel), True):
        raise RecipientsForgotten(
            "Where the card was sent is not kept any more. Give the recipient a new card."
        )
    if is_approved:
        return
    values = {
        "campaign": given.campaign_id,
        "person": given.person_key,
        "provision": given.id,
    }
    if context.is_replacement or session.execute(_HAD_ANOTHER, values).scalar_one():
        asked = {"client": given.client_id, "kind": APPROVAL, "now": now}
        pending = session.execute(_PENDING, asked | {"provision": str(given.id)}).scalar()
        raise ReplacementLimit(extra={"approval_id": str(pending)} if pending else None)


def _take_out(
    session: Session, given: Row[Any], context: Row[Any], job_id: UUID, now: datetime
) -> None:
    """The link dies and is not sent any more, the card is defective, the charge is credit again."""
    transfer_id = new_id()
    values = {
        "provision": given.id,
        "old_job": given.job_id,
        "position": given.position,
        "job": job_id,
        "transfer": transfer_id,
        "campaign": given.campaign_id,
        "now": now,
    }
    session.execute(_MARK, values)
    if not session.execute(_DEFECTIVE, values).scalar_one():
        raise LookupError("the card to replace is not in the hands it was given to")
    stop_deliveries(session, given.job_id, among([given.position]), code="replaced", now=now)
    if context.has_code:
        session.execute(_HAND_ON_CODE, values)
    give_back(
        session,
        account_id=context.account_id,
        amount=given.charge_minor,
        job_id=job_id,
        transfer_id=transfer_id,
        kind=TransferKind.REPLACEMENT,
    )


def _ask_for_another(
    session: Session,
    given: Row[Any],
    context: Row[Any],
    job_id: UUID,
    actor_id: UUID,
    now: datetime,
    limits: Limits,
) -> UUID:
    """The request, paid by the account that paid before; what it charged there covers it.

    Its card goes the way the replaced one went, and opens with the same proof.
    """
    recipient = Recipient(
        reference=context.reference,
        email=context.email,
        name=context.name,
        phone=context.phone,
        denomination_minor=given.face_value_minor,
        brand=given.brand,
    )
    request = AcceptedRequest(
        job_id,
        CampaignInUse(
            given.campaign_id, given.agency_id, given.client_id, context.campaign_version
        ),
        BrandInUse(given.brand_id, given.brand, given.currency),
        recipient,
        given.person_key,
        delivery_method=context.channel,
        charge_minor=given.charge_minor,
        has_redemption_code=context.has_code,
        actor_id=actor_id,
        key=None,
        replaced=Replaced(given.id, given.job_id, context.retain_until),
    )
    account = session.execute(_PAYER, {"account": context.account_id}).one()
    payer = Payer(*account)
    return write_single(session, request, payer, now=now, limits=limits)


def _tell(session: Session, given: Row[Any], job_id: UUID, actor_id: UUID, reason: str) -> None:
    record(
        session,
        "card.reported_defective",
        object_kind="provision",
        object_id=given.id,
        actor_id=actor_id,
        agency_id=given.agency_id,
        client_id=given.client_id,
        detail={"reason": reason, "replaced_by": str(job_id), "source": given.source},
    )
    data = {"job_id": str(given.job_id), "replaced_by": str(job_id)}
    event = Event(CARD_REPORTED, given.id, given.agency_id, given.client_id, data)
    happened(session, event, now=clock.now(session))
