"""What the generic job machinery asks of provisioning: settle a round, reopen failed items."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.credit.follow import follow_job
from pipelines.credit.hold import capture_and_void, payer_of, place_hold
from pipelines.jobs.kinds import PROVISIONING, JobKind, Reopened
from pipelines.jobs.layout import reopen_chunks
from pipelines.provisioning.conditions import check_window, conditions_of, refuse_beyond
from pipelines.provisioning.funding import fund
from pipelines.provisioning.large import give_up_plan, plan_job
from pipelines.provisioning.result import single_outcome
from pipelines.provisioning.run_chunk import give_up, run_chunk
from pipelines.provisioning.undo import UNDO

# What the round's hold still sets aside beyond the charge of items a person must look at.
_LEFT = text("""
SELECT h.amount - h.captured - h.voided - coalesce((
    SELECT sum(i.charge_minor) FROM items i
    WHERE i.job_id = h.job_id AND i.state = 'needs_review' AND i.round = h.round), 0) AS unused
FROM holds h WHERE h.job_id = :job AND h.round = :round AND h.state = 'open'
""")
_REOPEN = """
WITH reopened AS (
    UPDATE items SET state = 'pending', round = :round, code = NULL, detail = NULL, field = NULL
    WHERE job_id = :job AND {which}
    RETURNING chunk_number, charge_minor
)
SELECT count(*) AS items, coalesce(sum(charge_minor), 0) AS charge,
       coalesce(array_agg(DISTINCT chunk_number), '{{}}') AS chunks FROM reopened
"""
_REOPEN_FAILED = text(
    _REOPEN.format(which="state = 'failed' AND charge_minor > 0 AND NOT :was_code_freed")
)
_REOPEN_WAITING = text(
    _REOPEN.format(which="state = 'needs_review' AND code = 'margin_below_floor'")
)
# Their credit is still held, each in the hold of its round.
_WAITING_FOR_MARGIN = text("""
SELECT round, sum(charge_minor) AS charge FROM items
WHERE job_id = :job AND state = 'needs_review' AND code = 'margin_below_floor'
GROUP BY round ORDER BY round
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
    cheapest = job.spec.get("cheapest_minor") or job.spec["denomination_minor"] or 0
    follow_job(session, job.id, round_number=job.round, cheapest_minor=cheapest)


def reopen(session: Session, job: Row[Any], round_number: int, now: datetime) -> Reopened:
    """Make the failed items pending again, and those that waited for their margin (EC-081).

    Items refused at intake have no charge: they need a corrected row, not another try. A
    redemption code that bought nothing was freed and may be in other hands: it is sent again.
    Raises `RewardsExhausted`, `RecipientLimitReached` where the campaign has no place for what failed:
    what waited has its place, and so has the card that takes another's.
    """
    waited = session.execute(_WAITING_FOR_MARGIN, {"job": job.id}).all()
    was_code_freed = bool(job.spec.get("has_redemption_code"))
    values = {"job": job.id, "round": round_number, "was_code_freed": was_code_freed}
    failed = session.execute(_REOPEN_FAILED, values).one()
    if failed.items and "replaces" not in job.spec:
        refuse_beyond(
            session, campaign_id=job.campaign_id, job_id=job.id, round_number=round_number
        )
    waiting = session.execute(_REOPEN_WAITING, values).one()
    reopen_chunks(session, job.id, sorted({*failed.chunks, *waiting.chunks}))
    return Reopened(
        failed.items + waiting.items,
        int(failed.charge + waiting.charge),
        still_held={group.round: int(group.charge) for group in waited},
    )


def hold(
    session: Session, job: Row[Any], round_number: int, reopened: Reopened, now: datetime
) -> None:
    """Set the charge of a new round aside at its payer of today; what earlier rounds held is freed."""
    for earlier, amount in sorted(reopened.still_held.items()):
        capture_and_void(
            session,
            job_id=job.id,
            round_number=earlier,
            captured=0,
            voided=amount,
            client_ref="",
            transfer_id=None,
            now=now,
        )
    payer = payer_of(session, job.campaign_id, job.currency)
    place_hold(
        session, payer, job_id=job.id, round_number=round_number, amount=reopened.charge_minor
    )


def may_begin(session: Session, job: Row[Any], begins_at: datetime) -> None:
    """Raises `CampaignNotStarted`, `CampaignEnded`; the card that takes another's place is owed."""
    if "replaces" not in job.spec:
        check_window(conditions_of(session, job.campaign_id), begins_at)


KIND = JobKind(
    PROVISIONING,
    settle=settle,
    plan=plan_job,
    give_up_plan=give_up_plan,
    run_chunk=run_chunk,
    give_up=give_up,
    reopen=reopen,
    hold=hold,
    fund=fund,
    may_begin=may_begin,
    outcome=single_outcome,
    undo=UNDO,
)
