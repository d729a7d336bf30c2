"""Pause, resume or put away the codes that belong together, however many they are (S2-131, S2-128)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.alerts.payment_kinds import ASSIGNED_CODE_LEAKED, CODE_LEAK_SUSPECTED
from pipelines.alerts.raise_alert import Sighting, signal_all

#: Codes that one statement moves: short enough for the limit on statements of the front.
MOVED_AT_ONCE = 20_000

# In the order in which slots that are given back lock their codes.
_MOVE_CODES = """
WITH moved AS MATERIALIZED (
    SELECT id, pause_reason, assignee_keys IS NOT NULL
        AND EXISTS (SELECT FROM code_tries t WHERE t.code_id = discount_codes.id) AS is_tried
    FROM discount_codes
    WHERE {which} AND (CAST(:after AS uuid) IS NULL OR id > :after)
      AND state = ANY (CAST(:before AS text[]))
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE),
done AS (
    UPDATE discount_codes c SET state = :state, pause_reason = NULL, version = c.version + 1,
        resumed_at = CASE WHEN :state = 'active' THEN CAST(:now AS timestamptz) ELSE c.resumed_at END,
        updated_at = :now
    FROM moved m WHERE c.id = m.id)
SELECT count(*) AS codes, max(id::text) AS last,
    coalesce(array_agg(id) FILTER (WHERE pause_reason IS NOT NULL), '{{}}') AS leaked,
    coalesce(array_agg(id) FILTER (WHERE is_tried), '{{}}') AS tried
FROM moved
"""
#: Those of one job, and those of one referral program; what has leaked waits for a person all the same.
OF_BATCH = text(_MOVE_CODES.format(which="batch_id = :owner"))
OF_PROGRAM = text(
    _MOVE_CODES.format(
        which="id IN (SELECT code_id FROM referral_codes WHERE program_id = :owner) "
        "AND (pause_reason IS NULL OR :state = 'archived')"
    )
)
#: From which states a code comes to another one; what was put away stays so.
_BEFORE = {
    CodeState.ACTIVE: [CodeState.PAUSED.value],
    CodeState.PAUSED: [CodeState.ACTIVE.value],
    CodeState.ARCHIVED: [CodeState.ACTIVE.value, CodeState.PAUSED.value],
}


def move_codes(
    session: Session, which: TextClause, owner: Row[Any], state: CodeState, *, now: datetime
) -> int:
    """Move the codes `which` are their owner's; how many were not so already.

    A person has then seen to those that were paused by themselves (EC-017).
    """
    place: dict[str, Any] = {"owner": owner.id, "state": state.value, "now": now}
    moved, after = 0, None
    while True:
        values = place | {"before": _BEFORE[state], "after": after, "limit": MOVED_AT_ONCE}
        done = session.execute(which, values).one()
        settle_leaks(session, owner, state, leaked=done.leaked, tried=done.tried, now=now)
        moved += int(done.codes)
        if done.codes < MOVED_AT_ONCE:
            return moved
        after = UUID(done.last)


def settle_leaks(
    session: Session,
    owner: Row[Any],
    state: CodeState,
    *,
    leaked: Sequence[UUID],
    tried: Sequence[UUID],
    now: datetime,
) -> None:
    """A person has seen to codes of one tenant that they moved to `state` (EC-017).

    `leaked` were paused by themselves; `tried` are for one customer, and others tried them: that is
    over only when they are put away.
    """
    over = [(CODE_LEAK_SUSPECTED, one) for one in leaked]
    if state is CodeState.ARCHIVED:
        over += [(ASSIGNED_CODE_LEAKED, one) for one in tried]
    tenant = (owner.agency_id, owner.client_id)
    signal_all(session, [Sighting(*one, *tenant, is_over=True) for one in over], now=now)
