"""What a worker process has in hand: who may begin, who runs, and how running work is cut."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from dramatiq.middleware.threading import raise_thread_exception
from sqlalchemy.orm import Session

from pipelines.queue.processes import Tally
from pipelines.queue.work import TaskInHand

#: A cancel request is a connection of its own; a server that is away must not hold the drain.
CANCEL_SECONDS = 0.5


class Cut(Exception):
    """Raised inside a thread whose work is given back: what it did not commit never happened."""


@dataclass(slots=True)
class _Hand:
    """One thread at work; `connection` is set while its one transaction runs."""

    thread: int
    task: TaskInHand | None = None
    is_stepped: bool = False
    connection: "psycopg.Connection[object] | None" = None


class Shift:
    """The threads of one process at work; closed, it lets nothing new begin.

    A task that is refused, or cut, is kept here until the drain has given it back.
    """

    def __init__(self, tally: Tally | None = None) -> None:
        self.tally = tally or Tally()
        self._lock = threading.Lock()
        self._hands: dict[int, _Hand] = {}
        self._refused: list[UUID] = []
        self._cut: list[TaskInHand] = []
        self._given_back: list[TaskInHand] = []
        self._is_closed = False
        self._is_cutting = False

    def begin(self, task_id: UUID) -> bool:
        """Let this thread begin; False once closed: the row brings the task back."""
        thread = threading.get_ident()
        with self._lock:
            if self._is_closed:
                self._refused.append(task_id)
                return False
            self._hands[thread] = _Hand(thread)
        self.tally.begin()
        return True

    def may_still_begin(self, task_id: UUID) -> bool:
        """For a thread that let others pass first: whether the shift is open even now."""
        with self._lock:
            if self._is_closed:
                self._refused.append(task_id)
            return not self._is_closed

    def started(self, task: TaskInHand, *, is_stepped: bool) -> bool:
        """Its start is committed; False if work is being cut: then it is given back unbegun."""
        with self._lock:
            hand = self._hands[threading.get_ident()]
            hand.task, hand.is_stepped = task, is_stepped
            if self._is_cutting:
                self._cut.append(task)
            return not self._is_cutting

    @contextmanager
    def cancellable(self, session: Session) -> Iterator[None]:
        """The part of a transaction that may be cancelled; not its commit."""
        hand = self._hands.get(threading.get_ident())
        if hand is None:
            yield
            return
        hand.connection = session.connection().connection.driver_connection
        try:
            yield
        finally:
            hand.connection = None

    def is_cut(self, task: TaskInHand) -> bool:
        """Whether this task is being given back: its faults are ours, not its own."""
        with self._lock:
            return task in self._cut

    def end(self) -> None:
        with self._lock:
            self._hands.pop(threading.get_ident(), None)
        self.tally.end()

    def close(self) -> None:
        """Nothing new begins from here on."""
        with self._lock:
            self._is_closed = True

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return not self._hands

    def refuse(self, task_id: UUID) -> None:
        """Note a task that was fetched and never begun."""
        with self._lock:
            self._refused.append(task_id)

    def take_refused(self) -> list[UUID]:
        """What was refused since the last look."""
        with self._lock:
            refused, self._refused = self._refused, []
            return refused

    def cut(self, *, is_last_call: bool) -> list[TaskInHand]:
        """Cancel what runs in one transaction; everything that is still to be given back.

        Calling it again cancels again: a thread between two statements has nothing to cancel.
        At the last call it is stopped in its code. A stepped task is left to itself: its call
        cannot be undone, only its lease ended.
        """
        with self._lock:
            self._is_cutting = True
            hands = [hand for hand in self._hands.values() if hand.task is not None]
            self._cut += [h.task for h in hands if h.task is not None and h.task not in self._cut]
        for hand in hands:
            self._interrupt(hand, is_last_call=is_last_call)
        with self._lock:
            return [task for task in self._cut if task not in self._given_back]

    def note_given_back(self, tasks: list[TaskInHand]) -> None:
        """These starts no longer count; what their threads still do is refused or never happened.

        A start and not a task: a second message for a task may begin as the first one is cut.
        """
        with self._lock:
            self._given_back += tasks

    def _interrupt(self, hand: _Hand, *, is_last_call: bool) -> None:
        connection = hand.connection
        if connection is None or hand.is_stepped:
            return
        try:
            connection.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.Error:
            return  # the end of the process closes the connection, which rolls back as well
        if is_last_call:
            raise_thread_exception(hand.thread, Cut)  # type: ignore[no-untyped-call]
