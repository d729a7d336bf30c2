"""Stripe's official SDK on our own wire: a total deadline for each call, and none in a transaction.

The SDK speaks the language; `VendorTransport` carries it, as for every vendor. Its own retries are
off: a call has a key from our row, and whoever calls decides how often.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from pipelines.providers.breaker import Breaker
from pipelines.providers.stripe_answers import (
    Answer,
    Away,
    FailureKept,
    KeysRefused,
    NewSession,
    Refused,
    Told,
    ToldMany,
)
from pipelines.providers.transport import AnswerLost, ConnectFailed, VendorTransport
from pipelines.telemetry import get_logger
from pipelines.vendor_settings import StripeSettings

log = get_logger(__name__)

#: Of one call, and of all that are made for one question.
CALL_SECONDS = 10.0
QUESTION_SECONDS = 20.0
TRIES_MAX = 3
#: Questions of one process at a time, and how long one waits for its place.
PLACES = 8
PLACE_SECONDS = 2.0
FIRST_WAIT_SECONDS = 0.25
PAGE_MAX = 100

stripe.enable_telemetry = False


class _Wire(stripe.HTTPClient):
    """The SDK's way out."""

    name = "largesse"

    def __init__(self, transport: VendorTransport) -> None:
        super().__init__()
        self._transport = transport

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **_usage: Any,
    ) -> tuple[str, int, Mapping[str, str]]:
        answer = self._transport.request(
            method.upper(),
            url,
            headers=headers or {},
            content=post_data.encode() if isinstance(post_data, str) else post_data,
            deadline_seconds=CALL_SECONDS,
        )
        return answer.body.decode(), answer.status, answer.headers

    def close(self) -> None:
        """Sessions live as long as their threads."""


