"""What a distribution would do, as its preview tells it: who, how many, who not and why (S3-050)."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.books.refusals import RecipientInactive
from pipelines.distribution.draw import Mode, commitment_of
from pipelines.distribution.lay_out import TOO_MANY
from pipelines.distribution.plan import Plan
from pipelines.distribution.stage import PIECE
from pipelines.distribution.submit import Foreseen

#: People listed of those affected and of those refused; the counts are of all.
SHOWN_MAX = 100

_PEOPLE = text("""
SELECT d.piece * :piece + u.n - 1 AS place, u.user_id, c.email, c.external_id
FROM draw_members d CROSS JOIN LATERAL unnest(d.user_ids) WITH ORDINALITY AS u (user_id, n)
LEFT JOIN client_users c ON c.client_id = d.client_id AND c.user_id = u.user_id
WHERE d.job_id = :job AND d.piece = ANY (:pieces)
""")


def preview_json(session: Session, foreseen: Foreseen, job_id: UUID) -> dict[str, Any]:
    """The preview of the API, read in the transaction that is rolled back.

    A random draw shows who may get something, not who will: whoever tries often must not choose.
    """
    plan = foreseen.plan
    wanted, beyond = _counts(plan)
    shown = [place for place, _count in zip(wanted, range(SHOWN_MAX), strict=False)]
    refused = list(_refused(plan, beyond))
    people = _people(session, job_id, [*shown, *(place for place, _why in refused[:SHOWN_MAX])])
    is_equal = plan.options.mode is Mode.EQUAL
    to_assign = plan.allowed()
    return {
        "plan_hash": plan.plan_hash,
        "mode": plan.options.mode.value,
        "count": plan.options.count,
        "rows": plan.items,
        "members": len(plan.capacities),
        "active": plan.active,
        "affected_count": len(wanted),
        "affected": [
            people[place] | {"count": wanted[place] if is_equal else None} for place in shown
        ],
        "per_user": plan.per_user if is_equal else None,
        "fewest_per_user": min(wanted.values(), default=0) if is_equal else None,
        "most_per_user": max(wanted.values(), default=0) if is_equal else None,
        "remainder": plan.remainder,
        "remainder_policy": plan.options.remainder_policy.value,
        "to_assign": to_assign,
        "refused_count": plan.items - to_assign,
        "refused": [people[place] | _said(why) for place, why in refused[:SHOWN_MAX]],
        "stock": {
            "available": foreseen.available,
            "after": max(0, foreseen.available - to_assign),
        },
        "seed_sha256": commitment_of(plan.seed),
        "draw_number": plan.standing.draws,
        "blockers": foreseen.blockers,
    }


def _said(why: tuple[str, str]) -> dict[str, str]:
    """A code and its sentence as members."""
    return {"code": why[0], "detail": why[1]}


def _counts(plan: Plan) -> tuple[dict[int, int], Counter[int]]:
    """How many each member gets (random: may get), and how many rows of each are refused."""
    if plan.options.mode is Mode.RANDOM:
        able = {place: 0 for place, left in enumerate(plan.capacities) if left > 0}
        return able, Counter()
    wanted: dict[int, int] = {}
    beyond: Counter[int] = Counter()
    for place, share in plan.equal_shares():
        gets = min(share, plan.capacities[place])
        if gets:
            wanted[place] = gets
        if share > gets:
            beyond[place] = share - gets
    return wanted, beyond


def _refused(plan: Plan, beyond: Counter[int]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Members who get nothing, or less than their share, and why."""
    for place, left in enumerate(plan.capacities):
        if left < 0:
            yield place, (RecipientInactive.code, RecipientInactive.detail)
        elif left == 0 or beyond[place]:
            yield place, ("user_limit_reached", TOO_MANY)


def _people(session: Session, job_id: UUID, places: list[int]) -> dict[int, dict[str, Any]]:
    pieces = sorted({place // PIECE for place in places})
    rows = session.execute(_PEOPLE, {"job": job_id, "piece": PIECE, "pieces": pieces})
    wanted = set(places)
    return {
        row.place: {"user_id": row.user_id, "email": row.email, "external_id": row.external_id}
        for row in rows
        if row.place in wanted
    }
