"""Take back a top-up that was refunded or disputed outside; what was spent of it is owed (EC-077).

An account that owes is restricted: nothing new is paid from it. Whatever credit it has free later
pays what it owes first, in tasks of their own (`collect`), because that locks the other side too.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import TransferKind
from pipelines.alerts.kinds import CREDIT_OWED
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import Detail, record
from pipelines.credit.accounts import owner_of
from pipelines.credit.follow import follow, follow_movement
from pipelines.credit.refusals import (
    AlreadyReversed,
    BeyondTopUp,
    DisputeNameUsed,
    NotDisputable,
    OwesLess,
)
from pipelines.credit.transfer import FILLING, lock_sides, move, transfer_row
from pipelines.errors import NotFound

_EARLIER = text("SELECT id, transfer_id, claimed FROM receivables WHERE dispute_id = :dispute")
# Who comes second waits for the first, and writes nothing.
_CLAIM = text("""
INSERT INTO receivables (id, agency_id, client_id, account_id, transfer_id, dispute_id, currency,
                         claimed, reason, actor_id, created_at)
SELECT :id, a.agency_id, a.client_id, a.id, :transfer, :dispute, a.currency, :amount, :reason,
    :actor, :now
FROM accounts a WHERE a.id = :account
ON CONFLICT (dispute_id) DO NOTHING RETURNING id
""")
_OWING = text("""
SELECT r.id, r.account_id, r.transfer_id, r.taken, r.claimed - r.taken - r.written_off AS owed,
    a.agency_id, a.client_id, a.currency
FROM receivables r JOIN accounts a ON a.id = r.account_id WHERE r.id = :receivable
""")
_OLDEST = text("""
SELECT id, transfer_id FROM receivables WHERE account_id = :account AND settled_at IS NULL
ORDER BY id LIMIT 1
""")
_PAY = text("""
UPDATE receivables SET taken = taken + :taken, written_off = written_off + :written_off,
    settled_at = CASE WHEN taken + written_off + :taken + :written_off = claimed
                      THEN CAST(:now AS timestamptz) END
WHERE id = :receivable
""")
_RESTRICT = text("""
UPDATE accounts SET restricted_at = coalesce(restricted_at, :now) WHERE id = :account
""")
_OWED = text("""
SELECT coalesce(sum(claimed - taken - written_off), 0) FROM receivables
WHERE account_id = :account AND settled_at IS NULL
""")
_LIFT = text("UPDATE accounts SET restricted_at = NULL WHERE id = :account")
_CAN_PAY = text("""
SELECT restricted_at IS NOT NULL AS restricted, frozen_at IS NULL AND balance > held AS can_pay
FROM accounts WHERE id = :account
""")
_LOCK = text("SELECT FROM accounts WHERE id = :account FOR NO KEY UPDATE")


def claw_back(
    session: Session,
    *,
    transfer_id: UUID,
    dispute_id: str,
    amount: int | None,
    reason: str,
    actor_id: UUID | None,
    now: datetime,
) -> UUID:
    """Take `amount` minor units (all, if None) of a top-up back; the id of its receivable.

    Once per `dispute_id`: the same again gives the first. As much as the account has available is
    moved back to where it had come from; for the rest the account owes. Any scope that sees both
    sides; a webhook has no actor. Raises `NotFound`, `NotDisputable`, `AlreadyReversed`,
    `BeyondTopUp`, `DisputeNameUsed`.
    """
    top_up = transfer_row(session, transfer_id)
    amount = top_up.amount if amount is None else amount
    sides = lock_sides(session, top_up.source_id, top_up.target_id)
    claim = {"transfer": transfer_id, "dispute": dispute_id, "amount": amount}
    if (earlier := _earlier(session, claim)) is not None:
        return earlier
    _refuse(transfer_row(session, transfer_id), amount)
    values = claim | {"account": top_up.target_id, "reason": reason, "actor": actor_id, "now": now}
    made = session.execute(_CLAIM, values | {"id": new_id()}).scalar_one_or_none()
    if made is None:
        raise DisputeNameUsed  # by one of another account: this one is locked
    _take(session, made, sides[top_up.target_id], top_up, actor_id, now)
    owing = session.execute(_OWING, {"receivable": made}).one()
    detail: Detail = {"amount_minor": amount, "reason": reason}
    _audit(session, "credit.clawed_back", owing, actor_id, detail)
    if owing.owed:
        _restrict(session, owing, now)
    follow_movement(session, (top_up.source_id, top_up.target_id))
    return UUID(str(made))


def check_disputable(
    session: Session, *, transfer_id: UUID, dispute_id: str, amount: int | None
) -> Row[Any]:
    """The transfer of which `amount` (all, if None) could be taken back now.

    Raises what `claw_back` raises; a name that was taken is `DisputeNameUsed`, whatever it took.
    """
    top_up = transfer_row(session, transfer_id)
    if session.execute(_EARLIER, {"dispute": dispute_id}).one_or_none() is not None:
        raise DisputeNameUsed
    _refuse(top_up, top_up.amount if amount is None else amount)
    return top_up


def collect(session: Session, account_id: UUID, now: datetime) -> bool:
    """Let free credit of a restricted account pay what it owes longest; False if there is none.

    The last payment lifts the restriction.
    """
    oldest = session.execute(_OLDEST, {"account": account_id}).one_or_none()
    if oldest is None:
        return False
    top_up = transfer_row(session, oldest.transfer_id)
    sides = lock_sides(session, top_up.source_id, top_up.target_id)
    if not _take(session, oldest.id, sides[account_id], top_up, None, now):
        return False
    _lift_if_paid(session, account_id, None, now)
    return True


def write_off(
    session: Session,
    receivable_id: UUID,
    *,
    amount: int,
    reason: str,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Ask for `amount` minor units no more; no credit moves. Raises `NotFound`, `OwesLess`.

    The reason is kept in the audit log of whose account it is.
    """
    owing = owing_row(session, receivable_id)
    session.execute(_LOCK, {"account": owing.account_id})
    owing = owing_row(session, receivable_id)
    if owing.owed < amount:
        raise OwesLess(owed_minor=owing.owed)
    values = {"receivable": receivable_id, "taken": 0, "written_off": amount, "now": now}
    session.execute(_PAY, values)
    detail: Detail = {"amount_minor": amount, "reason": reason}
    _audit(session, "credit.written_off", owing, actor_id, detail)
    _lift_if_paid(session, owing.account_id, actor_id, now)
    follow(session, owing.account_id)


