"""The starts of this process that nobody heard of, until the database has taken them back."""

import threading
from collections import deque

from sqlalchemy.exc import DBAPIError

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.passing import is_passing
from pipelines.queue.unheard import take_back
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: The oldest beyond these is forgotten: it counts as a death, which is the safe side.
KEPT_MAX = 256
#: So many are asked about at one time.
AT_ONCE_MAX = 8


class Unheard:
    """Shared by the threads of a process; whoever is about to work sees to what is left here."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._tasks: deque[TaskInHand] = deque(maxlen=KEPT_MAX)

    def note(self, task: TaskInHand) -> None:
        """This start may count although its worker lives and does nothing about it."""
        with self._lock:
            self._tasks.append(task)

    def take_back(self) -> None:
        """Uncount what can be uncounted now; the rest is kept for the next time."""
        for task in self._oldest():
            try:
                with scoped_transaction(self._sessions, SYSTEM) as session:
                    is_settled = take_back(session, task)
            except DBAPIError as fault:
                # Taking back is done once only, so that it may be asked for again.
                is_settled = not is_passing(fault)
                log.warning("start.not_taken_back", task_id=str(task.id), dropped=is_settled)
            if not is_settled:
                self.note(task)

    def _oldest(self) -> list[TaskInHand]:
        with self._lock:
            return [self._tasks.popleft() for _ in range(min(AT_ONCE_MAX, len(self._tasks)))]
