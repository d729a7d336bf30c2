"""One item of a job as a line of its table: whom it is about, and how it stands: pure."""

from dataclasses import dataclass
from typing import Any

from web.console.delivery_words import DELIVERY_STATES
from web.console.formats import masked_email
from web.console.job_words import StateWords, item_words


@dataclass(frozen=True, slots=True)
class ItemLine:
    """Position, whom it is about and how they are called besides, and what became of it."""

    position: int
    called: str
    sub: str
    state: StateWords
    delivery: StateWords | None
    #: The column of a file that is wrong.
    field: str
    detail: str


def item_line(kind: str, item: Any) -> ItemLine:
    """An item of `pipelines.jobs.read`; a person of the client goes before what a file said."""
    called, sub = masked_email(item.email), item.reference or ""
    if item.user_id is not None:
        outside = item.user_external_id or ""
        called = masked_email(item.user_email) if item.user_email else outside or str(item.user_id)
        sub = outside if item.user_email else ""
    return ItemLine(
        position=item.position,
        called=called,
        sub=sub,
        state=item_words(kind, item.state),
        delivery=DELIVERY_STATES.get(item.delivery_state or ""),
        field=item.field or "",
        detail=item.detail or "",
    )
