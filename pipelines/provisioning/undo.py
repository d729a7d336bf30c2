"""What an undo of cards would do: counted before it is accepted, and refused where it cannot be."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.jobs.kinds import PROVISIONING_UNDO, Undo, UndoTally
from pipelines.jobs.refusals import NotUndoable
from pipelines.provisioning.undo_chunk import ALREADY_REPLACED, ALREADY_REVEALED, ALREADY_UNDONE

#: A request whose code the recipient has spent.
_CODE_SPENT = (
    "The recipient paid for this card with a redemption code, which cannot be given back to "
    "them. Give them another card if this one must go."
)
_TALLY = text("""
SELECT count(*) FILTER (WHERE is_live AND revealed_at IS NULL) AS undoable,
    coalesce(sum(charge_minor) FILTER (WHERE is_live AND revealed_at IS NULL), 0) AS refund,
    count(*) FILTER (WHERE is_live AND revealed_at IS NOT NULL) AS revealed,
    count(*) FILTER (WHERE undone_at IS NOT NULL) AS undone,
    count(*) FILTER (WHERE replaced_at IS NOT NULL) AS replaced
FROM (SELECT *, undone_at IS NULL AND replaced_at IS NULL AS is_live
      FROM provisions WHERE job_id = :job) p
""")


def tally(session: Session, job: Row[Any]) -> UndoTally:
    """What can be taken back of the job and what cannot. Raises `NotUndoable`."""
    if job.spec.get("has_redemption_code"):
        raise NotUndoable(_CODE_SPENT)
    row = session.execute(_TALLY, {"job": job.id}).one()
    left = (
        (ALREADY_REVEALED, row.revealed),
        (ALREADY_UNDONE, row.undone),
        (ALREADY_REPLACED, row.replaced),
    )
    return UndoTally(
        row.undoable,
        tuple((why.code, why.detail, count) for why, count in left if count),
        refund_minor=int(row.refund),
        currency=job.currency or "",
    )


def _spec(original: Mapping[str, Any]) -> dict[str, Any]:
    return {"brand_id": original.get("brand_id")}


UNDO = Undo(PROVISIONING_UNDO, tally, _spec)