class StripeDoor:
    """Questions to one account of Stripe's; safe to share between threads.

    While nothing but failures comes back it is not asked: a front whose threads all wait for
    somebody else's outage serves nobody.
    """

    def __init__(self, settings: StripeSettings, transport: VendorTransport | None = None) -> None:
        self._client = stripe.StripeClient(
            settings.api_key,
            base_addresses={"api": settings.base_url},
            http_client=_Wire(transport or VendorTransport()),
            max_network_retries=0,
        )
        self._breaker = Breaker()
        self._lock = threading.Lock()
        # However slow Stripe is, most threads of a process have other work.
        self._places = threading.BoundedSemaphore(PLACES)
        #: Whether money of this account is real, as its key says.
        self.is_live = settings.is_live

    def create_session(self, new: NewSession, *, key: str) -> Answer:
        """Make a payment page; the same key has the same page, however often it is asked for."""
        lines: list[Any] = [
            {
                "quantity": line.quantity,
                "price_data": {
                    "currency": new.currency.lower(),
                    "unit_amount": line.unit_amount,
                    "product_data": {"name": line.name},
                },
            }
            for line in new.lines
        ]
        metadata = dict(new.metadata)
        params: Any = {
            "mode": "payment",
            "line_items": lines,
            "client_reference_id": new.reference,
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "success_url": new.success_url,
            "cancel_url": new.cancel_url,
            "expires_at": new.expires_at,
        }
        if new.payer is not None:
            params["customer_email"] = new.payer
        sessions = self._client.v1.checkout.sessions
        return self._ask(lambda: sessions.create(params, {"idempotency_key": key}))

    def session(self, session_id: str) -> Answer:
        """A payment page as it is now."""
        return self._ask(lambda: self._client.v1.checkout.sessions.retrieve(session_id))

    def expire_session(self, session_id: str) -> Answer:
        """End a payment page that nobody paid yet; `Refused` if it is over already."""
        return self._ask(lambda: self._client.v1.checkout.sessions.expire(session_id))

    def refund(
        self, payment_intent_id: str, amount: int, metadata: Mapping[str, str], *, key: str
    ) -> Answer:
        """Pay back; `amount` in Stripe's units."""
        params: Any = {
            "payment_intent": payment_intent_id,
            "amount": amount,
            "metadata": dict(metadata),
        }
        return self._ask(lambda: self._client.v1.refunds.create(params, {"idempotency_key": key}))

    def refunds(self, payment_intent_id: str) -> Answer:
        """What was paid back of a payment: a page of it, newest first."""
        params: Any = {"payment_intent": payment_intent_id, "limit": PAGE_MAX}
        return self._ask(lambda: self._client.v1.refunds.list(params))

    def event(self, event_id: str) -> Answer:
        """An event anew; Stripe keeps them for thirty days."""
        return self._ask(lambda: self._client.v1.events.retrieve(event_id))

    def events(self, since: datetime, *, after: str | None = None) -> Answer:
        """A page of the events made since then, newest first; `after` is the last of the page before."""
        return self._ask(lambda: self._client.v1.events.list(_page(since, after)))

    def sessions(self, since: datetime, *, after: str | None = None) -> Answer:
        """A page of the payment pages made since then, as `events`."""
        return self._ask(lambda: self._client.v1.checkout.sessions.list(_page(since, after)))

    def _ask(self, call: Callable[[], Any]) -> Answer:
        """One question: tried again while it may still be answered, unless all calls fail."""
        if not self._places.acquire(timeout=PLACE_SECONDS):
            return _away("busy")
        try:
            return self._asked(call)
        finally:
            self._places.release()

    def _asked(self, call: Callable[[], Any]) -> Answer:
        give_up_at = time.monotonic() + QUESTION_SECONDS
        for tries in range(1, TRIES_MAX + 1):
            if not self._may_call():
                return Away("breaker_open")
            answer = _called(call)
            self._heard(answer)
            is_last = tries == TRIES_MAX or time.monotonic() + CALL_SECONDS > give_up_at
            if not isinstance(answer, Away) or is_last:
                return answer
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (tries - 1))
        raise AssertionError("the last try answers")

    def _may_call(self) -> bool:
        with self._lock:
            now = _moment()
            if not self._breaker.may_call(now, is_check=self._breaker.refuses_keys):
                return False
            self._breaker = self._breaker.beginning(now)
            return True

    def _heard(self, answer: Answer) -> None:
        with self._lock:
            now = _moment()
            match answer:
                case Away():
                    self._breaker = self._breaker.after_failure(now)
                case KeysRefused():
                    self._breaker = self._breaker.after_keys_refused(now)
                case _:
                    self._breaker = self._breaker.after_success()


def _moment() -> datetime:
    """A moment of this process alone, that no clock can turn back."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


def _page(since: datetime, after: str | None) -> Any:
    params: dict[str, Any] = {"created": {"gte": int(since.timestamp())}, "limit": PAGE_MAX}
    return params if after is None else params | {"starting_after": after}


def _called(call: Callable[[], Any]) -> Answer:
    """What came of one call; texts of errors quote what was sent, so only their codes are kept."""
    try:
        thing = call().to_dict()
    except (ConnectFailed, AnswerLost) as fault:
        return _away(str(fault))
    except stripe.StripeError as fault:
        return _refused(fault)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as fault:
        # The SDK reads what it is given: a decimal that is none is an ArithmeticError.
        return _away(f"unreadable_{type(fault).__name__}")
    if thing.get("object") == "list":
        return ToldMany(thing["data"], bool(thing.get("has_more")))
    return Told(thing)


def _refused(fault: stripe.StripeError) -> Answer:
    status = fault.http_status or 0
    if status in {401, 403}:
        log.error("stripe.keys_refused", status=status)
        return KeysRefused()
    if status >= 500 and (fault.headers or {}).get("idempotent-replayed") == "true":
        return FailureKept()
    # Somebody asks the same at this moment, or the answer is a gateway's or is unreadable.
    if status < 400 or status in {409, 429} or status >= 500:
        return _away(f"status_{status}")
    return Refused(fault.code or type(fault).__name__, status)


def _away(reason: str) -> Away:
    log.warning("stripe.away", reason=reason)
    return Away(reason)
