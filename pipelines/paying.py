"""Put payments together: the account at Stripe, what follows a payment, and the tasks of both."""

import hashlib
import hmac
import random
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from models.database import Sessions
from models.payments import PaymentPurpose
from pipelines.checkout.end import end_checkout
from pipelines.checkout.follow import follow_purchase
from pipelines.credit.top_up import follow_top_up
from pipelines.payments.handle import handle_event
from pipelines.payments.inbox import Reading
from pipelines.payments.learn import Followers
from pipelines.payments.page import Pages
from pipelines.payments.pull import pull_events
from pipelines.payments.refund import send_refund
from pipelines.providers.stripe_door import StripeDoor
from pipelines.queue import kinds
from pipelines.queue.handlers import Handler
from pipelines.queue.work import TaskInHand
from pipelines.reconciliation.discount_counts import reconcile_discounts
from pipelines.reconciliation.payments import reconcile_payments
from pipelines.settings import Settings

FOLLOWERS: Followers = {
    PaymentPurpose.PURCHASE.value: follow_purchase,
    PaymentPurpose.TOP_UP.value: follow_top_up,
}


@dataclass(frozen=True, slots=True)
class Paying:
    """What doors and workers need of payments; without an account there is no door to it."""

    door: StripeDoor | None
    pages: Pages
    secrets: tuple[str, ...]
    reading: Reading


def build_paying(settings: Settings, sessions: Sessions) -> Paying:
    """The account that the settings name, ready to be used from any thread."""
    account = settings.stripe
    door = None if account is None else StripeDoor(account)
    key = settings.keyring.lasting_key("people")

    def blind(fingerprint: str) -> str:
        return hmac.new(key, b"card\0" + fingerprint.encode(), hashlib.sha256).hexdigest()

    return Paying(
        door=door,
        pages=Pages(sessions, door, FOLLOWERS),
        secrets=() if account is None else account.webhook_secrets,
        reading=Reading(is_live=door is not None and door.is_live, blind=blind),
    )


def payment_handlers(paying: Paying) -> tuple[Handler, ...]:
    """The tasks of payments, bound to their work."""
    draw = random.random

    def handle(session: Session, task: TaskInHand, now: datetime) -> None:
        handle_event(session, task, now, followers=FOLLOWERS)

    return (
        Handler(kinds.HANDLE_EVENT, handle),
        Handler(kinds.END_CHECKOUT, partial(end_checkout, pages=paying.pages, draw=draw)),
        Handler(
            kinds.SEND_REFUND,
            partial(send_refund, door=paying.door, followers=FOLLOWERS, draw=draw),
        ),
        Handler(kinds.RECONCILE_DISCOUNTS, reconcile_discounts),
        Handler(
            kinds.RECONCILE_PAYMENTS,
            partial(reconcile_payments, door=paying.door, followers=FOLLOWERS, draw=draw),
        ),
        Handler(
            kinds.PULL_EVENTS,
            partial(pull_events, door=paying.door, reading=paying.reading, draw=draw),
        ),
    )
