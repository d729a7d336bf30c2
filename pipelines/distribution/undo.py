"""What an undo of a distribution would do: coupons that nobody used go back into their book."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.jobs import ItemState
from pipelines.jobs.kinds import DISTRIBUTION_UNDO, Undo, UndoTally
from pipelines.jobs.verdicts import Verdict

ALREADY_REDEEMED = Verdict(
    ItemState.FAILED, "already_redeemed", "The coupon was redeemed; it stays with its holder."
)
STILL_LOCKED = Verdict(
    ItemState.FAILED,
    "coupon_locked",
    "Its holder has set the coupon aside just now. Undo the rest again in five minutes.",
)
COUPON_VOID = Verdict(ItemState.SKIPPED, "coupon_void", "The coupon was withdrawn; it is nobody's.")
ALREADY_RELEASED = Verdict(
    ItemState.SKIPPED, "already_released", "The coupon was taken back already."
)
#: SQL: why the coupon `c` is not taken back at :now; NULL for one that is.
WHY_NOT = """CASE WHEN c.state = 'void' THEN 'coupon_void'
    WHEN c.redemptions > 0 THEN 'already_redeemed'
    WHEN c.state = 'locked' AND c.locked_until > :now THEN 'coupon_locked' END"""
VERDICTS: Mapping[str, Verdict] = {
    verdict.code: verdict
    for verdict in (ALREADY_REDEEMED, STILL_LOCKED, COUPON_VOID, ALREADY_RELEASED)
}
# Whose coupon was released since has no coupon of this job any more.
_TALLY = text(f"""
SELECT why, count(*) AS coupons FROM (
    SELECT CASE WHEN c.id IS NULL THEN 'already_released' ELSE {WHY_NOT} END AS why
    FROM items i LEFT JOIN coupons c
      ON c.assigned_job_id = i.job_id AND c.assigned_position = i.position
    WHERE i.job_id = :job AND i.state = 'succeeded') w
GROUP BY why ORDER BY why
""")


def tally(session: Session, job: Row[Any]) -> UndoTally:
    """What of the distribution can be taken back, and what cannot."""
    counts = {
        row.why: row.coupons
        for row in session.execute(_TALLY, {"job": job.id, "now": clock.now(session)})
    }
    undoable = counts.pop(None, 0)
    left = tuple((code, VERDICTS[code].detail, count) for code, count in counts.items())
    return UndoTally(undoable, left)


def _spec(original: Mapping[str, Any]) -> dict[str, Any]:
    return {"book_id": original["book_id"], "pool_id": original["pool_id"]}


UNDO = Undo(DISTRIBUTION_UNDO, tally, _spec)
