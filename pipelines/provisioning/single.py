"""Accept one card for one recipient: a job of one item, written with its key in one commit."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from pipelines.errors import ValidationFailed
from pipelines.jobs.addresses import person_key
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.limits import Limits
from pipelines.pricing.rules import charge_of
from pipelines.provisioning.campaigns import BrandInUse, CampaignInUse, asked_for
from pipelines.provisioning.conditions import check_window, take_place
from pipelines.provisioning.recipients import (
    DeliveryMethod,
    Recipient,
    RecipientRules,
    check_recipient,
)
from pipelines.provisioning.redemption_index import redemption_index
from pipelines.provisioning.refusals import AlreadyRedeemed
from pipelines.provisioning.single_write import AcceptedRequest, write_single
from pipelines.queue.keys import RequestInProgress, RequestKey, first_result, remember
from pipelines.sealing import Keyring

CODE_TRIES = 2


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """One card asked for; the denomination in minor units of the brand's currency."""

    campaign_id: UUID
    brand_id: UUID
    denomination_minor: int
    delivery_method: DeliveryMethod
    recipient: dict[str, str | int | None]
    redemption_code: str | None = None


_SPEND_CODE = text("""
INSERT INTO redemption_codes (campaign_id, blind_index, agency_id, client_id, job_id, person_key)
VALUES (:campaign, :index, :agency, :client, :job, :person) ON CONFLICT DO NOTHING RETURNING 1
""")
_CODE_OWNER = text("""
SELECT job_id, person_key FROM redemption_codes
WHERE campaign_id = :campaign AND blind_index = :index
""")


def submit_single(
    session: Session,
    request: SingleRequest,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    person_secret: bytes,
    limits: Limits,
) -> AcceptedSingle:
    """Accept the request in the caller's transaction, which must be in the client's scope.

    Raises `ValidationFailed`, `InsufficientCredit`, `AlreadyRedeemed`, campaign and brand
    refusals, `ConditionUnmet`, `RecipientLimitReached`; nothing is written then. The same code for the same person gives the
    first job, whatever the campaign's conditions are by then.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedSingle(made, None, is_replay=True)
    now = clock.now(session)
    asked = asked_for(session, request.campaign_id, request.brand_id)
    campaign, brand = asked.campaign, asked.brand
    recipient = _recipient(request, brand)
    person = _person(recipient, person_secret)
    job_id = new_id()
    if request.redemption_code is not None:
        earlier = _spend_code(session, request, campaign, job_id, person, keyring)
        if earlier is not None:
            if key is not None:
                remember(session, key, status=202, resource_kind="job", resource_id=earlier)
            return AcceptedSingle(earlier, None, is_replay=True)
    accepted = AcceptedRequest(
        job_id,
        campaign,
        brand,
        recipient,
        person,
        delivery_method=request.delivery_method.value,
        charge_minor=charge_of(asked.prices, recipient.denomination_minor, campaign.client_id),
        has_redemption_code=request.redemption_code is not None,
        actor_id=actor_id,
        key=key,
    )
    check_window(campaign.conditions, now)
    take_place(session, campaign.id, campaign.conditions, person)
    task_id = write_single(session, accepted, asked.payer, now=now, limits=limits)
    return AcceptedSingle(job_id, task_id)


def _recipient(request: SingleRequest, brand: BrandInUse) -> Recipient:
    rules = RecipientRules(
        delivery_method=request.delivery_method,
        currency=brand.currency,
        default_denomination_minor=request.denomination_minor,
        default_brand=brand.name,
    )
    cells = dict(request.recipient)
    if not any(cells.get(name) for name in ("email", "phone", "reference")):
        # A card may be asked for without a recipient; the request itself is then the reference.
        cells["reference"] = "unnamed"
    checked = check_recipient(cells, rules=rules, pointer="/recipient")
    if isinstance(checked, tuple):
        raise ValidationFailed(errors=checked)
    return checked


def _person(recipient: Recipient, secret: bytes) -> bytes | None:
    if recipient.reference == "unnamed" and not (recipient.email or recipient.phone):
        return None
    return person_key(recipient.email, secret, phone=recipient.phone, reference=recipient.reference)


def _spend_code(
    session: Session,
    request: SingleRequest,
    campaign: CampaignInUse,
    job_id: UUID,
    person: bytes | None,
    keyring: Keyring,
) -> UUID | None:
    """Claim the code for this request; the earlier job if the same person used it before."""
    index = redemption_index(request.redemption_code or "", campaign.id, keyring)
    values = {"campaign": campaign.id, "index": index}
    claim = values | {
        "agency": campaign.agency_id,
        "client": campaign.client_id,
        "job": job_id,
        "person": person,
    }
    for _ in range(CODE_TRIES):
        if session.execute(_SPEND_CODE, claim).scalar_one_or_none() is not None:
            return None
        owner = session.execute(_CODE_OWNER, values).one_or_none()
        if owner is None:
            continue  # freed this moment by a settlement: the code bought nothing
        if person is None or owner.person_key != person:
            raise AlreadyRedeemed
        earlier: UUID = owner.job_id
        return earlier
    raise RequestInProgress(
        "Other requests with this redemption code are ending just now. Ask again in a moment.",
        retry_after_seconds=1,
    )
