"""Check on live data that the books and the stock agree, in one snapshot and in bounded time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import clock
from pipelines.errors import NotFound
from pipelines.limits import DEFAULTS
from pipelines.reconciliation.invariant import Invariant
from pipelines.reconciliation.invariants import INVARIANTS, NOT_CHECKED

#: Violations listed per invariant; the count of checked rows says the rest.
VIOLATIONS_SHOWN_MAX = 20

_JOB = text("SELECT 1 FROM jobs WHERE id = :job")
# The plan must know whether a job was asked for; a plan for both cases would read everything.
_PLAN_EACH = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
_TIME_OUT = text("SELECT set_config('statement_timeout', :milliseconds, true)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: how many rows were checked (None: too many to count) and which break it."""

    id: str
    title: str
    checked: int | None
    violations: tuple[str, ...]
    complete: bool = True

    @property
    def ok(self) -> bool | None:
        """None when the time did not suffice: not looked at is not well."""
        return not self.violations if self.complete else None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "ok": self.ok,
            "complete": self.complete,
            "checked": self.checked,
            "violations": list(self.violations),
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """All findings of one snapshot."""

    at: datetime
    job_id: UUID | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool | None:
        """False if anything is broken, None if nothing is but something was not looked at."""
        verdicts = {finding.ok for finding in self.findings}
        return False if False in verdicts else None if None in verdicts else True

    def as_json(self) -> dict[str, Any]:
        """The shape that scripts rely on."""
        return {
            "ok": self.ok,
            "complete": all(finding.complete for finding in self.findings),
            "at": self.at.isoformat(),
            "job_id": str(self.job_id) if self.job_id else None,
            "invariants": [finding.as_json() for finding in self.findings],
            "not_checked": list(NOT_CHECKED),
        }


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one statement may take, and all of them together."""

    statement_seconds: float = DEFAULTS.prove_statement_seconds
    budget_seconds: float = DEFAULTS.prove_budget_seconds


class _Clockwork:
    """What is left of the budget."""

    def __init__(self, patience: Patience, tick: Callable[[], float]) -> None:
        self._patience, self._tick = patience, tick
        self._ends = tick() + patience.budget_seconds

    def next_milliseconds(self) -> int:
        """The next statement's time limit; 0 when the budget is spent."""
        left = min(self._patience.statement_seconds, self._ends - self._tick())
        return max(0, int(left * 1000))


def prove(
    session: Session,
    *,
    job_id: UUID | None = None,
    patience: Patience | None = None,
    invariants: Sequence[Invariant] = INVARIANTS,
    tick: Callable[[], float] = time.monotonic,
) -> Proof:
    """Check the invariants, of one job or of everything; the session must see all rows.

    It must not have spoken to the database yet: the snapshot is its first word. A statement that
    takes too long is reported as not complete and the others go on. Raises `NotFound`.
    """
    session.connection(
        execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    clockwork = _Clockwork(patience or Patience(), tick)
    session.execute(_PLAN_EACH)
    if job_id is not None and session.execute(_JOB, {"job": job_id}).one_or_none() is None:
        raise NotFound
    chosen = [one for one in invariants if job_id is None or one.of_one_job]
    findings = _checked(session, chosen, job_id, clockwork)
    return Proof(clock.now(session), job_id, tuple(findings))


def _checked(
    session: Session, chosen: list[Invariant], job_id: UUID | None, clockwork: _Clockwork
) -> list[Finding]:
    populations: dict[str, int | None] = {}
    findings = []
    for one in chosen:
        lines = _in_time(
            session,
            f"SELECT * FROM ({one.violations}) v LIMIT {VIOLATIONS_SHOWN_MAX}",
            job_id,
            clockwork,
        )
        if one.population not in populations:
            counted = _in_time(session, f"SELECT count(*) FROM {one.population}", job_id, clockwork)
            populations[one.population] = int(counted[0]) if counted else None
        checked = populations[one.population]
        findings.append(
            Finding(one.id, one.title, checked, tuple(lines or ()), complete=lines is not None)
        )
    return findings


def _in_time(
    session: Session, statement: str, job_id: UUID | None, clockwork: _Clockwork
) -> list[Any] | None:
    """The rows' first column; None if the statement was not over in its time."""
    milliseconds = clockwork.next_milliseconds()
    if milliseconds == 0:  # which PostgreSQL would take for no limit at all
        return None
    session.execute(_TIME_OUT, {"milliseconds": str(milliseconds)})
    try:
        with session.begin_nested():
            return list(session.execute(text(statement), {"job": job_id}).scalars())
    except DBAPIError as error:
        if isinstance(error.orig, pg.QueryCanceled):
            return None
        raise
