"""Take back a start when nobody heard whether it was committed, and its worker lives.

Three starts without an outcome are taken for deaths, so a start that only its reply's loss left
without one must not stay counted; and a death must never be taken back, or poison would never end.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.queue.work import TaskInHand

# The server knows what became of the start's transaction. The id of one that a crash of the server
# undid may be given again; that once, a start of another would be taken for ours.
_OUTCOME = text("SELECT pg_xact_status(CAST(:xid AS xid8))")
# The same token means that nobody put the task down since, so what was counted since, ours and
# others' deaths, is still counted: one less, ours. The token grows, so this is done once.
_TAKE_BACK = text("""
WITH mine AS (
    SELECT id FROM tasks WHERE id = :id AND lease_token = :token AND state = 'ready'
        AND starts >= :starts AND starts > attempts
), free AS (
    SELECT id FROM tasks WHERE id IN (SELECT id FROM mine) FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE tasks SET starts = starts - 1, lease_token = lease_token + 1, lease_until = NULL,
        rung_at = NULL
    FROM free WHERE tasks.id = free.id AND tasks.lease_token = :token RETURNING tasks.id
)
SELECT EXISTS (SELECT FROM mine WHERE id NOT IN (SELECT id FROM taken))
""")


def take_back(session: Session, task: TaskInHand) -> bool:
    """Uncount this start if it was committed and nothing came of it; False = ask again later."""
    outcome = session.execute(_OUTCOME, {"xid": task.xid}).scalar_one()
    if outcome == "in progress":
        return False
    if outcome != "committed":
        return True
    values = {"id": task.id, "token": task.token, "starts": task.starts}
    is_held: bool = session.execute(_TAKE_BACK, values).scalar_one()
    return not is_held
