"""What went wrong in a job, by reason, in words: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.jobs.kinds import IMPORTS
from web.console.job_words import ITEM_STATES, StateWords
from web.console.kind_words import message_for


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Items that share a reason: how many, the first row, what to do, and in which columns."""

    title: str
    columns: str
    remedy: str
    code: str
    state: StateWords
    items: int
    first_row: int
    is_retryable: bool
    waits_for_margin: bool


def failure_groups(kind: str, rows: Sequence[Any]) -> list[FailureGroup]:
    """The failures of a job by reason, with the words of the catalogue."""
    return [
        FailureGroup(
            title=message_for(kind, row.code, row.state).title,
            columns=_columns(kind, row.first_field, row.last_field),
            remedy=message_for(kind, row.code, row.state).remedy,
            code=row.code or "unknown",
            state=ITEM_STATES[row.state],
            items=int(row.items),
            first_row=int(row.first_position),
            is_retryable=bool(row.retryable),
            waits_for_margin=(row.code, row.state) == ("margin_below_floor", "needs_review"),
        )
        for row in rows
    ]


def _columns(kind: str, first: str | None, last: str | None) -> str:
    """The column of a file that is wrong, or two where rows differ."""
    if kind not in IMPORTS or first is None:
        return ""
    return f"Column {first}" if first == last else f"Columns such as {first} and {last}"
