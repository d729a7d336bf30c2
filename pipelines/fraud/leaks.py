"""A shared code that spreads far faster than it ever did is paused, and a person looks (EC-017).

Its pace is told from its own day before. A code in its first day has none and is not watched, nor one
that is for few customers anyway, nor one of which somebody has said that it may spread.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.alerts.payment_kinds import CODE_LEAK_SUSPECTED
from pipelines.alerts.raise_alert import raise_alert
from pipelines.audit.record import record
from pipelines.limits import Limits

PAUSE_REASON = "leak_suspected"
DAY = timedelta(days=1)
#: Whoever had more than this part of it before has not leaked, but is well known.
FAR_FEWER = 10
#: Of the window these are looked at for each customer that is too many: one may come again and again.
LOOKED_AT_TIMES = 4

_CODE = text("""
SELECT c.id, c.agency_id, c.client_id, c.code, c.resumed_at, c.max_uses,
    greatest(c.created_at, coalesce(r.starts_at, c.created_at)) AS began_at
FROM discount_codes c JOIN discount_rules r ON r.code_id = c.id AND r.version = c.rules_version
WHERE c.id = :code AND c.state = 'active' AND c.watch_leaks
""")
_CUSTOMERS = text("""
SELECT count(DISTINCT customer_keys) FROM (
    SELECT customer_keys FROM discount_usages
    WHERE code_id = :code AND created_at > :since ORDER BY created_at DESC LIMIT :most) lately
""")
_BEFORE = text("""
SELECT count(*) FROM (
    SELECT FROM discount_usages
    WHERE code_id = :code AND created_at > :day AND created_at <= :since LIMIT :most) before
""")
_PAUSE = text("""
UPDATE discount_codes SET state = 'paused', pause_reason = :reason, version = version + 1,
    updated_at = :now
WHERE id = :code AND state = 'active'
""")


def watch_leak(session: Session, code_id: UUID, *, now: datetime, limits: Limits) -> bool:
    """Pause a code that has leaked, by its reservation that was made in this transaction.

    Whoever has reserved it can still pay. The code's row is locked since its slot was taken.
    """
    code = session.execute(_CODE, {"code": code_id}).one_or_none()
    most = limits.leak_customers_max
    if code is None or not is_watched(code.max_uses, code.began_at, now, most):
        return False
    window = timedelta(seconds=limits.leak_window_seconds)
    since = max(now - window, code.resumed_at or now - window)
    looked_at = {"code": code_id, "since": since, "most": (most + 1) * LOOKED_AT_TIMES}
    customers = int(session.execute(_CUSTOMERS, looked_at).scalar_one())
    if customers <= most:
        return False
    enough = int(most * (DAY / window)) // FAR_FEWER
    before = {"code": code_id, "since": since, "day": since - DAY, "most": enough}
    if int(session.execute(_BEFORE, before).scalar_one()) >= enough:
        return False
    _pause(session, code, customers, now)
    return True


def is_watched(max_uses: int | None, began_at: datetime, now: datetime, most: int) -> bool:
    """Whether a code has a pace of its own, and is for more customers than would be too many."""
    return now - began_at >= DAY and (max_uses is None or max_uses > most)


def _pause(session: Session, code: Row[Any], customers: int, now: datetime) -> None:
    session.execute(_PAUSE, {"code": code.id, "reason": PAUSE_REASON, "now": now})
    tenant = {"agency_id": code.agency_id, "client_id": code.client_id}
    detail: dict[str, str | int | None] = {"customers": customers}
    raise_alert(session, CODE_LEAK_SUSPECTED, subject_id=code.id, detail=detail, now=now, **tenant)
    record(
        session,
        "discount.paused",
        object_kind="discount",
        object_id=code.id,
        actor_id=None,
        detail={"state": [CodeState.ACTIVE, CodeState.PAUSED], "reason": PAUSE_REASON},
        **tenant,
    )
