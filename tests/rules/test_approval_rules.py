"""A second person decides, once, in time, and is never who asked (SEC-31)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from models.approvals import ApprovalState
from pipelines.approvals.rules import decision_refusal

ANN, BOB = UUID(int=1), UUID(int=2)
END = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "by", "late", "code"),
    [
        (ApprovalState.PENDING, BOB, False, None),
        (ApprovalState.PENDING, ANN, False, "self_approval"),
        (ApprovalState.PENDING, BOB, True, "approval_expired"),
        (ApprovalState.PENDING, ANN, True, "approval_expired"),
        (ApprovalState.APPROVED, BOB, False, "approval_decided"),
        (ApprovalState.REJECTED, BOB, False, "approval_decided"),
        (ApprovalState.REJECTED, ANN, True, "approval_decided"),
    ],
)
def test_who_may_decide_and_when(state: ApprovalState, by: UUID, late: bool, code: str | None):
    now = END if late else END - timedelta(microseconds=1)

    refusal = decision_refusal(state, requested_by=ANN, decided_by=by, expires_at=END, now=now)

    assert (refusal.code if refusal else None) == code
