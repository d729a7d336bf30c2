"""Count the statements that a piece of work sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from pipelines.wiring import House


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """The statements sent inside the block, in their order."""
    sent: list[str] = []
    engine = house.sessions.kw["bind"]

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)
