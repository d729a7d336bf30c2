"""Set credit aside for a job, capture what was issued, void the rest."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import TransferKind
from pipelines.credit.refusals import (
    AccountFrozen,
    AccountRestricted,
    InsufficientCredit,
    NoCreditAccount,
)
from pipelines.credit.transfer import move
from pipelines.errors import Refusal


@dataclass(frozen=True, slots=True)
class Payer:
    """The credit account a campaign draws on; amounts in minor units."""

    account_id: UUID
    currency: str
    balance: int
    held: int
    unlimited: bool

    @property
    def available(self) -> int:
        return self.balance - self.held


#: SQL: the credit account `a` of campaign `c`; an isolated one pays from its own account, a
#: sharing one from its client's.
PAYS = """a.kind = 'credit'
  AND a.owner_id = CASE c.budget_mode WHEN 'isolated' THEN c.id ELSE c.client_id END"""
_PAYER = text(f"""
SELECT a.id, a.currency, a.balance, a.held, a.unlimited
FROM campaigns c JOIN accounts a ON {PAYS}
WHERE c.id = :campaign AND a.currency = :currency
""")
_SET_ASIDE = text("""
UPDATE accounts SET held = held + :amount
WHERE id = :account AND frozen_at IS NULL AND restricted_at IS NULL
  AND (unlimited OR balance - held >= :amount)
RETURNING 1
""")
_STOPPED = text("""
SELECT frozen_at, restricted_at, CASE WHEN restricted_at IS NULL THEN 0 ELSE (
    SELECT CAST(coalesce(sum(claimed - taken - written_off), 0) AS bigint) FROM receivables
    WHERE account_id = :account AND settled_at IS NULL) END AS owed
FROM accounts WHERE id = :account
""")
_OPEN = text("""
INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency, amount)
SELECT :id, agency_id, client_id, id, :job, :round, currency, :amount
FROM accounts WHERE id = :account
""")
_DRAW = text("""
UPDATE holds h SET captured = captured + :captured, voided = voided + :voided,
    state = CASE WHEN captured + voided + :captured + :voided = amount THEN 'closed'
                 ELSE 'open' END,
    closed_at = CASE WHEN captured + voided + :captured + :voided = amount
                     THEN CAST(:now AS timestamptz) END
WHERE job_id = :job AND round = :round AND state = 'open'
RETURNING h.account_id, (
    SELECT s.id FROM accounts s, accounts c
    WHERE c.id = h.account_id AND s.owner_id = c.owner_id AND s.kind = 'spent'
      AND s.currency = c.currency) AS spent_id
""")
_FREE = text("UPDATE accounts SET held = held - :amount WHERE id = :account")


def payer_of(session: Session, campaign_id: UUID, currency: str) -> Payer:
    """The account the campaign draws on in `currency`; raises `NoCreditAccount`."""
    row = session.execute(_PAYER, {"campaign": campaign_id, "currency": currency}).one_or_none()
    if row is None:
        raise NoCreditAccount
    return Payer(row.id, row.currency, row.balance, row.held, row.unlimited)


def place_hold(
    session: Session, payer: Payer, *, job_id: UUID, round_number: int, amount: int
) -> None:
    """Set `amount` aside for one round of a job.

    Raises `InsufficientCredit`, `AccountFrozen`, `AccountRestricted`.
    The conditional update decides; `payer` only chooses the account. It is the accept's last
    statement, so that the account's row is locked for the shortest time.
    """
    if amount == 0:
        return
    values = {"account": payer.account_id, "amount": amount}
    if session.execute(_SET_ASIDE, values).scalar_one_or_none() is None:
        raise refusal_of(session, payer, amount)
    session.execute(
        _OPEN,
        values | {"id": new_id(), "job": job_id, "round": round_number},
    )


def refusal_of(session: Session, payer: Payer, amount: int) -> Refusal:
    """Why the account did not give `amount`."""
    return stop_of(session, payer) or InsufficientCredit(
        required_minor=amount, available_minor=payer.available, held_minor=payer.held
    )


def stop_of(session: Session, payer: Payer) -> AccountFrozen | AccountRestricted | None:
    """Why the account pays for nothing new, however much it has."""
    stopped = session.execute(_STOPPED, {"account": payer.account_id}).one()
    if stopped.frozen_at is not None:
        return AccountFrozen()
    if stopped.restricted_at is None:
        return None
    return AccountRestricted(
        account_id=payer.account_id, owed_minor=stopped.owed, currency=payer.currency
    )


def capture_and_void(
    session: Session,
    *,
    job_id: UUID,
    round_number: int,
    captured: int,
    voided: int,
    client_ref: str,
    transfer_id: UUID | None,
    now: datetime,
) -> None:
    """Turn part of a job's hold into a transfer and give part of it back, at once.

    Both amounts in minor units. The transfer (credit to spent) has the id `transfer_id`, which
    the provisions it pays for already carry.
    """
    if captured == 0 and voided == 0:
        return
    row = session.execute(
        _DRAW,
        {
            "job": job_id,
            "round": round_number,
            "captured": captured,
            "voided": voided,
            "now": now,
        },
    ).one_or_none()
    if row is None:
        raise LookupError("the job has no open hold for this round")
    if captured == 0:
        session.execute(_FREE, {"account": row.account_id, "amount": voided})
        return
    move(
        session,
        kind=TransferKind.CAPTURE,
        source=row.account_id,
        target=row.spent_id,
        amount=captured,
        release=captured + voided,
        client_ref=client_ref,
        job_id=job_id,
        transfer_id=transfer_id,
    )
