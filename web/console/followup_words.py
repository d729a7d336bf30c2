"""What follows a job, in words: what an undo takes back, what was taken back, who runs again: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.provisioning.clone_rows import Only
from web.console.formats import money, plural

#: Whom a job can be run again for.
WHOM: tuple[tuple[str, str], ...] = (
    (Only.ALL, "All recipients"),
    (Only.FAILED, "Those whose card failed"),
    (Only.CANCELLED, "Those who were cancelled"),
    (Only.UNDONE, "Those whose card was taken back"),
)
_STAYS = {
    "already_revealed": "already seen by their recipients: they stay with them and stay charged",
    "already_undone": "taken back by an earlier undo",
}


@dataclass(frozen=True, slots=True)
class UndoWords:
    """An undo before it is confirmed."""

    undoable: int
    cards: str
    refund: str
    left: tuple[str, ...]


def undo_words(plan: Mapping[str, Any]) -> UndoWords:
    """Put a preview of `pipelines.provisioning.undo` into words."""
    return UndoWords(
        undoable=plan["undoable"],
        cards=plural(plan["undoable"], "card"),
        refund=money(plan["refund_minor"], plan["currency"]),
        left=tuple(
            f"{plural(left['count'], 'card')} {_STAYS[left['code']]}."
            for left in plan["not_undoable"]
        ),
    )


def undone_words(undone: Mapping[str, Any] | None, sums: Mapping[str, Any] | None) -> str | None:
    """What later jobs took back of this one; None while nothing was."""
    if undone is None or undone["count"] == 0 or sums is None:
        return None
    verb = "was" if undone["count"] == 1 else "were"
    back = money(undone["refunded_minor"], sums["currency"])
    return f"{plural(undone['count'], 'card')} {verb} taken back, and {back} of credit with them."


def undo_cancel_effect(counts: Mapping[str, int]) -> tuple[str, str]:
    """What cancelling an undo does, and the button that says so."""
    open_items = counts["pending"] + counts["running"] + counts["retrying"]
    taken = counts["succeeded"]
    first = f"{plural(taken, 'card')} taken back already will not be given again by this. "
    effect = (
        f"{first if taken else ''}{plural(open_items, 'card')} will stay with their recipients "
        "and stay charged. Another undo can take them back later."
    )
    return effect, "Cancel the undo"
