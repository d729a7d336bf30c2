"""How an endpoint stands after a call, and what its owner is told of it (EC-133)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.alerts import Severity
from models.webhooks import EndpointState
from pipelines.alerts.kinds import WEBHOOK_FAILING
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.telemetry import get_logger
from pipelines.webhooks.steps import DAY, PATIENCE, Trouble, trouble

log = get_logger(__name__)

#: Why an endpoint is disabled.
BY_PERSON, NO_SUCCESS, GONE = "by_person", "no_success", "gone"
#: A call that took longer makes its endpoint one of the slow.
SLOW_MILLISECONDS = 2_000

_WELL = text("""
UPDATE webhook_endpoints SET succeeded_at = :now, failing_since = NULL, told_level = 0,
    is_slow = :is_slow, rests_until = NULL WHERE id = :id
""")
_RESTS = text("UPDATE webhook_endpoints SET rests_until = :until WHERE id = :id")
_ILL = text("""
UPDATE webhook_endpoints SET failing_since = :since, told_level = :level, is_slow = true
WHERE id = :id
""")
_CALL_OVER = text("UPDATE webhook_endpoints SET calling_until = NULL WHERE id = :id")
_DISABLE = text("""
UPDATE webhook_endpoints SET state = :state, disabled_at = :now, disabled_for = :reason
WHERE id = :id AND state = 'enabled' RETURNING id
""")
_DELETE = text("UPDATE webhook_endpoints SET state = 'deleted' WHERE id = :id")
# A test is a person's, who waits for it.
_CANCEL = text("""
UPDATE webhook_deliveries SET state = 'cancelled', ended_at = :now, next_at = NULL,
    outcome = coalesce(outcome, 'endpoint_disabled')
WHERE endpoint_id = :id AND state = 'waiting' AND NOT is_test
""")
_FAILING = text("""
SELECT id, agency_id, client_id, state, failing_since, told_level FROM webhook_endpoints
WHERE state = 'enabled' AND (failing_since <= :long_ago AND told_level < 3
    OR failing_since <= :a_day_ago AND told_level < 2)
ORDER BY id FOR NO KEY UPDATE
""")


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to: a word of ours, never of the receiver; how long it took.

    `asked`: for how long the receiver asked to be left alone, an hour at the most.
    """

    outcome: str
    is_success: bool
    milliseconds: int
    asked: timedelta | None = None

    @property
    def is_gone(self) -> bool:
        """The receiver says that nobody listens there any more."""
        return self.outcome == "http_410"


def conclude(session: Session, endpoint: Row[Any], called: Called, *, now: datetime) -> None:
    """Draw the consequences of a call for its endpoint, whose row the caller has locked."""
    session.execute(_CALL_OVER, {"id": endpoint.id})
    if not called.is_success:
        if called.asked is not None:
            session.execute(_RESTS, {"id": endpoint.id, "until": now + called.asked})
        since = endpoint.failing_since or now
        level = Trouble.DISABLED if called.is_gone else trouble(since, now=now)
        _ill(session, endpoint, since, level, now=now, reason=GONE if called.is_gone else None)
        return
    is_slow = called.milliseconds > SLOW_MILLISECONDS
    session.execute(_WELL, {"id": endpoint.id, "now": now, "is_slow": is_slow})
    if endpoint.told_level:
        settle(session, endpoint, now=now)


def call_over(session: Session, endpoint_id: UUID) -> None:
    """A test is over, and nothing is concluded from it."""
    session.execute(_CALL_OVER, {"id": endpoint_id})


def look_after_failing(session: Session, now: datetime) -> None:
    """Tell of endpoints that have failed for a day, and disable after three, calls or not."""
    values = {"long_ago": now - PATIENCE, "a_day_ago": now - DAY}
    for endpoint in session.execute(_FAILING, values).all():
        since = endpoint.failing_since
        _ill(session, endpoint, since, trouble(since, now=now), now=now)


def disable(session: Session, endpoint_id: UUID, reason: str, *, now: datetime) -> bool:
    """Nothing is sent there any more, and what waited is cancelled; False if it was so before."""
    return _end(session, endpoint_id, EndpointState.DISABLED, reason, now=now)


def delete(session: Session, endpoint_id: UUID, *, now: datetime) -> None:
    """As `disable`, for good."""
    if not _end(session, endpoint_id, EndpointState.DELETED, BY_PERSON, now=now):
        session.execute(_DELETE, {"id": endpoint_id})


def settle(session: Session, endpoint: Row[Any], *, now: datetime) -> None:
    """Whatever was told of the endpoint is over."""
    settle_alert(
        session,
        WEBHOOK_FAILING,
        subject_id=endpoint.id,
        agency_id=endpoint.agency_id,
        client_id=endpoint.client_id,
        now=now,
    )


def _ill(
    session: Session,
    endpoint: Row[Any],
    since: datetime,
    level: Trouble,
    *,
    now: datetime,
    reason: str | None = None,
) -> None:
    told = max(level, endpoint.told_level)
    session.execute(_ILL, {"id": endpoint.id, "since": since, "level": int(told)})
    if level is Trouble.DISABLED:
        disable(session, endpoint.id, reason or NO_SUCCESS, now=now)
    if level <= endpoint.told_level:
        return
    raise_alert(
        session,
        WEBHOOK_FAILING,
        subject_id=endpoint.id,
        detail={"hours_without_success": int((now - since).total_seconds() // 3600)},
        now=now,
        agency_id=endpoint.agency_id,
        client_id=endpoint.client_id,
        severity=Severity.CRITICAL if level is Trouble.DISABLED else None,
        level=int(level),
    )
    log.warning("webhook.endpoint_failing", endpoint_id=str(endpoint.id), level=level.name)


def _end(
    session: Session, endpoint_id: UUID, state: EndpointState, reason: str, *, now: datetime
) -> bool:
    named = {"id": endpoint_id, "now": now}
    values = named | {"state": state.value, "reason": reason}
    ended = session.execute(_DISABLE, values).scalar_one_or_none() is not None
    session.execute(_CANCEL, named)
    return ended
