"""The work of SEND_EVENTS: send one endpoint what waits for it, call after call.

At least once: a worker that dies after the receiver took an event, and before that is written
down, leaves it to be sent again, under the same `event_id`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions
from models.locks import Namespace, wait_for_lock
from models.webhooks import EndpointState, WebhookState
from pipelines.limits import Limits
from pipelines.providers.asking import retry_after_seconds
from pipelines.providers.transport import AnswerLost, ConnectFailed, Manners, VendorTransport
from pipelines.queue.kinds import SEND_EVENTS
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone
from pipelines.telemetry import get_logger
from pipelines.webhooks.addresses import is_public, url_fault
from pipelines.webhooks.signing import EVENT_HEADER, SIGNATURE_HEADER, secret_of, signature
from pipelines.webhooks.standing import SLOW_MILLISECONDS, Called, call_over, conclude
from pipelines.webhooks.steps import wait_after

log = get_logger(__name__)

#: No call begins later than this after the task was taken: the lease covers one more.
TURN_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 1024
#: Calls of slow and failing endpoints, and tests, at one time: they leave threads to the others.
SLOW_PLACES = 3
#: Of one tenant, so that it delays itself and leaves places to the others.
SLOW_PLACES_OF_TENANT = 1
#: An endpoint that finds them taken looks again after this.
PLACE_WAIT = timedelta(seconds=2)
#: Answers that may say when to come again.
_SAY_WHEN = frozenset({429, 503})
#: Of the transport's own words those that owners understand; all others are `unreachable`.
_CAUSES = {
    "address_forbidden": "address_forbidden",
    "deadline": "timeout",
    "timeout": "timeout",
    "name_not_resolved": "name_not_resolved",
    "SSLCertVerificationError": "tls_failed",
    "SSLError": "tls_failed",
}
_ENDPOINT = """
SELECT id, agency_id, client_id, url, state, secret_version, old_secret_until, failing_since,
    told_level, is_slow, rests_until FROM webhook_endpoints WHERE id = :id
"""
_LOOK = text(_ENDPOINT)
_HOLD = text(f"{_ENDPOINT} FOR NO KEY UPDATE")
_NEXT = text("""
SELECT * FROM webhook_deliveries WHERE endpoint_id = :id AND state = 'waiting'
ORDER BY next_at, id LIMIT 1
""")
# What is sent while an endpoint rests, because its receiver asked for that.
_NEXT_TEST = text("""
SELECT * FROM webhook_deliveries WHERE endpoint_id = :id AND state = 'waiting' AND is_test
ORDER BY next_at, id LIMIT 1
""")
# A test concludes nothing, so it may hang each time: an endpoint with one due counts as slow. So does
# a call that lasts, however quick its endpoint was before.
_SLOW_CALLS = text("""
SELECT count(*) AS taken, count(*) FILTER (
    WHERE e.agency_id IS NOT DISTINCT FROM CAST(:agency AS uuid)
      AND e.client_id IS NOT DISTINCT FROM CAST(:client AS uuid)) AS own
FROM webhook_endpoints e
WHERE e.calling_until > :now AND e.id <> :id
  AND (e.is_slow OR e.calling_until <= CAST(:lasting AS timestamptz) OR EXISTS (
    SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.state = 'waiting'
      AND d.is_test AND d.next_at <= :now))
""")
_CALLING = text("UPDATE webhook_endpoints SET calling_until = :until WHERE id = :id")
_CANCEL = text("""
UPDATE webhook_deliveries SET state = 'cancelled', ended_at = :now, next_at = NULL,
    outcome = 'endpoint_disabled' WHERE id = :id AND state = 'waiting'
""")
# What was cancelled meanwhile stays so; that it was tried is written all the same.
_TRIED = text("""
UPDATE webhook_deliveries SET attempts = attempts + 1, outcome = :outcome,
    tries = tries || jsonb_build_array(jsonb_build_object('at', CAST(:now AS timestamptz),
        'outcome', CAST(:outcome AS text), 'milliseconds', CAST(:milliseconds AS integer))),
    state = CASE WHEN state = 'waiting' THEN :state ELSE state END,
    next_at = CASE WHEN state = 'waiting' THEN CAST(:next_at AS timestamptz) END,
    ended_at = CASE WHEN state <> 'waiting' THEN ended_at
        WHEN :state <> 'waiting' THEN CAST(:now AS timestamptz) END
WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Courier:
    """What sending needs: the way out, the key that secrets are made from, and chance."""

    transport: VendorTransport
    key: bytes
    anywhere: bool
    limits: Limits
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True, repr=False)
class _InHand:
    """A delivery about to be tried; what it is signed with is in `secrets`."""

    delivery: Row[Any]
    endpoint_id: UUID
    url: str
    secrets: list[str]
    now: datetime


def courier(*, key: bytes, anywhere: bool, limits: Limits, draw: Callable[[], float]) -> Courier:
    """With a transport that goes only where anybody may; with `anywhere`, wherever it is told."""
    may_reach = None if anywhere else is_public
    manners = Manners(ANSWER_BYTES_MAX, cuts_body=True, may_reach=may_reach)
    return Courier(VendorTransport(manners=manners), key, anywhere, limits, draw)


def send_events(sessions: Sessions, task: TaskInHand, *, courier: Courier) -> None:
    """Send what is due, for a turn; then the task waits until something else is."""
    begun = time.monotonic()
    until = settle_by(begun, SEND_EVENTS, courier.limits)

    def take(session: Session) -> _InHand | None:
        return _take(session, task, courier)

    while True:
        hand = settle_in_hand(sessions, task, take, until=until, draw=courier.draw)
        if hand is None:
            return
        called = _call(hand, courier)
        is_last = time.monotonic() > begun + TURN_SECONDS
        write = partial(_write, task=task, hand=hand, called=called, is_last=is_last, by=courier)
        settle_in_hand(sessions, task, write, until=until, draw=courier.draw)
        if is_last:
            return


def body_of(delivery: Row[Any]) -> bytes:
    """The bytes of an event, the same at every try."""
    told = {
        "event_id": str(delivery.event_id),
        "type": delivery.type,
        "sequence": delivery.sequence,
        "happened_at": delivery.happened_at.isoformat(),
        "object": {"kind": delivery.object_kind, "id": str(delivery.object_id)},
        "agency_id": _text(delivery.object_agency_id),
        "client_id": _text(delivery.object_client_id),
        "is_test": delivery.is_test,
        "data": delivery.data,
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)


def _take(session: Session, task: TaskInHand, courier: Courier) -> _InHand | None:
    """The next delivery that is due; None if there is none, and the task is put down."""
    now, endpoint_id = clock.now(session), UUID(task.args["endpoint_id"])
    endpoint = session.execute(_LOOK, {"id": endpoint_id}).one()
    call_ends = now + timedelta(seconds=2 * courier.limits.webhook_call_seconds)
    # So is one that was quick and has been called for that long.
    lasting = call_ends - timedelta(milliseconds=SLOW_MILLISECONDS)
    if _needs_place(session, endpoint, now) and not _has_place(session, endpoint, now, lasting):
        postpone(session, task, until=now + PLACE_WAIT, reason="slow_receivers")
        return None
    endpoint = session.execute(_HOLD, {"id": endpoint_id}).one()
    delivery = _due(session, endpoint, now)
    if delivery is None:
        _rest(session, task, endpoint, now)
        return None
    session.execute(_CALLING, {"id": endpoint_id, "until": call_ends})
    versions = [endpoint.secret_version]
    if endpoint.old_secret_until is not None and now < endpoint.old_secret_until:
        versions.append(endpoint.secret_version - 1)
    secrets = [secret_of(endpoint_id, version, key=courier.key) for version in versions]
    return _InHand(delivery, endpoint_id, endpoint.url, secrets, now)


def _next(session: Session, endpoint: Row[Any], now: datetime) -> Row[Any] | None:
    """What is to be sent next, due or not: tests alone while the endpoint rests."""
    statement = _NEXT_TEST if _rests(endpoint, now) else _NEXT
    return session.execute(statement, {"id": endpoint.id}).one_or_none()


def _rests(endpoint: Row[Any], now: datetime) -> bool:
    return endpoint.rests_until is not None and now < endpoint.rests_until


def _needs_place(session: Session, endpoint: Row[Any], now: datetime) -> bool:
    if endpoint.is_slow:
        return True
    delivery = _next(session, endpoint, now)
    return delivery is not None and delivery.is_test


