"""Freeze every account whose numbers are not what its postings and holds add up to (EC-074).

Nothing is ever corrected here: two people decide what becomes of it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import LEDGER_DRIFT
from pipelines.alerts.raise_alert import raise_alert
from pipelines.audit.record import record
from pipelines.credit.refusals import InsufficientCredit, NotFrozen
from pipelines.errors import NotFound

_SUMS = """
    (SELECT coalesce(sum(p.amount), 0) FROM postings p WHERE p.account_id = a.id) AS posted,
    (SELECT coalesce(sum(h.amount - h.captured - h.voided), 0) FROM holds h
     WHERE h.account_id = a.id AND h.state = 'open') AS open_holds"""
# One snapshot, in which a movement is seen whole or not at all. What moves meanwhile is looked at
# again under its lock: an UPDATE of the same shape would compare new balances with old sums.
_SUSPECTS = text(f"""
SELECT s.id FROM (SELECT a.id, a.balance, a.held, {_SUMS} FROM accounts a
                  WHERE a.frozen_at IS NULL) s
WHERE s.balance <> s.posted OR s.held <> s.open_holds ORDER BY s.id
""")
_LOCK = text("SELECT FROM accounts WHERE id = :account FOR NO KEY UPDATE")
_ONE = text(f"""
SELECT a.agency_id, a.client_id, a.currency, a.unlimited, a.balance, a.held, a.frozen_at, {_SUMS}
FROM accounts a WHERE a.id = :account
""")
_FREEZE = text("UPDATE accounts SET frozen_at = :now WHERE id = :account")
_LESS_THAN_HELD = (
    "The account's movements add up to less than jobs hold of it. Adjust its credit first "
    "(POST /credit/adjustments) by at least what is missing, then ask again."
)


@dataclass(frozen=True, slots=True)
class Sums:
    """What an account has, and what of it jobs hold; minor units."""

    balance: int
    held: int


@dataclass(frozen=True, slots=True)
class Compared:
    """An account's own numbers beside what its postings and open holds add up to."""

    agency_id: UUID | None
    client_id: UUID | None
    currency: str
    unlimited: bool
    stored: Sums
    ledger: Sums
    frozen_at: datetime | None

    @property
    def drift(self) -> Sums:
        """How much more the account says than the ledger; movements leave it as it is."""
        return Sums(self.stored.balance - self.ledger.balance, self.stored.held - self.ledger.held)


def check_balances(session: Session, now: datetime) -> list[UUID]:
    """Freeze what has drifted, and raise `ledger_drift` for it; the accounts that were frozen.

    In a scope that sees every account.
    """
    suspects = session.execute(_SUSPECTS).scalars().all()
    return [suspect for suspect in suspects if _freeze(session, suspect, now)]


def frozen_under_lock(session: Session, account_id: UUID) -> Compared:
    """Lock a frozen account, of any kind, whose ledger can be taken at its word; compare.

    Raises `NotFound`, `NotFrozen`, and `InsufficientCredit` when the ledger has less than jobs hold:
    no account can stand so.
    """
    found = _compared_under_lock(session, account_id)
    if found.frozen_at is None:
        raise NotFrozen
    ledger = found.ledger
    if ledger.balance < ledger.held and not found.unlimited:
        raise InsufficientCredit(
            _LESS_THAN_HELD,
            required_minor=ledger.held,
            available_minor=ledger.balance,
            held_minor=ledger.held,
        )
    return found


def _compared_under_lock(session: Session, account_id: UUID) -> Compared:
    if session.execute(_LOCK, {"account": account_id}).one_or_none() is None:
        raise NotFound
    row = session.execute(_ONE, {"account": account_id}).one()
    return Compared(
        agency_id=row.agency_id,
        client_id=row.client_id,
        currency=row.currency,
        unlimited=row.unlimited,
        stored=Sums(row.balance, row.held),
        ledger=Sums(int(row.posted), int(row.open_holds)),
        frozen_at=row.frozen_at,
    )


def _freeze(session: Session, account_id: UUID, now: datetime) -> bool:
    found = _compared_under_lock(session, account_id)
    if found.stored == found.ledger or found.frozen_at is not None:
        return False
    session.execute(_FREEZE, {"account": account_id, "now": now})
    detail: dict[str, str | int | None] = {
        "balance_minor": found.stored.balance,
        "posted_minor": found.ledger.balance,
        "held_minor": found.stored.held,
        "open_holds_minor": found.ledger.held,
        "currency": found.currency,
    }
    raise_alert(session, LEDGER_DRIFT, subject_id=account_id, detail=detail, now=now)
    record(
        session,
        "credit.frozen",
        object_kind="account",
        object_id=account_id,
        actor_id=None,
        agency_id=found.agency_id,
        client_id=found.client_id,
        detail=detail,
    )
    return True