def owing_row(session: Session, receivable_id: UUID) -> Row[Any]:
    """What is owed of one receivable, and by whom; or `NotFound`."""
    row = session.execute(_OWING, {"receivable": receivable_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def top_up_row(session: Session, transfer_id: UUID) -> Row[Any]:
    """A movement that may be taken back; raises `NotFound`, `NotDisputable`, `AlreadyReversed`."""
    top_up = transfer_row(session, transfer_id)
    _refuse(top_up, 0)
    return top_up


def restriction(session: Session, account_id: UUID) -> tuple[bool, bool]:
    """Whether the account owes, and whether it has free credit to pay with."""
    row = session.execute(_CAN_PAY, {"account": account_id}).one()
    return row.restricted, row.can_pay


def _earlier(session: Session, claim: dict[str, Any]) -> UUID | None:
    row = session.execute(_EARLIER, {"dispute": claim["dispute"]}).one_or_none()
    if row is None:
        return None
    if (row.transfer_id, row.claimed) != (claim["transfer"], claim["amount"]):
        raise DisputeNameUsed
    return UUID(str(row.id))


def _refuse(top_up: Row[Any], amount: int) -> None:
    if TransferKind(top_up.kind) not in FILLING or top_up.target_kind != "credit":
        raise NotDisputable
    if top_up.is_reversed:
        raise AlreadyReversed
    if top_up.claimed + amount > top_up.amount:
        raise BeyondTopUp(amount_minor=top_up.amount, claimed_minor=int(top_up.claimed))


def _take(
    session: Session,
    receivable_id: UUID,
    account: Row[Any],
    top_up: Row[Any],
    actor_id: UUID | None,
    now: datetime,
) -> int:
    """Move what the account, which is locked, has available; nothing leaves one in doubt."""
    owing = session.execute(_OWING, {"receivable": receivable_id}).one()
    free = 0 if account.frozen_at is not None else max(0, account.balance - account.held)
    taken = int(min(owing.owed, owing.owed if account.unlimited else free))
    if taken == 0:
        return 0
    move(
        session,
        kind=TransferKind.CLAW_BACK,
        source=top_up.target_id,
        target=top_up.source_id,
        owner_side=top_up.target_id,
        amount=taken,
        client_ref=f"claw_back:{receivable_id}:{owing.taken}",
        actor_id=actor_id,
    )
    values = {"receivable": receivable_id, "taken": taken, "written_off": 0, "now": now}
    session.execute(_PAY, values)
    return taken


def _restrict(session: Session, owing: Row[Any], now: datetime) -> None:
    session.execute(_RESTRICT, {"account": owing.account_id, "now": now})
    owed = int(session.execute(_OWED, {"account": owing.account_id}).scalar_one())
    raise_alert(
        session,
        CREDIT_OWED,
        subject_id=owing.account_id,
        detail={"owed_minor": owed, "currency": owing.currency},
        now=now,
        agency_id=owing.agency_id,
        client_id=owing.client_id,
    )


def _lift_if_paid(session: Session, account_id: UUID, actor_id: UUID | None, now: datetime) -> None:
    """End the restriction of a locked account that owes nothing any more."""
    if session.execute(_OWED, {"account": account_id}).scalar_one():
        return
    session.execute(_LIFT, {"account": account_id})
    owner = owner_of(session, account_id)
    settle_alert(
        session,
        CREDIT_OWED,
        subject_id=account_id,
        now=now,
        agency_id=owner.agency_id,
        client_id=owner.client_id,
    )
    record(
        session,
        "credit.unrestricted",
        object_kind="account",
        object_id=account_id,
        actor_id=actor_id,
        agency_id=owner.agency_id,
        client_id=owner.client_id,
    )


def _audit(
    session: Session,
    action: str,
    owing: Row[Any],
    actor_id: UUID | None,
    detail: Detail,
) -> None:
    record(
        session,
        action,
        object_kind="receivable",
        object_id=owing.id,
        actor_id=actor_id,
        agency_id=owing.agency_id,
        client_id=owing.client_id,
        detail={**detail, "owed_minor": owing.owed, "account_id": str(owing.account_id)},
    )
