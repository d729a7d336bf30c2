"""Run one task: take its row, do the work in its tenant's scope, finish, fail or postpone it."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction, transaction
from models.scope import SYSTEM, Scope, client, tenant_scope
from pipelines.errors import LeaseLost
from pipelines.limits import Limits
from pipelines.queue.backoff import backoff
from pipelines.queue.broker_port import HouseBroker
from pipelines.queue.defer import Noted, note_doorbells
from pipelines.queue.handlers import Handler, Handlers, InSteps, InTransaction
from pipelines.queue.kinds import ACCEPTED_VERSIONS, Drive, ScopeOf
from pipelines.queue.passing import is_line_lost, is_passing
from pipelines.queue.ring import ring_due
from pipelines.queue.work import (
    Postpone,
    TaskInHand,
    fence,
    finish,
    hold_row,
    is_suspect,
    postpone,
    start,
    try_again,
)
from pipelines.telemetry import get_logger
from workers.company import Company
from workers.shift import Shift
from workers.unheard import Unheard

log = get_logger(__name__)

#: After a passing fault the work comes back soon, without an attempt spent.
_PASSING_WAIT_SECONDS = 0.5


class _Suspected(Exception):
    """The task may have killed its worker: it is done alone."""


class Wrapper:
    """Does tasks by id; one per process, shared by its threads."""

    def __init__(
        self,
        sessions: Sessions,
        handlers: Handlers,
        *,
        broker: HouseBroker | None = None,
        draw: Callable[[], float] = random.random,
        shift: Shift | None = None,
    ) -> None:
        self._shift = shift or Shift()
        self._sessions = sessions
        self._handlers = handlers
        self._limits: Limits = handlers.limits
        self._leases = _leases(handlers)
        self._company = Company()
        self._unheard = Unheard(sessions)
        self._broker = broker
        self._draw = draw

    def run(self, task_id: UUID, v: int) -> None:
        """Do the task if it is to be had; a duplicate or early message is simply forgotten."""
        if v not in ACCEPTED_VERSIONS:
            log.warning("task.version_unknown", task_id=str(task_id), v=v)
            return
        if not self._shift.begin(task_id):
            return
        try:
            self._run(task_id)
        except Exception as fault:  # its row brings it back; Dramatiq would print its text
            log.error("task.unsettled", task_id=str(task_id), fault=_class_of(fault))
        finally:
            self._shift.end()

    def _run(self, task_id: UUID) -> None:
        """What was in hand when its worker died is done while nothing else is (EC-121)."""
        try:
            with self._company.together():
                if self._shift.may_still_begin(task_id):
                    self._take(task_id)
        except _Suspected:
            with self._company.alone(patience=self._limits.alone_patience_seconds) as is_alone:
                if is_alone and self._shift.may_still_begin(task_id):
                    self._take(task_id, alone=True)

    def _take(self, task_id: UUID, *, alone: bool = False) -> None:
        task = self._start(task_id, alone=alone)
        if task is None:
            return
        handler = self._handlers.by_name[task.kind]
        if not self._shift.started(task, is_stepped=handler.kind.drive is Drive.STEPPED):
            return
        with structlog.contextvars.bound_contextvars(
            task_id=str(task.id), kind=task.kind, request_id=task.request_id
        ):
            if task.unaccounted_starts >= self._limits.kills_max:
                log.error("task.kills_workers", starts=task.starts, attempts=task.attempts)
                self._give_up(handler, task)
                return
            self._attempt(handler, task)

    def _start(self, task_id: UUID, *, alone: bool) -> TaskInHand | None:
        """Count a start; one of which nobody heard whether it was committed is not gone on with."""
        self._unheard.take_back()
        task: TaskInHand | None = None
        try:
            with scoped_transaction(self._sessions, SYSTEM) as session:
                now, known, leases = clock.now(session), self._handlers.by_name, self._leases
                task = start(session, task_id, now=now, known=known, leases=leases, alone=alone)
                if task is not None or alone:
                    return task
                if is_suspect(session, task_id, now=now):
                    raise _Suspected
        except DBAPIError as fault:
            log.warning("task.not_started", task_id=str(task_id), fault=_class_of(fault))
            if task is not None and is_line_lost(fault):
                self._unheard.note(task)
                self._unheard.take_back()
        return None

    def _attempt(self, handler: Handler, task: TaskInHand) -> None:
        noted: Noted | None = None
        try:
            with tenant_scope(_scope_of(handler, task)):
                if handler.kind.drive is Drive.STEPPED:
                    cast("InSteps", handler.run)(self._sessions, task)
                else:
                    noted = self._in_one_transaction(cast("InTransaction", handler.run), task)
            self._shift.tally.count_done()
            if noted is not None:
                self._ring_next(noted)
        except LeaseLost:
            log.warning("task.lease_lost")
        except Postpone as later:
            self._postpone(task, later.until, later.reason)
        except Exception as fault:  # every fault becomes a row: nothing is retried by the broker
            self._fail(handler, task, fault)

    def _in_one_transaction(self, run: InTransaction, task: TaskInHand) -> Noted | None:
        with transaction(self._sessions) as session:
            if not hold_row(session, task):
                return None
            noted = None if self._broker is None else note_doorbells(session)
            with self._shift.cancellable(session):
                run(session, task, clock.now(session))
                finish(session, task)
        return noted

    def _ring_next(self, noted: Noted) -> None:
        """Who is next is rung at once, without waiting for the relay's next look."""
        if self._broker is None:
            return
        bells = list(noted.doorbells)
        if noted.waiting:
            with scoped_transaction(self._sessions, SYSTEM) as session:
                now = clock.now(session)
                bells += ring_due(session, now=now, limits=self._limits, queues=noted.waiting)
        if bells:
            self._broker.ring(bells)

    def _fail(self, handler: Handler, task: TaskInHand, fault: Exception) -> None:
        if self._shift.is_cut(task):
            log.info("task.cut", fault=_class_of(fault))
            return
        self._shift.tally.count_failed()
        passing = is_passing(fault)
        log.warning("task.failed", fault=_class_of(fault), passing=passing, attempts=task.attempts)
        if passing:
            wait = timedelta(seconds=_PASSING_WAIT_SECONDS * (0.5 + self._draw()))
            self._postpone(task, None, "database", wait=wait)
            return
        attempts = task.attempts + 1
        if attempts >= (handler.attempts_max or self._limits.attempts_max):
            self._give_up(handler, task, error=_class_of(fault))
            return
        with scoped_transaction(self._sessions, SYSTEM) as session:
            wait = backoff(attempts, limits=self._limits, draw=self._draw)
            try_again(session, task, at=clock.now(session) + wait, error=_class_of(fault))

    def _postpone(
        self,
        task: TaskInHand,
        until: datetime | None,
        reason: str,
        *,
        wait: timedelta = timedelta(0),
    ) -> None:
        """Give the row back; if even that fails, its lease or redelivery brings it back."""
        try:
            with scoped_transaction(self._sessions, SYSTEM) as session:
                at = until or clock.now(session) + wait
                postpone(session, task, until=at, reason=reason)
        except DBAPIError as error:
            log.warning("task.not_given_back", fault=_class_of(error))
            self._unheard.note(task)

    def _give_up(self, handler: Handler, task: TaskInHand, error: str = "WorkerKilled") -> None:
        """Job work ends its items, or goes on trying; other work is kept as a dead letter.

        So is tenant work without a tenant, which nothing could do.
        """
        is_orphan = handler.kind.scope is ScopeOf.TENANT and task.tenant_id is None
        if handler.give_up is None or is_orphan:
            is_dead = is_orphan or task.job_id is None
            wait = timedelta(seconds=0 if is_dead else self._limits.backoff_max_seconds)
            with scoped_transaction(self._sessions, SYSTEM) as session:
                at = clock.now(session) + wait
                try_again(session, task, at=at, error=error, is_dead=is_dead)
            log.error("task.dead" if is_dead else "task.still_failing", fault=error)
            return
        try:
            with tenant_scope(_scope_of(handler, task)), transaction(self._sessions) as session:
                if not self._is_still_ours(session, handler, task):
                    return
                handler.give_up(session, task, clock.now(session))
                finish(session, task)
        except LeaseLost:
            log.warning("task.lease_lost")
        except Exception as fault:  # not even giving up succeeds: a person has to look
            self._give_up_later(task, fault)
        else:
            log.error("task.given_up", fault=error)

    def _give_up_later(self, task: TaskInHand, fault: Exception) -> None:
        """Its items have no end yet, so that the row stays; who killed its workers stays known."""
        if self._shift.is_cut(task):
            return
        log.error("task.not_given_up", fault=_class_of(fault))
        seconds = _PASSING_WAIT_SECONDS if is_passing(fault) else self._limits.backoff_max_seconds
        with scoped_transaction(self._sessions, SYSTEM) as session:
            try_again(
                session,
                task,
                at=clock.now(session) + timedelta(seconds=seconds),
                error=_class_of(fault),
                kills=task.unaccounted_starts,
            )

    def _is_still_ours(self, session: Session, handler: Handler, task: TaskInHand) -> bool:
        if handler.kind.drive is Drive.STEPPED:
            fence(session, task)
            return True
        return hold_row(session, task)


def _leases(handlers: Handlers) -> dict[str, timedelta]:
    """How long each stepped kind is held: the deadline of its calls and the margin."""
    margin = handlers.limits.lease_margin_seconds
    return {
        name: timedelta(seconds=handler.kind.lease_seconds + margin)
        for name, handler in handlers.by_name.items()
        if handler.kind.drive is Drive.STEPPED
    }


def _scope_of(handler: Handler, task: TaskInHand) -> Scope:
    """The scope comes from the row, never from the message; tenant work without one is refused."""
    if handler.kind.scope is ScopeOf.SYSTEM:
        return SYSTEM
    if task.tenant_id is None:
        raise RuntimeError(f"a {task.kind} task without a tenant")
    return client(task.tenant_id)


def _class_of(fault: BaseException) -> str:
    """The class alone: a fault's text may carry values."""
    inner = getattr(fault, "orig", None)
    return type(inner).__name__ if inner is not None else type(fault).__name__
