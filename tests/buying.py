"""A purchase and a top-up of a tenant, with all that can hang on them, for tests."""

from uuid import UUID

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.checkout.begin import Begun, Wanted, begin_checkout
from pipelines.credit.top_up import NewTopUp, begin_top_up
from pipelines.payments.learn import learn
from pipelines.payments.news import News
from pipelines.wiring import House
from tests.discounting import full_discount
from tests.driving import change
from tests.referring import full_referral
from tests.seeding import ACTOR, Seeded

WHERE = {"success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart"}


def full_purchase(
    house: House, seeded: Seeded, code: str = "SAVE10", *, paid_minor: int = 9_000
) -> UUID:
    """A purchase that was paid, refunded in part and is asked about, and earns; and a top-up that waits.

    Another amount than 9,000 waits for a person.
    """
    usage_id = full_discount(house, seeded, code)
    wanted = Wanted(seeded.client_id, usage_id, None, None, **WHERE)
    followers = house.paying.pages.followers
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        begun = begin_checkout(session, wanted, followers=followers, actor_id=ACTOR, now=now)
        assert isinstance(begun, Begun)
        new = NewTopUp(seeded.client_account, 10_000, **WHERE)
        begin_top_up(session, new, actor_id=ACTOR, now=now)
    told = (
        News(payment="paid", paid_minor=paid_minor, paid_currency="USD", session_status="complete"),
        News(refund_id=f"re_{new_id().hex}", refund_state="succeeded", refund_minor=1_000),
        News(
            dispute_id=f"dp_{new_id().hex}",
            dispute_status="warning_needs_response",
            dispute_minor=9_000,
            dispute_reason="fraudulent",
            at="2026-11-28T12:00:00+00:00",
        ),
    )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for news in told:
            learn(session, begun.purchase_id, news, followers=followers, now=clock.now(session))
    full_referral(house, seeded, begun.purchase_id)
    return begun.purchase_id


def furnish_payments(house: House, seeded: Seeded, words: str) -> None:
    """A purchase that waits for a person, named with `words`; and an event of Stripe's."""
    purchase_id = full_purchase(house, seeded, "ODD10", paid_minor=8_999)
    change(
        house,
        "UPDATE purchases SET cart_reference = :words, "
        "quote = jsonb_set(quote, '{lines,0,name}', to_jsonb(CAST(:words AS text)))",
        words=words,
    )
    change(house, "UPDATE referral_programs SET name = :words", words=words)
    change(
        house,
        "INSERT INTO stripe_events (id, own_id, type, object_id, news, state, payment_id, livemode, "
        "happened_at, secret_place) VALUES ('evt_1', gen_random_uuid(), 'charge.succeeded', :words, '{}', 'handled', "
        ":payment, false, now(), 1)",
        words=words,
        payment=purchase_id,
    )
