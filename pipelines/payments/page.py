"""Open the page that a payment is made on, and end it: Stripe is asked with no transaction open.

Both are done as often as somebody asks: a page has the key of its payment, and what Stripe says of
it is learned like any news.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from models import clock
from models.database import Sessions, transaction
from models.payments import PaymentState, SessionStatus
from pipelines.payments.amounts import to_stripe
from pipelines.payments.learn import Followers, learn
from pipelines.payments.news import News, news_of_session
from pipelines.payments.read import payment_row
from pipelines.payments.refusals import (
    PaymentEnded,
    PaymentProviderUnavailable,
    PaymentRefused,
    PaymentsNotSetUp,
)
from pipelines.providers.stripe_answers import (
    Answer,
    Away,
    FailureKept,
    NewSession,
    PaymentLine,
    Refused,
    Told,
    ToldMany,
)
from pipelines.providers.stripe_door import StripeDoor

#: Why we end a page: told in `payments.end_reason`, for what is paid on it to go by.
KEEPS_RESERVATION = "cart_changed"
#: What Stripe calls an address that it does not take; the page is made without one.
BAD_ADDRESS = "email_invalid"
#: Of Stripe's list, looked through for a page that was made while it said that it failed.
PAGES_MAX = 20

_ENDING = text("""
UPDATE payments SET end_reason = :reason, end_asked_at = :now,
    version = version + 1
WHERE id = :payment AND state IN ('open', 'processing') RETURNING *
""")

# Two who find the failure at once go on with the same next key.
_NEXT_KEY = text("""
UPDATE payments SET page_key = :key + 1 WHERE id = :payment AND page_key = :key
""")


class Pages:
    """The pages of one account of Stripe's; used in the scope of whose payments they are."""

    def __init__(self, sessions: Sessions, door: StripeDoor | None, followers: Followers) -> None:
        self._sessions = sessions
        self._door = door
        self.followers = followers

    def open(self, payment_id: UUID, *, payer: str | None = None) -> Row[Any]:
        """Make the page of a payment that is written down; the payment then.

        `payer` is the address that need not be typed there; it is kept nowhere (decision 0045). Raises `PaymentProviderUnavailable`, and the same may be asked again; `PaymentRefused`,
        and the payment is over; `PaymentEnded`.
        """
        with transaction(self._sessions) as session:
            payment = payment_row(session, payment_id)
        if payment.state != PaymentState.OPEN:
            raise PaymentEnded(payment_id, payment.state)
        if payment.session_id is None:
            answer = self._create(payment, payer)
            if isinstance(answer, Refused) and answer.code == BAD_ADDRESS:
                answer = self._create(payment)
            if isinstance(answer, Refused):
                self._ending(payment_id, KEEPS_RESERVATION)
                self._learn(payment_id, _OVER)
                raise PaymentRefused(answer.code)
            payment = self._learn(payment_id, _told(answer))
        if payment.state != PaymentState.OPEN:
            raise PaymentEnded(payment_id, payment.state)
        return payment

    def end(self, payment_id: UUID, reason: str) -> PaymentState:
        """End a page that nobody paid yet; what the payment is then, as Stripe says.

        Raises `PaymentProviderUnavailable`, and the same may be asked again.
        """
        payment = self._ending(payment_id, reason)
        if payment is None:
            with transaction(self._sessions) as session:
                return PaymentState(payment_row(session, payment_id).state)
        is_past = payment.session_expires_at <= payment.end_asked_at
        if payment.session_id is None:
            # It may have been made by somebody who never heard of it: its key finds it. What was not
            # is not made now; nobody knows its address.
            made = Refused("past", 0) if is_past else self._create(payment)
            if isinstance(made, Refused):
                return PaymentState(self._learn(payment_id, _OVER).state)
            payment = self._learn(payment_id, _told(made))
        answer = self._needed().expire_session(payment.session_id)
        if isinstance(answer, Refused):
            answer = self._needed().session(payment.session_id)
        if isinstance(answer, Refused) and is_past:
            # Of another account, by another key: nobody can pay it any more.
            return PaymentState(self._learn(payment_id, _OVER).state)
        return PaymentState(self._learn(payment_id, _told(answer)).state)

    def _create(self, payment: Row[Any], payer: str | None = None) -> Answer:
        """A page under the payment's key; where Stripe keeps a failure for that, one that it made, or the next."""
        answer = self._asked(payment, payer)
        if not isinstance(answer, FailureKept):
            return answer
        return self._made_already(payment) or self._asked(self._with_next_key(payment), payer)

    def _made_already(self, payment: Row[Any]) -> Answer | None:
        """The page that was made while Stripe said that it failed; Stripe's clock is not ours."""
        since, after = payment.created_at - timedelta(minutes=5), None
        for _ in range(PAGES_MAX):
            page = self._needed().sessions(since, after=after)
            if not isinstance(page, ToldMany):
                return page
            for thing in page.things:
                if (thing.get("metadata") or {}).get("payment_id") == str(payment.id):
                    return Told(thing)
            if not page.has_more or not page.things:
                return None
            after = page.things[-1]["id"]
        return Away("too_many_pages")

    def _with_next_key(self, payment: Row[Any]) -> Row[Any]:
        with transaction(self._sessions) as session:
            values = {"payment": payment.id, "key": payment.page_key}
            session.execute(_NEXT_KEY, values)
            return payment_row(session, payment.id)

    def _asked(self, payment: Row[Any], payer: str | None) -> Answer:
        lines = [
            PaymentLine(name, quantity, to_stripe(unit, payment.currency))
            for name, quantity, unit in payment.lines
        ]
        new = NewSession(
            currency=payment.currency,
            lines=lines,
            reference=str(payment.reference),
            metadata={"payment_id": str(payment.id), "purpose": payment.purpose},
            success_url=payment.success_url,
            cancel_url=payment.cancel_url,
            expires_at=int(payment.session_expires_at.timestamp()),
            payer=payer,
        )
        return self._needed().create_session(new, key=_key_of(payment, payer))

    def _needed(self) -> StripeDoor:
        if self._door is None:
            raise PaymentsNotSetUp
        return self._door

    def _ending(self, payment_id: UUID, reason: str) -> Row[Any] | None:
        with transaction(self._sessions) as session:
            now: datetime = clock.now(session)
            values = {"payment": payment_id, "reason": reason, "now": now}
            return session.execute(_ENDING, values).one_or_none()

    def _learn(self, payment_id: UUID, news: News) -> Row[Any]:
        with transaction(self._sessions) as session:
            now = clock.now(session)
            return learn(session, payment_id, news, followers=self.followers, now=now).after


#: Stripe made no page, and will make none: its answer to the key says so.
_OVER = News(session_status=SessionStatus.EXPIRED.value)


def _key_of(payment: Row[Any], payer: str | None) -> str:
    """The key of a page; another address is another question, and Stripe refuses one under an old key."""
    key = f"payment:{payment.id}:{payment.page_key}"
    return key if payer is None else f"{key}:{hashlib.sha256(payer.encode()).hexdigest()[:32]}"


def _told(answer: Answer) -> News:
    if not isinstance(answer, Told):
        raise PaymentProviderUnavailable
    return news_of_session(answer.thing)
