"""How a task kind is bound to its work: the table that wiring fills and the wrapper reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from models.database import Sessions
from pipelines.limits import Limits
from pipelines.queue.kinds import ALL, TaskKind
from pipelines.queue.work import TaskInHand

InTransaction = Callable[[Session, TaskInHand, datetime], None]
InSteps = Callable[[Sessions, TaskInHand], None]


@dataclass(frozen=True, slots=True)
class Handler:
    """The work of one kind.

    `run`: for one-transaction kinds, called inside the transaction that deletes the task; for
    stepped kinds, called with the session factory, and it finishes the task itself.
    `give_up`: ends job work whose attempts are spent or that kills its workers; without one the
    task becomes a dead letter.
    """

    kind: TaskKind
    run: InTransaction | InSteps
    give_up: InTransaction | None = None
    #: Failed attempts after which the work is given up; the house's limit if not said.
    attempts_max: int | None = None


@dataclass(frozen=True, slots=True)
class Handlers:
    """All handlers with the limits they run under; made once in wiring."""

    by_name: dict[str, Handler]
    limits: Limits

    def __post_init__(self) -> None:
        missing = set(ALL) ^ set(self.by_name)
        if missing:
            raise RuntimeError(f"task kinds without exactly one handler: {sorted(missing)}")
