"""Write down what only this process knows: fenced, and again while the database is in the way.

A vendor's answer is thrown away with the transaction that was to write it; finding it out anew
costs the vendor a look-up and the customer minutes.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.database import Sessions, transaction
from pipelines.errors import LeaseLost
from pipelines.limits import Limits
from pipelines.queue.kinds import TaskKind
from pipelines.queue.passing import is_line_lost, is_passing
from pipelines.queue.work import TaskInHand, fence
from pipelines.telemetry import get_logger

log = get_logger(__name__)

FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 1.0
#: Of a lease; the rest is for a last try that waits for its locks.
LEASE_SHARE = 0.9

Written = TypeVar("Written")


def settle_by(begun: float, kind: TaskKind, limits: Limits) -> float:
    """When a task begun at `begun` (monotonic) stops trying to settle: before its lease ends."""
    return begun + LEASE_SHARE * lease_seconds(kind, limits)


def lease_seconds(kind: TaskKind, limits: Limits) -> float:
    """How long a stepped task is held: the deadline of its calls and the margin."""
    return kind.lease_seconds + limits.lease_margin_seconds


def settle_in_hand(
    sessions: Sessions,
    task: TaskInHand,
    write: Callable[[Session], Written],
    *,
    until: float,
    draw: Callable[[], float],
) -> Written | None:
    """Do `write` in a fenced transaction, repeated over passing faults until `until` (monotonic).

    Each repetition is fenced anew, so a worker whose lease was taken over writes nothing. None:
    a repetition found the task put down or gone after a COMMIT whose reply was lost. Whatever
    puts a task down ends its token, so that it cannot be put down twice.
    """
    may_be_done, wait = False, FIRST_WAIT_SECONDS
    while True:
        try:
            with transaction(sessions) as session:
                fence(session, task)
                return write(session)
        except LeaseLost:
            if not may_be_done:
                raise
            log.info("task.settled_unheard")
            return None
        except DBAPIError as fault:
            if not is_passing(fault) or time.monotonic() + wait > until:
                raise
            may_be_done = may_be_done or is_line_lost(fault)
            log.warning("task.settled_again", fault=type(fault.orig).__name__)
        time.sleep(wait * (0.5 + draw() / 2))
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)
