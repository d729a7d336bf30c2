"""What the generic job machinery asks of a distribution, and what came of one."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from pipelines.books.read import book_rules
from pipelines.distribution.draw import commitment_of
from pipelines.distribution.plan_job import close_draw, give_up_plan, plan_distribution
from pipelines.distribution.results import results_csv
from pipelines.distribution.run_chunk import give_up, run_chunk
from pipelines.distribution.undo import UNDO
from pipelines.jobs.kinds import DISTRIBUTION, Ended, JobKind, Reopened, Viewer
from pipelines.jobs.layout import reopen_failed

#: People listed in a result; the results file has them all.
PEOPLE_SHOWN = 100

# Every round gives its part of the deck back when it ends.
_DRAW = text("""
SELECT number, seed, seed_is_given, plan_hash, members, shares FROM draws WHERE job_id = :job
""")
_PEOPLE = text("""
SELECT user_id, count(*) FILTER (WHERE state = 'succeeded') AS assigned,
    count(*) FILTER (WHERE state <> 'succeeded') AS refused
FROM items WHERE job_id = :job GROUP BY user_id ORDER BY assigned DESC, user_id LIMIT :limit
""")
_SUMMARY = text("""
SELECT count(*) AS people, coalesce(sum(assigned), 0) AS assigned,
    count(*) FILTER (WHERE assigned > 0) AS served, coalesce(min(assigned), 0) AS least,
    coalesce(max(assigned), 0) AS most
FROM (SELECT count(*) FILTER (WHERE state = 'succeeded') AS assigned
      FROM items WHERE job_id = :job GROUP BY user_id) p
""")
_KEEP_SHARES = text("UPDATE draws SET shares = CAST(:shares AS jsonb) WHERE job_id = :job")


def settle(session: Session, job: Row[Any], now: datetime) -> None:
    """What was set aside and not given is everybody's again; who got how many is counted once."""
    close_draw(session, job.id, now)
    shares = json.dumps(_count_shares(session, job.id), default=str)
    session.execute(_KEEP_SHARES, {"job": job.id, "shares": shares})


def reopen(session: Session, job: Row[Any], round_number: int, _now: datetime) -> Reopened:
    """Try again what failed, with other coupons; who was passed over for a limit stays so."""
    return reopen_failed(session, job.id, round_number)


def may_begin(session: Session, job: Row[Any], begins_at: datetime) -> None:
    """Raises `BookClosed`, `BookExpired`, as at submit."""
    rules = book_rules(session, UUID(job.spec["book_id"]))
    refusal = rules.refuse_distribution(begins_at, clock.now(session))
    if refusal is not None:
        raise refusal


def outcome(session: Session, job: Row[Any], _viewer: Viewer) -> Ended:
    """Statistics, counts per person, and the seed, from which anybody can draw again (S3-051, S3-054)."""
    draw = session.execute(_DRAW, {"job": job.id}).one_or_none()
    if draw is None:
        return None, None
    # A job that was refused before it began was never settled.
    shares = draw.shares or _count_shares(session, job.id)
    return {
        "distribution": {
            "mode": job.spec["mode"],
            "count": job.spec["count"],
            "members": draw.members,
            **shares,
            "seed": draw.seed,
            "seed_is_given": draw.seed_is_given,
            "seed_sha256": commitment_of(draw.seed),
            "draw_number": draw.number,
            "plan_hash": draw.plan_hash,
        }
    }, None


def _count_shares(session: Session, job_id: UUID) -> dict[str, Any]:
    """How many coupons people got, and those who got most by name; reads every item."""
    summary = session.execute(_SUMMARY, {"job": job_id}).one()
    people = session.execute(_PEOPLE, {"job": job_id, "limit": PEOPLE_SHOWN}).all()
    return {
        "assigned": int(summary.assigned),
        "people": summary.people,
        "people_served": summary.served,
        "fewest_per_user": summary.least,
        "most_per_user": summary.most,
        "per_user": [
            {
                "user_id": person.user_id,
                "assigned": person.assigned,
                "not_assigned": person.refused,
            }
            for person in people
        ],
        "per_user_shown": len(people),
    }


KIND = JobKind(
    DISTRIBUTION,
    settle=settle,
    plan=plan_distribution,
    give_up_plan=give_up_plan,
    run_chunk=run_chunk,
    give_up=give_up,
    reopen=reopen,
    may_begin=may_begin,
    outcome=outcome,
    results=results_csv,
    undo=UNDO,
)
