"""What a draw was made from: for whoever wants to draw it again (docs/draw.md)."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.jobs import JobState
from models.scope import Scope
from pipelines.distribution.draw import commitment_of
from pipelines.distribution.stage import PIECE
from pipelines.errors import NotFound
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.jobs.states import ENDED

MEMBER_COLUMNS = ("place", "user_id", "capacity")

_DRAW = text("""
SELECT d.job_id, d.number, d.seed, d.seed_is_given, d.plan_hash, d.members, j.state, j.spec
FROM draws d JOIN jobs j ON j.id = d.job_id WHERE d.job_id = :job AND j.kind = 'distribution'
""")
_PIECE = text("""
SELECT user_ids, capacities FROM draw_members WHERE job_id = :job AND piece = :piece
""")


def draw_json(session: Session, job_id: UUID) -> dict[str, Any]:
    """The draw of a distribution; its seed is told when the job has ended. Raises `NotFound`."""
    row = session.execute(_DRAW, {"job": job_id}).one_or_none()
    if row is None:
        raise NotFound
    base = f"/api/v1/jobs/{job_id}"
    return {
        "job_id": row.job_id,
        "mode": row.spec["mode"],
        "count": row.spec["count"],
        "remainder_policy": row.spec["remainder_policy"],
        "draw_number": row.number,
        "plan_hash": row.plan_hash,
        "seed_sha256": commitment_of(row.seed),
        "seed": row.seed if JobState(row.state) in ENDED else None,
        "seed_is_given": row.seed_is_given,
        "members": row.members,
        "members_csv": f"{base}/draw-members.csv",
        "results_csv": f"{base}/results.csv",
    }


def members_csv(sessions: Sessions, scope: Scope, job_id: UUID) -> Iterator[bytes]:
    """Everybody who was in the pool, in its order, with how many each could still take.

    -1 stands for who was not active. Raises `NotFound` before the first block.
    """
    with scoped_transaction(sessions, scope) as session:
        draw_json(session, job_id)
    return csv_blocks(MEMBER_COLUMNS, _members(sessions, scope, job_id))


def _members(sessions: Sessions, scope: Scope, job_id: UUID) -> Iterator[tuple[int, str, int]]:
    for piece in count():
        values = {"job": job_id, "piece": piece}
        with scoped_transaction(sessions, scope) as session:
            row = session.execute(_PIECE, values).one_or_none()
        if row is None:
            return
        for number, user_id in enumerate(row.user_ids):
            yield piece * PIECE + number, str(user_id), row.capacities[number]
