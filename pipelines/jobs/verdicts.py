"""End items: the verdict of one that did not succeed, and the statements that write ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.jobs import ItemState
from pipelines.errors import Refusal
from pipelines.jobs.chunks import among


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an item ends without what it was for."""

    state: ItemState
    code: str
    detail: str

    @property
    def is_final(self) -> bool:
        """Its credit goes back; that of one which waits for a person stays held."""
        return self.state is not ItemState.NEEDS_REVIEW


def failed(refusal: Refusal) -> Verdict:
    """The verdict of an item that was refused as a request would have been."""
    return Verdict(ItemState.FAILED, refusal.code, refusal.detail)


def skipped(refusal: Refusal) -> Verdict:
    """As `failed`, for what was expected and needs nobody."""
    return Verdict(ItemState.SKIPPED, refusal.code, refusal.detail)


CANCELLED = Verdict(ItemState.CANCELLED, "job_cancelled", "The job was cancelled.")
SUSPENDED = Verdict(ItemState.CANCELLED, "account_suspended", "The account was suspended.")
INTERNAL_ERROR = Verdict(ItemState.FAILED, "internal_error", "An internal error; nothing was done.")

_END = text("""
UPDATE items SET state = :state, code = :code, detail = :detail, attempts = attempts + 1
WHERE job_id = :job AND position = ANY(:positions) AND position BETWEEN :first AND :last
  AND state IN ('pending', 'running', 'retrying')
""")
_SUCCEED = text("""
UPDATE items i SET state = 'succeeded', result_id = p.id, code = NULL, detail = NULL,
    field = NULL, attempts = i.attempts + 1
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[])) AS p (id, position)
WHERE i.job_id = :job AND i.position = p.position AND i.position BETWEEN :first AND :last
  AND i.state = 'pending'
""")


def end_positions(
    session: Session, job_id: UUID, positions: Sequence[int], verdict: Verdict
) -> None:
    """End the open items of one chunk at these positions, with one verdict."""
    if positions:
        said = {"state": verdict.state.value, "code": verdict.code, "detail": verdict.detail}
        session.execute(_END, among(positions) | {"job": job_id} | said)


def succeed_positions(session: Session, job_id: UUID, results: Mapping[int, UUID]) -> None:
    """The pending items of one chunk succeed, each with the id of what it gave."""
    if results:
        values = among(list(results)) | {"job": job_id, "ids": list(results.values())}
        session.execute(_SUCCEED, values)
