"""Write down who is in the pool and what each can still take: what a draw is made from (EC-095)."""

from array import array
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.books.rules import BookRules
from pipelines.distribution.plan import (
    UNLIMITED,
    DistributionOptions,
    Plan,
    Standing,
    make_plan,
)
from pipelines.errors import NotFound
from pipelines.user_pools.refusals import PoolArchived

#: Members in one row of the snapshot.
PIECE = 1_000

# Locked against changes of its members, which count themselves in this row, until the job is there.
_POOL = text("""
SELECT members_version, archived_at FROM user_pools WHERE id = :pool FOR SHARE
""")
# Counted up first: of two draws at once the second sees the first.
_NEXT_DRAW = text("UPDATE books SET draws = draws + 1 WHERE id = :book RETURNING draws")
_DRAW = text("""
INSERT INTO draws (job_id, agency_id, client_id, book_id, pool_id, number, seed, seed_is_given,
                   plan_hash, members)
VALUES (:job, :agency, :client, :book, :pool, :number, '', :is_given, '', 0)
""")
_SNAPSHOT = text("""
INSERT INTO draw_members (job_id, piece, agency_id, client_id, user_ids, capacities)
SELECT :job, (place - 1) / :piece, :agency, :client, array_agg(user_id ORDER BY place),
    array_agg(capacity ORDER BY place)
FROM (
    SELECT m.user_id, row_number() OVER (ORDER BY m.added_at, m.user_id) AS place,
        CASE WHEN u.disabled_at IS NOT NULL THEN -1
             ELSE least(CAST(:most AS integer),
                        greatest(0, CAST(:limit AS integer) - coalesce(c.assigned, 0))) END AS capacity
    FROM user_pool_members m
    JOIN client_users u ON u.client_id = m.client_id AND u.user_id = m.user_id
    LEFT JOIN coupon_counts c ON c.book_id = :book AND c.user_id = m.user_id
    WHERE m.pool_id = :pool) s
GROUP BY 2
""")
_CAPACITIES = text("SELECT capacities FROM draw_members WHERE job_id = :job ORDER BY piece")
_NAMED = text("""
UPDATE draws SET seed = :seed, plan_hash = :plan_hash, members = :members WHERE job_id = :job
""")


def stage_plan(
    session: Session, job_id: UUID, options: DistributionOptions, rules: BookRules, *, key: bytes
) -> Plan:
    """The plan of a distribution whose job is written already, with the snapshot it rests on.

    Raises `NotFound` for the pool, `PoolArchived`, `EmptyPool`, `TooFewForEqual`.
    """
    pool = session.execute(_POOL, {"pool": options.pool_id}).one_or_none()
    if pool is None:
        raise NotFound
    if pool.archived_at is not None:
        raise PoolArchived(
            "The pool is archived. Take it back into use before you distribute to it."
        )
    draws = session.execute(_NEXT_DRAW, {"book": rules.id}).scalar_one()
    values = {
        "job": job_id,
        "agency": rules.agency_id,
        "client": rules.client_id,
        "book": rules.id,
        "pool": options.pool_id,
        "number": draws,
        "is_given": options.seed is not None,
        "piece": PIECE,
        "limit": _or_unlimited(rules.max_assignments_per_user),
        "most": _or_unlimited(options.max_per_recipient),
    }
    session.execute(_DRAW, values)
    session.execute(_SNAPSHOT, values)
    standing = Standing(pool.members_version, rules.version, draws)
    plan = make_plan(options, standing, capacities_of(session, job_id), key=key)
    named = {"seed": plan.seed, "plan_hash": plan.plan_hash, "members": len(plan.capacities)}
    session.execute(_NAMED, named | {"job": job_id})
    return plan


def capacities_of(session: Session, job_id: UUID) -> Sequence[int]:
    """What each member could take when the job was accepted, in the pool's order."""
    capacities = array("i")
    for piece in session.execute(_CAPACITIES, {"job": job_id}).scalars():
        capacities.extend(piece)
    return capacities


def _or_unlimited(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit
