"""Two clients of two agencies, each with at least one row in every tenant table."""

from dataclasses import dataclass

from sqlalchemy import func, insert, text

from models import clock
from models.approvals import Approval
from models.base import new_id
from models.cards import ProviderOrder
from models.database import scoped_transaction
from models.drafts import UploadDraft
from models.jobs import JobInput
from models.mails import Invitation
from models.oversight import Erasure
from models.people import ApiKey, Role, SignIn, User
from models.scope import SYSTEM, client
from models.tenants import ClientBrand
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit
from tests.seeding import ACTOR, Seeded, seed


@dataclass(frozen=True, slots=True)
class Two:
    """Two tenants that must know nothing of each other."""

    one: Seeded
    other: Seeded


def two_tenants(house: House) -> Two:
    return Two(full_tenant(house), full_tenant(house))


def full_tenant(house: House) -> Seeded:
    """A tenant that was served two cards in bulk and one for a redemption code."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(5))
    job_id = submit(house, seeded, recipients_csv(2))
    tenant = {"agency_id": seeded.agency_id, "client_id": seeded.client_id}
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        submit_single(
            session,
            SingleRequest(
                seeded.campaign_id,
                seeded.brand_id,
                2500,
                DeliveryMethod.NONE,
                {"reference": "single"},
                redemption_code="KANARIE-1",
            ),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        )
    hasten_singles(house)
    drain(house)
    user_id = new_id()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(User).values(
                id=user_id,
                email=f"{user_id}@example.com",
                email_normalised=f"{user_id}@example.com",
                role=Role.CLIENT_ADMIN.value,
                **tenant,
            )
        )
        session.execute(
            insert(Approval).values(
                kind="credit.allocation",
                detail={},
                requested_by=user_id,
                expires_at=func.now(),
                **tenant,
            )
        )
        session.execute(
            insert(Erasure).values(
                asked_by=user_id, until_job_id=job_id, after_job_id=job_id, **tenant
            )
        )
        session.execute(
            insert(SignIn).values(
                user_id=user_id,
                kind="console",
                token_hash=user_id.bytes,
                expires_at=text("now() + interval '1 hour'"),
            )
        )
        session.execute(
            insert(ApiKey).values(
                name="Shop",
                prefix=f"lg_test_{user_id.hex[-8:]}",
                key_hash=user_id.bytes,
                scopes=["provision"],
                expires_at=text("now() + interval '1 hour'"),
                created_by=user_id,
                **tenant,
            )
        )
        session.execute(insert(UploadDraft).values(user_id=user_id, options={}, **tenant))
        session.execute(
            insert(Invitation).values(
                role=Role.CLIENT_VIEWER.value,
                sealed_guest=None,
                ended_at=func.now(),
                account=user_id.bytes,
                token_hash=user_id.bytes,
                mail_id=new_id(),
                invited_by=user_id,
                expires_at=clock.now(session),
                **tenant,
            )
        )
        session.execute(insert(ClientBrand).values(brand_id=seeded.brand_id, **tenant))
        session.execute(
            insert(JobInput).values(
                job_id=job_id, part=1, id=new_id(), sealed=False, content=b"", **tenant
            )
        )
        session.execute(
            insert(ProviderOrder).values(
                job_id=job_id,
                position=1,
                brand_id=seeded.brand_id,
                vendor="reloadly",
                product="120",
                face_value_minor=2500,
                currency="USD",
                state="cancelled",
                **tenant,
            )
        )
    return seeded


def hasten_singles(house: House) -> None:
    """A single's accepter rings for it; here nobody does, so the relay may at once."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET rung_at = NULL WHERE kind = 'run_single'"))
