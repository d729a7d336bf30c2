"""What a movement of credit would do to both accounts, told before anybody makes it: reads only."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.access.principals import Principal
from pipelines.approvals.approvals import ApprovalKind
from pipelines.approvals.movements import RECALL
from pipelines.credit import read
from pipelines.credit.accounts import side
from pipelines.credit.alone import may_move_alone
from pipelines.credit.claw_back import check_disputable
from pipelines.credit.receivables import settling
from pipelines.credit.refusals import AccountFrozen, AccountRestricted, InsufficientCredit
from pipelines.credit.rules import allocation_refusal
from pipelines.limits import Limits


@dataclass(frozen=True, slots=True)
class SideForeseen:
    """One account before and after; amounts in minor units."""

    name: str
    tier: str
    before: int
    #: When what is owed of it was paid too, which follows by itself (EC-077).
    after: int
    held: int
    #: What of the credit that comes in pays what is owed, and what stays.
    pays_owed: int = 0
    stays: int = 0
    still_owed: int = 0

    @property
    def available_after(self) -> int:
        return self.after - self.held


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Both sides, and whether somebody else has to agree first."""

    source: SideForeseen
    target: SideForeseen
    needs_second_person: bool
    #: What is missing now; only where it waits for a second person, otherwise it is refused.
    short: int


def foresee_movement(
    session: Session,
    kind: ApprovalKind,
    caller: Principal,
    *,
    parent_id: UUID,
    child_id: UUID,
    amount: int,
    limits: Limits,
) -> Foreseen:
    """What `move_or_ask` would do now; it raises here what it would raise there.

    Credit may move in between: only the movement itself decides.
    """
    refusal = allocation_refusal(source=side(session, parent_id), target=side(session, child_id))
    if refusal is not None:
        raise refusal
    parent, child = read.account(session, parent_id), read.account(session, child_id)
    source, target = (child, parent) if kind is RECALL else (parent, child)
    is_alone = may_move_alone(session, caller, account_id=parent_id, amount=amount, limits=limits)
    available = source.balance - source.held
    short = 0 if source.unlimited else max(0, amount - available)
    if is_alone and (source.frozen_at is not None or target.frozen_at is not None):
        raise AccountFrozen
    if is_alone and source.restricted_at is not None:
        raise AccountRestricted
    if is_alone and short:
        raise InsufficientCredit.to_move(
            amount, balance=source.balance, held=source.held, is_back=kind is RECALL
        )
    left, reached = both_sides(session, source, target, amount)
    return Foreseen(left, reached, not is_alone, short)


def both_sides(
    session: Session, source: Row[Any], target: Row[Any], amount: int
) -> tuple[SideForeseen, SideForeseen]:
    """Two accounts of `read` before and after `amount` moved and paid what the second one owes.

    What was owed to the first comes back to it.
    """
    left, reached = _foreseen(source, -amount), _foreseen(target, amount)
    paying = settling(session, target, brought=amount) if amount else None
    if paying is None or not paying.paid:
        return left, reached
    return (
        replace(left, after=left.after + paying.back_to.get(source.id, 0)),
        replace(
            reached,
            after=reached.after - paying.paid,
            pays_owed=paying.paid,
            stays=max(0, amount - paying.paid),
            still_owed=paying.still_owed,
        ),
    )


@dataclass(frozen=True, slots=True)
class ClawedBack:
    """What taking a top-up back would do now; amounts in minor units."""

    account: Row[Any]
    amount: int
    #: What would be moved back at once, and what the account would owe.
    taken: int
    owed: int


def foresee_claw_back(
    session: Session, *, transfer_id: UUID, dispute_id: str, amount: int | None
) -> ClawedBack:
    """What a claw back would do now, were it agreed to; raises what asking for it would raise."""
    top_up = check_disputable(
        session, transfer_id=transfer_id, dispute_id=dispute_id, amount=amount
    )
    account = read.account(session, top_up.target_id)
    whole = int(top_up.amount if amount is None else amount)
    free = 0 if account.frozen_at is not None else max(0, account.balance - account.held)
    taken = whole if account.unlimited else min(whole, int(free))
    return ClawedBack(account, whole, taken, whole - taken)


def _foreseen(account: Row[Any], moved: int) -> SideForeseen:
    before = int(account.balance)
    return SideForeseen(account.name, account.tier, before, before + moved, int(account.held))
