"""What follows a job, in words: what an undo takes back, what was taken back, who runs again: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.jobs import JobState
from pipelines.jobs.kinds import PROVISIONING
from pipelines.jobs.states import MAY, Move
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


@dataclass(frozen=True, slots=True)
class AfterWords:
    """The jobs beside a job; `undone` says what later ones took back of it."""

    can_undo: bool
    can_clone: bool
    undone: str | None
    undo_ids: tuple[UUID, ...]
    undoes_id: UUID | None
    cloned_from_id: UUID | None


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


def after_words(view: Mapping[str, Any], *, has_code: bool) -> AfterWords:
    """What may follow the job, what followed it, and what it follows.

    A redeemed code is good for one card: its job is neither taken back nor run again.
    """
    state, counts, undone = JobState(view["state"]), view["counts"], view["undone"]
    gives_cards = view["kind"] == PROVISIONING and not has_code
    return AfterWords(
        can_undo=gives_cards and state in MAY[Move.UNDO] and counts["succeeded"] > 0,
        can_clone=gives_cards and state in MAY[Move.CLONE] and counts["total"] > 0,
        undone=_undone(undone, view["money"]),
        undo_ids=tuple(undone["job_ids"]) if undone else (),
        undoes_id=view["undoes_id"],
        cloned_from_id=view["cloned_from_id"],
    )


def _undone(undone: Mapping[str, Any] | None, sums: Mapping[str, Any] | None) -> str | None:
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
