"""When a second person is needed, and who may be that person (SEC-31): pure."""

from datetime import datetime
from uuid import UUID

from models.approvals import ApprovalState
from pipelines.errors import Kind, Refusal


class SelfApproval(Refusal):
    """Nobody approves what they asked for."""

    code = "self_approval"
    kind = Kind.FORBIDDEN
    detail = "You asked for this yourself. Somebody else has to approve it."


class ApprovalDecided(Refusal):
    """The act was approved or rejected before."""

    code = "approval_decided"
    kind = Kind.CONFLICT
    detail = "This was decided already. Read it again to see how."


class ApprovalExpired(Refusal):
    """Nobody decided in time."""

    code = "approval_expired"
    kind = Kind.CONFLICT
    detail = "Nobody decided in time. Ask for it again."


def decision_refusal(
    state: ApprovalState,
    *,
    requested_by: UUID,
    decided_by: UUID,
    expires_at: datetime,
    now: datetime,
) -> Refusal | None:
    """Why this person may not approve or reject the act now, or None."""
    if state is not ApprovalState.PENDING:
        return ApprovalDecided()
    if now >= expires_at:
        return ApprovalExpired()
    if requested_by == decided_by:
        return SelfApproval()
    return None
