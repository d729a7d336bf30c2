"""Tasks to run, handlers to run them with, and a look at their rows."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.defer import defer
from pipelines.queue.handlers import Handler, Handlers
from pipelines.queue.kinds import RUN_CHUNK, TaskKind
from pipelines.wiring import House, build_handlers
from tests.driving import rows
from workers.wrapper import Wrapper


def handlers_with(house: House, *changed: Handler) -> Handlers:
    """The product's handlers with some of them changed for a test."""
    built = build_handlers(house)
    return replace(built, by_name=built.by_name | {h.kind.name: h for h in changed})


def wrapper_with(house: House, *changed: Handler) -> Wrapper:
    return Wrapper(house.sessions, handlers_with(house, *changed), draw=lambda: 0.0)


def put(house: House, kind: TaskKind = RUN_CHUNK, **more: Any) -> UUID:
    """Defer one task in a transaction of its own."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        return defer(session, kind, **({"args": {}, "now": now} | more))


def task(house: House, task_id: UUID) -> Any:
    """The row of a task, with how many seconds from now it is due; None when it is gone."""
    found = rows(
        house,
        "SELECT t.*, extract(epoch FROM run_after - now())::float AS due_in FROM tasks t "
        "WHERE id = :id",
        id=task_id,
    )
    return found[0] if found else None


def change_task(house: House, task_id: UUID, assignment: str) -> None:
    """What time or a dying worker would do to the row."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(f"UPDATE tasks SET {assignment} WHERE id = :id"), {"id": task_id})