def _has_place(session: Session, endpoint: Row[Any], now: datetime, lasting: datetime) -> bool:
    wait_for_lock(session, Namespace.WEBHOOK_PLACES, "slow")
    values = {"agency": endpoint.agency_id, "client": endpoint.client_id, "lasting": lasting}
    slow = session.execute(_SLOW_CALLS, values | {"id": endpoint.id, "now": now}).one()
    is_free: bool = slow.taken < SLOW_PLACES and slow.own < SLOW_PLACES_OF_TENANT
    return is_free


def _due(session: Session, endpoint: Row[Any], now: datetime) -> Row[Any] | None:
    """Of an endpoint that is not enabled only a test is sent; what else waits there is cancelled."""
    while True:
        delivery = _next(session, endpoint, now)
        if delivery is None or delivery.next_at > now:
            return None
        is_shut = endpoint.state == EndpointState.DELETED or not delivery.is_test
        if endpoint.state == EndpointState.ENABLED or not is_shut:
            return delivery
        session.execute(_CANCEL, {"id": delivery.id, "now": now})


def _call(hand: _InHand, courier: Courier) -> Called:
    """One call; the signature is made for its own moment."""
    if url_fault(hand.url, anywhere=courier.anywhere) is not None:
        return Called("address_forbidden", is_success=False, milliseconds=0)
    content = body_of(hand.delivery)
    headers = {
        SIGNATURE_HEADER: signature(content, hand.secrets, at=hand.now),
        EVENT_HEADER: str(hand.delivery.event_id),
    }
    deadline, begun = courier.limits.webhook_call_seconds, time.monotonic()
    asked: timedelta | None = None
    try:
        answer = courier.transport.request(
            "POST", hand.url, headers=headers, content=content, deadline_seconds=deadline
        )
        outcome, is_success = f"http_{answer.status}", 200 <= answer.status < 300
        if answer.status in _SAY_WHEN and "retry-after" in answer.headers:
            asked = timedelta(seconds=retry_after_seconds(answer))
    except (ConnectFailed, AnswerLost) as fault:
        outcome, is_success = _CAUSES.get(str(fault), "unreachable"), False
    return Called(outcome, is_success, round((time.monotonic() - begun) * 1000), asked)


def _write(
    session: Session,
    *,
    task: TaskInHand,
    hand: _InHand,
    called: Called,
    is_last: bool,
    by: Courier,
) -> None:
    now, delivery = clock.now(session), hand.delivery
    endpoint = session.execute(_HOLD, {"id": hand.endpoint_id}).one()
    if endpoint.url != hand.url:
        # The address was changed meanwhile, and this one's wish is not the other's.
        called = replace(called, asked=None)
    wait = wait_after(delivery.attempts + 1, draw=by.draw)
    if called.is_success:
        state, next_at = WebhookState.DELIVERED, None
    elif wait is None or delivery.is_test:
        state, next_at = WebhookState.FAILED, None
    else:
        state, next_at = WebhookState.WAITING, now + max(wait, called.asked or wait)
    values = {
        "id": delivery.id,
        "now": now,
        "outcome": called.outcome,
        "milliseconds": called.milliseconds,
        "state": state.value,
        "next_at": next_at,
    }
    session.execute(_TRIED, values)
    if delivery.is_test:
        call_over(session, hand.endpoint_id)
    else:
        conclude(session, endpoint, called, now=now)
    facts = {"delivery_id": str(delivery.id), "outcome": called.outcome, "state": state.value}
    log.info("webhook.tried", endpoint_id=str(hand.endpoint_id), **facts)
    if is_last:
        _rest(session, task, session.execute(_LOOK, {"id": hand.endpoint_id}).one(), now)


def _rest(session: Session, task: TaskInHand, endpoint: Row[Any], now: datetime) -> None:
    """Put the task down until the next delivery is due, or for good."""
    delivery = session.execute(_NEXT, {"id": endpoint.id}).one_or_none()
    if delivery is None:
        finish(session, task)
        return
    until = delivery.next_at
    if _rests(endpoint, now):
        test = _next(session, endpoint, now)
        until = test.next_at if test else max(until, endpoint.rests_until)
    postpone(session, task, until=until, reason="next_try")
