"""Whether those who ask and agree are still, and were already, who may: read in the SYSTEM scope."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.permissions import may
from pipelines.access.principals import Principal
from pipelines.approvals.approvals import Kinds
from pipelines.errors import Kind, Refusal

_PEOPLE = text("""
SELECT a.id, a.kind, a.created_at AS asked_at, r.role AS asker_role, r.disabled_at AS asker_disabled_at,
    d.created_at AS decider_made_at
FROM approvals a LEFT JOIN users r ON r.id = a.requested_by LEFT JOIN users d ON d.id = :decider
WHERE a.id = ANY(:approvals)
""")


class AskerLeft(Refusal):
    """Who asked may not do it any more."""

    code = "asker_left"
    kind = Kind.CONFLICT
    detail = "Who asked for this is disabled or lost the right to it. Reject it, and ask anew."


class ApproverTooNew(Refusal):
    """The approver was made after the act was asked for."""

    code = "approver_too_new"
    kind = Kind.FORBIDDEN
    detail = "Your account was made after this was asked for. Somebody else has to approve it."


def check_people(sessions: Sessions, approval_id: UUID, caller: Principal, kinds: Kinds) -> None:
    """Refuse what would be approved for somebody who left, or by somebody made for it.

    The caller's scope has shown the approval before. Raises `AskerLeft`, `ApproverTooNew`.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        objection = objections(session, [approval_id], caller, kinds).get(approval_id)
    if objection is not None:
        raise objection


def objections(
    session: Session, approvals: Sequence[UUID], caller: Principal, kinds: Kinds
) -> dict[UUID, Refusal]:
    """Why the caller cannot approve which of these; in the SYSTEM scope."""
    values = {"approvals": list(approvals), "decider": caller.actor_id}
    found = ((row.id, _objection(row, kinds)) for row in session.execute(_PEOPLE, values))
    return {approval: objection for approval, objection in found if objection is not None}


def _objection(row: Row[Any], kinds: Kinds) -> Refusal | None:
    has_left = row.asker_role is None or row.asker_disabled_at is not None
    if has_left or not may(Role(row.asker_role), kinds[row.kind].needs):
        return AskerLeft()
    if row.decider_made_at is None or row.decider_made_at >= row.asked_at:
        return ApproverTooNew()
    return None
