"""Give a card for a code that a campaign handed out, to whoever types it in: once (S4-092, EC-065).

Who types a code says who they are by an e-mail address, or not at all; then whoever has the code is
its recipient. It is the storefront's own request otherwise, in the name of who loaded the code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from pipelines.audit.record import record
from pipelines.errors import FieldError, Kind, NotFound, Refusal, ValidationFailed
from pipelines.jobs.addresses import Email, person_key, read_email
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.limits import Limits
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.redemption_index import redemption_index
from pipelines.provisioning.refusals import AlreadyRedeemed, ConditionUnmet
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.provisioning.suspicion import note_redemption, refuse_collectors
from pipelines.sealing import Keyring

#: When a stranger may ask again; the same whatever the reason is.
_AGAIN_SECONDS = 300
#: Of a code's index: enough that no two codes of a client share a reference.
_REFERENCE_BYTES = 12

#: Locked: a code is withdrawn before it is redeemed, or not at all.
_LOADED = text("""
SELECT brand_id, denomination_minor, loaded_by FROM loaded_codes
WHERE campaign_id = :campaign AND blind_index = :index AND withdrawn_at IS NULL
FOR SHARE
""")
_TENANT = text("SELECT agency_id, client_id FROM campaigns WHERE id = :campaign")
_SPENT = text("""
SELECT job_id, person_key FROM redemption_codes
WHERE campaign_id = :campaign AND blind_index = :index
""")


@dataclass(frozen=True, slots=True)
class Redemption:
    """What somebody typed in; the e-mail address may be left out."""

    campaign_id: UUID
    code: str = field(repr=False)
    email: str | None = field(default=None, repr=False)


class CannotGiveNow(Refusal):
    """A card is owed, and something keeps it from being given just now.

    A stranger learns no more, not by code, status or time either; `because` is for the house.
    """

    code = "cannot_give_now"
    kind = Kind.BUSY
    detail = (
        "We cannot give out cards just now. Your code stays good: try again later, or ask whoever "
        "gave it to you."
    )

    def __init__(self, because: Refusal) -> None:
        super().__init__(retry_after_seconds=_AGAIN_SECONDS)
        #: The code of the refusal that a known caller would be told.
        self.because = because.code


def redeem(
    session: Session,
    asked: Redemption,
    *,
    keyring: Keyring,
    person_secret: bytes,
    limits: Limits,
) -> AcceptedSingle:
    """Ask for the code's card in the client's scope; the same recipient gets the first request.

    Raises `NotFound` for a code that the campaign did not hand out, `AlreadyRedeemed` for another
    recipient, `ValidationFailed` for an address that is none, `ConditionUnmet`, `CannotGiveNow`, and `TooManyCodes`
    for a network that has redeemed many others.
    """
    index = redemption_index(asked.code, asked.campaign_id, keyring)
    values = {"campaign": asked.campaign_id, "index": index}
    loaded = session.execute(_LOADED, values).one_or_none()
    if loaded is None:
        raise NotFound
    email = _email(asked.email)
    reference = None if email else f"code-{index[:_REFERENCE_BYTES].hex()}"
    spent = session.execute(_SPENT, values).one_or_none()
    if spent is not None:
        if spent.person_key != person_key(email, person_secret, reference=reference):
            raise AlreadyRedeemed
        return AcceptedSingle(spent.job_id, None, is_replay=True)
    now = clock.now(session)
    refuse_collectors(session, asked.campaign_id, now=now)
    request = SingleRequest(
        campaign_id=asked.campaign_id,
        brand_id=loaded.brand_id,
        denomination_minor=loaded.denomination_minor,
        delivery_method=DeliveryMethod.EMAIL if email else DeliveryMethod.NONE,
        recipient={"email": email, "reference": reference},
        redemption_code=asked.code,
    )
    submit = partial(submit_single, keyring=keyring, person_secret=person_secret, limits=limits)
    done = _submitted(partial(submit, session, request, actor_id=loaded.loaded_by, key=None))
    if not done.is_replay:
        note_redemption(session, asked.campaign_id, done.job_id, now=now)
    return done


def note_not_given(session: Session, campaign_id: UUID, refusal: CannotGiveNow) -> None:
    """Write down for the campaign's people why a code brought nothing just now."""
    tenant = session.execute(_TENANT, {"campaign": campaign_id}).one()
    record(
        session,
        "code.not_given",
        object_kind="campaign",
        object_id=campaign_id,
        actor_id=None,
        agency_id=tenant.agency_id,
        client_id=tenant.client_id,
        detail={"because": refusal.because},
    )


def _submitted(submit: Callable[[], AcceptedSingle]) -> AcceptedSingle:
    """A stranger is told that a code was used, of the campaign's window and that all is given.

    Else only not now: that a recipient has had enough is nobody's business who types an address.
    """
    try:
        return submit()
    except (AlreadyRedeemed, ConditionUnmet):
        raise
    except Refusal as refusal:
        raise CannotGiveNow(refusal) from None


def _email(given: str | None) -> str | None:
    if not (given or "").strip():
        return None
    email = read_email(given or "")
    if isinstance(email, CellProblem):
        raise ValidationFailed(
            errors=(FieldError(email.code, email.detail, pointer="/email", field="email"),)
        )
    assert isinstance(email, Email)
    return email.address
