"""Set right how often a code is counted as used, where that is not what is there (EC-022, S2-110..113).

Codes are looked over together; each that differs is counted once more with its row locked, when
nobody can take or give back a slot of it. A small difference is corrected and told; a large one waits
for a person, as it says that something is broken. Money is never corrected so.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.alerts.payment_kinds import USAGE_DRIFT
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import record
from pipelines.queue.work import TaskInHand, fence, finish
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: What is corrected without a person: so many uses, or so many hundredths of what is there.
SMALL_USES = 5
SMALL_PERCENT = 1
CODES_AT_ONCE = 500
SAMPLES = 5

_COUNTED = """
    count(*) FILTER (WHERE NOT is_overflow) AS used,
    count(*) FILTER (WHERE is_overflow) AS overflow
"""
_STANDING = "state <> 'released' AND restored IS NULL"
_DIFFERENT = text(f"""
SELECT c.id FROM discount_codes c
LEFT JOIN (SELECT code_id, {_COUNTED} FROM discount_usages WHERE {_STANDING} GROUP BY code_id) u
  ON u.code_id = c.id
WHERE (CAST(:after AS uuid) IS NULL OR c.id > :after)
  AND (c.used <> coalesce(u.used, 0) OR c.overflow_uses <> coalesce(u.overflow, 0))
ORDER BY c.id LIMIT :limit
""")
_LOCK = text("""
SELECT id, agency_id, client_id, used, overflow_uses, max_uses FROM discount_codes
WHERE id = :code FOR NO KEY UPDATE
""")
# A statement of its own: it sees what was committed until the row was locked.
_THERE = text(f"""
SELECT {_COUNTED}, (array_agg(id ORDER BY id DESC))[1:{SAMPLES}] AS newest
FROM discount_usages WHERE code_id = :code AND {_STANDING}
""")
_CORRECT = text("""
UPDATE discount_codes SET used = :used, overflow_uses = :overflow WHERE id = :code
""")


def reconcile_discounts(sessions: Sessions, task: TaskInHand) -> None:
    """The work of RECONCILE_DISCOUNTS: one code after another, each in a transaction of its own."""
    after: UUID | None = None
    while True:
        with transaction(sessions) as session:
            values = {"after": after, "limit": CODES_AT_ONCE}
            found = session.execute(_DIFFERENT, values).scalars().all()
        for code_id in found:
            with transaction(sessions) as session:
                fence(session, task)
                correct_count(session, code_id, now=clock.now(session))
        if len(found) < CODES_AT_ONCE:
            break
        after = found[-1]
    with transaction(sessions) as session:
        fence(session, task)
        finish(session, task)


def correct_count(session: Session, code_id: UUID, *, now: datetime) -> bool:
    """Count one code's uses with its row locked, and set a small difference right; whether it differed."""
    code = session.execute(_LOCK, {"code": code_id}).one()
    there = session.execute(_THERE, {"code": code_id}).one()
    if (code.used, code.overflow_uses) == (there.used, there.overflow):
        return False
    drift = abs(code.used - there.used) + abs(code.overflow_uses - there.overflow)
    # More than the limit are confirmed only beside it: then it is no count that is wrong.
    is_small = is_corrected_alone(drift, there.used) and (
        code.max_uses is None or there.used <= code.max_uses
    )
    tenant = {"agency_id": code.agency_id, "client_id": code.client_id}
    raise_alert(
        session,
        USAGE_DRIFT,
        subject_id=code_id,
        detail={"counted": code.used, "there": there.used, "corrected": int(is_small)},
        now=now,
        **tenant,
    )
    log.error("discounts.usage_drift", code_id=str(code_id), drift=drift, corrected=is_small)
    if not is_small:
        return True
    session.execute(_CORRECT, {"code": code_id, "used": there.used, "overflow": there.overflow})
    settle_alert(session, USAGE_DRIFT, subject_id=code_id, now=now, **tenant)
    record(
        session,
        "discount.count_corrected",
        object_kind="discount",
        object_id=code_id,
        actor_id=None,
        detail={
            "used": [code.used, there.used],
            "overflow_uses": [code.overflow_uses, there.overflow],
            "newest": [str(usage) for usage in there.newest or ()],
        },
        **tenant,
    )
    return True


def is_corrected_alone(drift: int, there: int) -> bool:
    """Whether a difference of so many, beside so many that are there, needs no person."""
    return drift <= max(SMALL_USES, there * SMALL_PERCENT // 100)
