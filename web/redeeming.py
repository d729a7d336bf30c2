"""Take a typed code for the page and the API: the same looks, counts and refusals."""

from uuid import UUID

from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.provisioning.campaigns import client_of_campaign
from pipelines.provisioning.redeem import CannotGiveNow, Redemption, note_not_given, redeem
from pipelines.provisioning.redeem_link import redeem_token
from pipelines.telemetry import get_logger
from web.front import front
from web.misses import looking_up
from web.ringing import ring_single

log = get_logger(__name__)


def redeem_now(asked: Redemption) -> UUID:
    """The request that the code brings its card by; a code that nobody has is a miss.

    Raises what `redeem` raises, and `RateLimited` for who missed too often.
    """
    house = front().house
    with looking_up(f"{asked.campaign_id}:{asked.code}"):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            scope = client(client_of_campaign(session, asked.campaign_id))
        try:
            with scoped_transaction(house.sessions, scope) as session:
                done = redeem(
                    session,
                    asked,
                    keyring=house.settings.keyring,
                    person_secret=house.person_secret,
                    limits=house.limits,
                )
        except CannotGiveNow as refusal:
            log.warning(
                "redemption.not_given", campaign_id=str(asked.campaign_id), because=refusal.because
            )
            with scoped_transaction(house.sessions, scope) as session:
                note_not_given(session, asked.campaign_id, refusal)
            raise
    ring_single(done.task_id)
    return done.job_id


def token_of(job_id: UUID) -> str:
    """The token of the link that the request leads to."""
    return redeem_token(job_id, front().house.settings.keyring)
