"""Two clients of two agencies, each with at least one row in every tenant table."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, insert, select, text

from models import clock
from models.alerts import Severity
from models.approvals import Approval
from models.base import new_id
from models.books import Book
from models.cards import ProviderOrder
from models.database import scoped_transaction
from models.deliveries import Delivery
from models.drafts import UploadDraft
from models.draws import Draw, DrawChunk, DrawMembers
from models.jobs import JobInput
from models.ledger import Transfer
from models.mails import Invitation
from models.oversight import Erasure
from models.people import ApiKey, Role, SignIn, User
from models.receivables import Receivable
from models.redemption_codes import LoadedCode
from models.scope import SYSTEM, client
from models.tenants import ClientBrand
from models.usage import IssuedDelta
from models.user_pools import UserPool, UserPoolMember
from models.webhooks import WebhookDelivery, WebhookEndpoint
from pipelines.alerts.handle import ByHand, raise_by_hand
from pipelines.alerts.subscriptions import Chosen, Reader, choose_notices
from pipelines.books.add_up import add_up_books
from pipelines.discounts.refused import RefusedFor, Times, add_refusals
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.tenants.conditions import keep_counting
from pipelines.usage.add_up import add_up
from pipelines.wiring import House
from tests.booking import change_stock_by_nothing, full_book
from tests.buying import full_purchase
from tests.discounting import tried_by_another
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit
from tests.partnering import full_partner
from tests.seeding import ACTOR, Seeded, seed

#: One more delta, for those before are added up.
ISSUED = {
    "day": date(2026, 1, 1),
    "source": "csv",
    "currency": "USD",
    "cards": 0,
    "charge_minor": 0,
    "cost_minor": 0,
    "cards_without_cost": 0,
}


@dataclass(frozen=True, slots=True)
class Two:
    """Two tenants that must know nothing of each other."""

    one: Seeded
    other: Seeded


def two_tenants(house: House) -> Two:
    two = Two(full_tenant(house), full_tenant(house))
    with scoped_transaction(house.sessions, SYSTEM) as session:
        add_up(session)
        add_up_books(session)
        for seeded in (two.one, two.other):
            whose = {
                "agency_id": seeded.agency_id,
                "client_id": seeded.client_id,
                "campaign_id": seeded.campaign_id,
            }
            session.execute(insert(IssuedDelta).values(ISSUED | whose))
            refused = {RefusedFor(seeded.client_id, "HERS", "code_invalid"): Times(applied=1)}
            add_refusals(session, refused, now=clock.now(session))
            change_stock_by_nothing(session, seeded)
    return two


def full_tenant(house: House) -> Seeded:
    """A tenant that was served two cards in bulk and one for a redemption code."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(5))
    job_id = submit(house, seeded, recipients_csv(2))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        values = {"max_rewards": 1000}
        keep_counting(session, seeded.campaign_id, {}, values, limits=house.limits)
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
    full_book(house, seeded, job_id)
    full_purchase(house, seeded)
    tried_by_another(house, seeded)
    full_partner(house, seeded)
    user_id = new_id()
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(
            insert(LoadedCode).values(
                campaign_id=seeded.campaign_id,
                blind_index=user_id.bytes,
                brand_id=seeded.brand_id,
                denomination_minor=2500,
                loaded_by=user_id,
                **tenant,
            )
        )
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
        session.execute(
            insert(Receivable).values(
                account_id=seeded.client_account,
                transfer_id=select(Transfer.id).limit(1).scalar_subquery(),
                dispute_id=str(user_id),
                currency="USD",
                claimed=1,
                written_off=1,
                settled_at=func.now(),
                reason="",
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
        choose_notices(
            session,
            Reader(user_id, *tenant.values()),
            Chosen("critical", None),
            now=clock.now(session),
        )
        by_hand = ByHand(Severity.INFO, "Seen", seeded.agency_id, seeded.client_id)
        raise_by_hand(session, by_hand, actor_id=user_id, now=clock.now(session))
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
        session.execute(
            insert(Delivery).values(
                job_id=job_id,
                position=1,
                channel="email",
                state="cancelled",
                good_until=func.now(),
                ended_at=func.now(),
                **tenant,
            )
        )
        # A trigger has made the person known to the client.
        pool = {"id": new_id(), "name": "Testers", "created_by": user_id}
        session.execute(insert(UserPool).values(pool | tenant))
        session.execute(
            insert(UserPoolMember).values(
                pool_id=pool["id"], user_id=user_id, added_by=user_id, **tenant
            )
        )
        book_id = session.execute(
            select(Book.id).where(Book.client_id == seeded.client_id).limit(1)
        ).scalar_one()
        draw = {"job_id": job_id, "book_id": book_id, "pool_id": pool["id"], "number": 1}
        told = {"seed": "seed", "seed_is_given": True, "plan_hash": "", "members": 1}
        session.execute(insert(Draw).values(draw | told | tenant))
        session.execute(
            insert(DrawMembers).values(
                job_id=job_id, piece=0, user_ids=[user_id], capacities=[1], **tenant
            )
        )
        session.execute(
            insert(DrawChunk).values(
                job_id=job_id, chunk_number=1, positions=[1], coupon_ids=[user_id], **tenant
            )
        )
        endpoint = {"id": new_id(), "url": "https://shop.example/hook", "created_by": user_id}
        session.execute(insert(WebhookEndpoint).values(endpoint | tenant))
        session.execute(
            insert(WebhookDelivery).values(
                endpoint_id=endpoint["id"],
                event_id=new_id(),
                type="job.finished",
                object_kind="job",
                object_id=job_id,
                sequence=1,
                data={},
                happened_at=func.now(),
                state="delivered",
                ended_at=func.now(),
                **tenant,
            )
        )
    return seeded


def hasten_singles(house: House) -> None:
    """A single's accepter rings for it; here nobody does, so the relay may at once."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET rung_at = NULL WHERE kind = 'run_single'"))
