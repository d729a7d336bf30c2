"""What follows a job, in words: what an undo takes back, what was taken back, who runs again: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.jobs import JobState
from pipelines.jobs.kinds import DISTRIBUTION, DISTRIBUTION_UNDO, PROVISIONING
from pipelines.jobs.states import MAY, Move
from pipelines.provisioning.clone_rows import Only
from web.console.formats import money
from web.console.kind_words import KINDS, UNDOES

#: Whom a job can be run again for.
WHOM: tuple[tuple[str, str], ...] = (
    (Only.ALL, "All recipients"),
    (Only.FAILED, "Those whose card failed"),
    (Only.CANCELLED, "Those who were cancelled"),
    (Only.UNDONE, "Those whose card was taken back"),
)
#: Why something stays as it is; a code that is not here is told by its own sentence.
STAYS = {
    "already_revealed": "already seen by their recipients: they stay with them and stay charged",
    "already_undone": "taken back by an earlier undo",
    "already_replaced": "did not work and were replaced: an undo of the replacement takes that back",
    "already_redeemed": "redeemed already: they stay with their holders",
    "coupon_locked": "set aside by their holders just now: undo the rest again in five minutes",
    "coupon_void": "withdrawn: they are nobody’s",
    "already_released": "taken back before",
}


@dataclass(frozen=True, slots=True)
class UndoWords:
    """An undo before it is confirmed."""

    undoable: int
    #: `3 coupons`
    things: str
    effect: str
    left: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class AfterWords:
    """The jobs beside a job; `undone` says what later ones took back of it."""

    can_undo: bool
    can_clone: bool
    undone: str | None
    undo_ids: tuple[UUID, ...]
    undoes_id: UUID | None
    cloned_from_id: UUID | None


def undo_words(kind: str, plan: Mapping[str, Any]) -> UndoWords:
    """Put the preview of an undo of a job of this kind into words."""
    words = KINDS[kind]
    things = words.count(plan["undoable"])
    return UndoWords(
        undoable=plan["undoable"],
        things=things,
        effect=_effect(kind, plan, things),
        left=tuple(
            f"{words.count(left['count'])} {STAYS[left['code']]}."
            if left["code"] in STAYS
            else f"{words.count(left['count'])}: {left['detail']}"
            for left in plan["not_undoable"]
        ),
        note=(
            "Coupons that their holders redeem meanwhile stay with them. An undo cannot be undone; "
            "coupons can be distributed again."
            if kind == DISTRIBUTION
            else "Cards that their recipients open meanwhile stay with them. An undo cannot be "
            "undone; the job can be run again."
        ),
    )


def _effect(kind: str, plan: Mapping[str, Any], things: str) -> str:
    if not plan["undoable"]:
        return f"There is no {KINDS[kind].thing} that could be taken back."
    go = "goes" if plan["undoable"] == 1 else "go"
    if kind == DISTRIBUTION:
        return (
            f"{things} that nobody has redeemed {go} back into the book, for anybody to be given."
        )
    refund = money(plan["refund_minor"], plan["currency"])
    return (
        f"{things} that nobody has seen yet {go} back to stock, and {refund} of credit {go} back "
        "to the account that paid. Links to them stop working."
    )


def after_words(view: Mapping[str, Any], *, has_code: bool) -> AfterWords:
    """What may follow the job, what followed it, and what it follows.

    A redeemed code is good for one card: its job is neither taken back nor run again.
    """
    state, counts, undone = JobState(view["state"]), view["counts"], view["undone"]
    can_undo = view["kind"] in UNDOES and not has_code
    can_clone = view["kind"] == PROVISIONING and not has_code
    return AfterWords(
        can_undo=can_undo and state in MAY[Move.UNDO] and counts["succeeded"] > 0,
        can_clone=can_clone and state in MAY[Move.CLONE] and counts["total"] > 0,
        undone=_undone(view["kind"], undone, view["money"]),
        undo_ids=tuple(undone["job_ids"]) if undone else (),
        undoes_id=view["undoes_id"],
        cloned_from_id=view["cloned_from_id"],
    )


def _undone(
    kind: str, undone: Mapping[str, Any] | None, sums: Mapping[str, Any] | None
) -> str | None:
    if undone is None or undone["count"] == 0:
        return None
    verb = "was" if undone["count"] == 1 else "were"
    back = f"{KINDS[kind].count(undone['count'])} {verb} taken back"
    if sums is None:
        return f"{back}."
    return f"{back}, and {money(undone['refunded_minor'], sums['currency'])} of credit with them."


def undo_cancel_effect(kind: str, counts: Mapping[str, int]) -> tuple[str, str]:
    """What cancelling an undo does, and the button that says so."""
    words, taken = KINDS[kind], counts["succeeded"]
    open_items = counts["pending"] + counts["running"] + counts["retrying"]
    first = f"{words.count(taken)} taken back already will not be given again by this. "
    stay = (
        "stay with their holders"
        if kind == DISTRIBUTION_UNDO
        else "stay with their recipients and stay charged"
    )
    effect = (
        f"{first if taken else ''}{words.count(open_items)} will {stay}. "
        "Another undo can take them back later."
    )
    return effect, "Cancel the undo"
