"""What the generic job machinery asks of provisioning: settle a round, reopen failed items."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.credit.hold import capture_and_void, payer_of, place_hold
from pipelines.jobs.kinds import PROVISIONING, JobKind, Reopened
from pipelines.jobs.layout import reopen_chunks
from pipelines.provisioning.large import give_up_plan, plan_job
from pipelines.provisioning.run_chunk import give_up, run_chunk

# What the round's hold still sets aside beyond the charge of items a person must look at.
_LEFT = text("""
SELECT h.amount - h.captured - h.voided - coalesce((
    SELECT sum(i.charge_minor) FROM items i
    WHERE i.job_id = h.job_id AND i.state = 'needs_review' AND i.round = h.round), 0) AS unused
FROM holds h WHERE h.job_id = :job AND h.round = :round AND h.state = 'open'
""")
_REOPEN_ITEMS = text("""
WITH reopened AS (
    UPDATE items SET state = 'pending', round = :round, code = NULL, detail = NULL, field = NULL
    WHERE job_id = :job AND state = 'failed' AND charge_minor > 0
    RETURNING chunk_number, charge_minor
)
SELECT count(*) AS items, coalesce(sum(charge_minor), 0) AS charge,
       array_agg(DISTINCT chunk_number) AS chunks FROM reopened
""")
_FREE_CODES = text("""
DELETE FROM redemption_codes WHERE job_id = :job
  AND NOT EXISTS (SELECT FROM items WHERE items.job_id = :job
                  AND items.state IN ('succeeded', 'needs_review'))
""")


def settle(session: Session, job: Row[Any], now: datetime) -> None:
    """Give back what no item needs any more, and free a redemption code that bought nothing."""
    values = {"job": job.id, "round": job.round}
    if job.spec.get("has_redemption_code"):
        session.execute(_FREE_CODES, values)
    unused = session.execute(_LEFT, values).scalar_one_or_none()
    if unused:
        capture_and_void(
            session,
            job_id=job.id,
            round_number=job.round,
            captured=0,
            voided=int(unused),
            client_ref="",
            transfer_id=None,
            now=now,
        )


def reopen(session: Session, job: Row[Any], round_number: int) -> Reopened:
    """Make the failed items pending again.

    Items refused at intake have no charge: they need a corrected row, not another try. A
    redemption code that bought nothing was freed and may be in other hands: it is sent again.
    """
    if job.spec.get("has_redemption_code"):
        return Reopened(0, 0)
    values = {"job": job.id, "round": round_number}
    found = session.execute(_REOPEN_ITEMS, values).one()
    reopen_chunks(session, job.id, found.chunks)
    return Reopened(int(found.items), int(found.charge))


def hold(session: Session, job: Row[Any], round_number: int, charge_minor: int) -> None:
    """Set the charge of a new round aside at its payer of today."""
    payer = payer_of(session, job.campaign_id, job.currency)
    place_hold(session, payer, job_id=job.id, round_number=round_number, amount=charge_minor)


KIND = JobKind(
    PROVISIONING,
    settle=settle,
    plan=plan_job,
    give_up_plan=give_up_plan,
    run_chunk=run_chunk,
    give_up=give_up,
    reopen=reopen,
    hold=hold,
)
