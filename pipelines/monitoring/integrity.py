"""Prove the invariants once a day, and when an outside scheduler asks, and keep what came of it."""

import random
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from models.database import Sessions, transaction
from pipelines.limits import Limits
from pipelines.monitoring.runs import INTEGRITY, Run, note_run
from pipelines.queue.kinds import INTEGRITY_CHECK
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish
from pipelines.reconciliation.prove import Patience, Proof, prove


def check_integrity(
    sessions: Sessions,
    *,
    patience: Patience | None = None,
    tick: Callable[[], float] = time.monotonic,
) -> tuple[Proof, Run]:
    """Prove everything in bounded time; what is to be noted of it. In the system's scope."""
    began = tick()
    with transaction(sessions) as session:
        proof = prove(session, patience=patience)
    broken = {f.id: len(f.violations) for f in proof.findings if f.violations}
    left = sum(not finding.complete for finding in proof.findings)
    detail = broken | ({"not_finished": left} if left else {})
    run = Run(INTEGRITY, proof.at, round((tick() - began) * 1000), proof.ok, detail)
    return proof, run


def integrity_task(sessions: Sessions, task: TaskInHand, *, limits: Limits) -> None:
    """The work of INTEGRITY_CHECK; the monitor's next look tells who has to know."""
    until = settle_by(time.monotonic(), INTEGRITY_CHECK, limits)
    patience = Patience(limits.prove_statement_seconds, limits.prove_budget_seconds)
    _proof, run = check_integrity(sessions, patience=patience)

    def write(session: Session) -> None:
        note_run(session, run)
        finish(session, task)

    settle_in_hand(sessions, task, write, until=until, draw=random.random)
