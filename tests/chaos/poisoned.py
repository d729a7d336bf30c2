"""Start a worker to which one recipient is deadly: `python -m tests.chaos.poisoned bulk`.

The product's own worker, but for the handler of RUN_CHUNK: a chunk that holds the open item with
the reference "poison" kills the process (CHAOS_POISON=kill) or asks for more memory than it may
have (CHAOS_POISON=memory).
"""

import os
import resource
import signal
import sys
from dataclasses import replace
from datetime import datetime
from typing import cast

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines import wiring
from pipelines.queue.handlers import Handlers, InTransaction
from pipelines.queue.kinds import RUN_CHUNK
from pipelines.queue.work import TaskInHand

MEMORY_BYTES_MAX = 4 * 1024**3
_HOLDS_POISON = text("""
SELECT EXISTS (SELECT FROM items WHERE job_id = CAST(:job_id AS uuid) AND chunk_number = :chunk
    AND position BETWEEN :first AND :last AND state = 'pending' AND reference = 'poison')
""")
_build_handlers = wiring.build_handlers


def _suffer(session: Session, task: TaskInHand) -> None:
    asked = {"first": 1, "last": 2_147_483_647} | task.args
    if not session.execute(_HOLDS_POISON, asked).scalar_one():
        return
    if os.environ["CHAOS_POISON"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    bytearray(2 * MEMORY_BYTES_MAX)


def build_poisoned(house: wiring.House) -> Handlers:
    """The house's handlers; chunks of jobs are looked at before they are run."""
    handlers = _build_handlers(house)
    handler = handlers.by_name[RUN_CHUNK.name]
    run = cast("InTransaction", handler.run)

    def look_and_run(session: Session, task: TaskInHand, now: datetime) -> None:
        _suffer(session, task)
        run(session, task, now)

    return replace(
        handlers, by_name=handlers.by_name | {RUN_CHUNK.name: replace(handler, run=look_and_run)}
    )


if __name__ == "__main__":
    wiring.build_handlers = build_poisoned
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    from workers.__main__ import main  # after the handlers were exchanged

    sys.exit(main(sys.argv[1:]))
