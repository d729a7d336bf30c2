"""Open accounts from a balance sheet: two people agree, it is done once, whole or not at all (S4-013, S4-014)."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.ledger import AccountKind
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.approvals.approvals import ApprovalKind, Detail, ask_for_approval
from pipelines.audit.record import record
from pipelines.credit.accounts import PLATFORM_ID, account_id
from pipelines.credit.follow import follow_movement
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.limits import Limits
from pipelines.openings.check import (
    Checked,
    SheetRefused,
    campaigns_without,
    check_sheet,
    currencies_of,
    report_of,
)
from pipelines.openings.sheet import SheetRow
from pipelines.tenants.accounts import open_for_campaigns, open_for_currency

APPROVAL = "credit.opening"
LINES = (
    *("row", "tier", "agency", "client", "campaign", "currency", "balance_minor", "verdict"),
    *("detail", "account_id", "transfer_id", "ledger_minor", "drift_minor"),
)
_KEEP = text("""
INSERT INTO balance_sheets (id, sha256, file, reason, asked_by, report, created_at)
VALUES (:id, :sha256, :file, :reason, :actor, CAST(:report AS jsonb), :now)
""")
_SHEET = text("""
SELECT id, sha256, file, reason, asked_by, report, lines, applied_at, created_at
FROM balance_sheets WHERE id = :sheet
""")
_APPLIED = text("SELECT id FROM balance_sheets WHERE sha256 = :sha256 AND applied_at IS NOT NULL")
_LOCK_SHEET = text("SELECT FROM balance_sheets WHERE id = :sheet FOR NO KEY UPDATE")
_LOCK = text("SELECT FROM accounts WHERE id = ANY(:accounts) ORDER BY id FOR NO KEY UPDATE")
_GIVEN = """unnest(CAST(:accounts AS uuid[]), CAST(:transfers AS uuid[]), CAST(:amounts AS bigint[]))
    WITH ORDINALITY AS g (account_id, transfer_id, amount, place)"""
# The name of the movement is the account's: none is opened twice.
_TRANSFERS = text(f"""
INSERT INTO transfers (id, agency_id, client_id, kind, client_ref, amount, currency, notes,
                       actor_id)
SELECT g.transfer_id, a.agency_id, a.client_id, 'opening', 'opening:' || a.id, g.amount, a.currency,
    :notes, :actor
FROM {_GIVEN} JOIN accounts a ON a.id = g.account_id
""")
_INTO = text(f"""
INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount, currency,
                      balance_after)
SELECT g.transfer_id, a.id, a.agency_id, a.client_id, g.amount, a.currency, a.balance + g.amount
FROM {_GIVEN} JOIN accounts a ON a.id = g.account_id ORDER BY g.place
""")
_OUT_OF = text(f"""
INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount, currency,
                      balance_after)
SELECT g.transfer_id, o.id, o.agency_id, o.client_id, -g.amount, o.currency,
    o.balance - sum(g.amount) OVER (PARTITION BY o.id ORDER BY g.place)
FROM {_GIVEN} JOIN accounts a ON a.id = g.account_id
JOIN accounts o ON o.kind = 'outside' AND o.currency = a.currency ORDER BY g.place
""")
_BALANCES = text("""
UPDATE accounts a SET balance = a.balance + m.amount, full_minor = CASE a.kind
    WHEN 'credit' THEN a.balance + m.amount ELSE a.full_minor END
FROM (SELECT account_id, sum(amount) AS amount FROM postings
      WHERE transfer_id = ANY(:transfers) GROUP BY account_id) m
WHERE a.id = m.account_id
""")
_LEDGER = text("""
SELECT a.id, a.balance, coalesce(sum(p.amount), 0) AS posted FROM accounts a
LEFT JOIN postings p ON p.account_id = a.id WHERE a.id = ANY(:accounts) GROUP BY a.id
""")
_DONE = text("""
UPDATE balance_sheets SET applied_at = :now, report = CAST(:report AS jsonb), lines = :lines
WHERE id = :sheet
""")


class SheetApplied(Refusal):
    """The same file was applied before; `balance_sheet_id` names it."""

    code = "duplicate_upload"
    kind = Kind.CONFLICT

    def __init__(self, sheet_id: UUID) -> None:
        super().__init__(
            "This balance sheet was applied before. Read its report.",
            extra={"balance_sheet_id": str(sheet_id)},
        )


def approval_kind(limits: Limits) -> ApprovalKind:
    """Credit enters from outside: nobody opens accounts alone."""
    return ApprovalKind(APPROVAL, Permission.CREDIT_CORRECT, partial(_act, limits=limits))


def ask_to_open(
    session: Session,
    caller: Principal,
    *,
    content: bytes,
    sha256: bytes,
    reason: str,
    limits: Limits,
    now: datetime,
) -> UUID:
    """Keep a sheet without errors and ask a second person; the approval's id.

    Raises `SheetApplied`, `SheetRefused` and what the reader refuses; nothing is written then.
    """
    applied = session.execute(_APPLIED, {"sha256": sha256}).scalar_one_or_none()
    if applied is not None:
        raise SheetApplied(applied)
    checked = check_sheet(session, content, limits)
    if checked.errors:
        raise SheetRefused(checked.errors)
    sheet_id = new_id()
    values = {"id": sheet_id, "sha256": sha256, "file": content, "reason": reason, "now": now}
    report = json.dumps(report_of(checked, sha256))
    session.execute(_KEEP, values | {"actor": caller.actor_id, "report": report})
    detail: Detail = {
        "balance_sheet_id": str(sheet_id),
        "sha256": sha256.hex(),
        "rows": checked.sheet.count,
        "accounts_missing": checked.missing_accounts,
        "totals": _totals(checked),
        "notes": reason,
    }
    return ask_for_approval(
        session,
        approval_kind(limits),
        caller,
        detail,
        agency_id=None,
        client_id=None,
        limits=limits,
        now=now,
    )


def sheet_row(session: Session, sheet_id: UUID) -> Row[Any]:
    """A sheet that was asked for or applied, or `NotFound`."""
    row = session.execute(_SHEET, {"sheet": sheet_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def lines_csv(checked: Checked) -> bytes:
    """What a check says of each row that could be read, and every error, as a file."""
    return b"".join(csv_blocks(LINES, _checked_lines(checked)))


def _act(
    session: Session, _approval_id: UUID, detail: Detail, requested_by: UUID, *, limits: Limits
) -> UUID:
    sheet_id = UUID(str(detail["balance_sheet_id"]))
    apply_sheet(session, sheet_id, actor_id=requested_by, limits=limits, now=clock.now(session))
    return sheet_id


def apply_sheet(
    session: Session, sheet_id: UUID, *, actor_id: UUID, limits: Limits, now: datetime
) -> None:
    """Open every account of a kept sheet from outside, in this transaction.

    What changed since it was checked is found again: `SheetRefused`, `SheetApplied`.
    """
    session.execute(_LOCK_SHEET, {"sheet": sheet_id})
    sheet = sheet_row(session, sheet_id)
    applied = session.execute(_APPLIED, {"sha256": sheet.sha256}).scalar_one_or_none()
    if applied is not None:
        raise SheetApplied(applied)
    before = check_sheet(session, sheet.file, limits)
    _open_accounts(session, before)
    checked = check_sheet(session, sheet.file, limits)
    accounts = {row.account_id for row in checked.found if row.account_id is not None}
    outsides = [
        account_id(session, PLATFORM_ID, currency=currency, kind=AccountKind.OUTSIDE)
        for currency in currencies_of(checked.sheet)
    ]
    session.execute(_LOCK, {"accounts": [*accounts, *outsides]})
    checked = check_sheet(session, sheet.file, limits)  # of what moved until we had the accounts
    if checked.errors:
        raise SheetRefused(checked.errors)
    made = checked.entities["accounts"] - before.entities["accounts"]
    transfers = _post(session, checked, sheet.reason, actor_id)
    ledger = {
        row.id: (row.balance, int(row.posted))
        for row in session.execute(_LEDGER, {"accounts": list(accounts)})
    }
    report = report_of(checked, sheet.sha256) | {
        "made": {"accounts": made, "movements": len(transfers)},
        "drift": _drift(checked, ledger),
    }
    lines = b"".join(csv_blocks(LINES, _applied_lines(checked, transfers, ledger)))
    values = {"sheet": sheet_id, "report": json.dumps(report), "lines": lines, "now": now}
    session.execute(_DONE, values)
    follow_movement(session, list(accounts))
    record(
        session,
        "credit.opened",
        object_kind="balance_sheet",
        object_id=sheet_id,
        actor_id=actor_id,
        detail={"rows": checked.sheet.count, "totals": _totals(checked), "accounts_made": made},
    )


def _open_accounts(session: Session, checked: Checked) -> None:
    """Accounts that the sheet needs and nobody has yet, in the whole tree."""
    if checked.errors:
        raise SheetRefused(checked.errors)
    for currency in currencies_of(checked.sheet):
        open_for_currency(session, currency)
    open_for_campaigns(session, campaigns_without(checked.sheet, checked.found))


def _post(session: Session, checked: Checked, notes: str, actor_id: UUID) -> dict[UUID, UUID]:
    """One movement from outside into each account that has credit; the movement by account."""
    given = [
        (seen.account_id, new_id(), row.balance)
        for row, seen in zip(checked.sheet.rows, checked.found, strict=True)
        if row.balance
    ]
    values = {
        "accounts": [one[0] for one in given],
        "transfers": [one[1] for one in given],
        "amounts": [one[2] for one in given],
    }
    session.execute(_TRANSFERS, values | {"notes": notes, "actor": actor_id})
    session.execute(_INTO, values)
    session.execute(_OUT_OF, values)
    session.execute(_BALANCES, {"transfers": values["transfers"]})
    return {account: transfer for account, transfer, _amount in given}


def _totals(checked: Checked) -> str:
    """`EUR 500, USD 100000`: minor units by currency."""
    sums: Counter[str] = Counter()
    for row in checked.sheet.rows:
        sums[row.currency] += row.balance
    return ", ".join(f"{currency} {amount}" for currency, amount in sorted(sums.items()))


def _drift(checked: Checked, ledger: dict[UUID, tuple[int, int]]) -> list[dict[str, Any]]:
    """What the sheet says beside what the ledger says, by currency: the difference is zero."""
    said: Counter[str] = Counter()
    posted: Counter[str] = Counter()
    for row, seen in zip(checked.sheet.rows, checked.found, strict=True):
        said[row.currency] += row.balance
        posted[row.currency] += ledger[seen.account_id][1]
    return [
        {
            "currency": currency,
            "sheet_minor": said[currency],
            "ledger_minor": posted[currency],
            "drift_minor": posted[currency] - said[currency],
        }
        for currency in sorted(said)
    ]


def _checked_lines(checked: Checked) -> Iterator[tuple[str | int | None, ...]]:
    wrong = {error.row: error for error in reversed(checked.errors)}
    read = {row.number for row in checked.sheet.rows}
    for row, seen in zip(checked.sheet.rows, checked.found, strict=True):
        error = wrong.get(row.number)
        said = ("well", None) if error is None else (error.code, error.detail)
        account = str(seen.account_id) if seen.account_id else None
        yield (*_names(row), *said, account, None, None, None)
    for error in checked.errors:
        if error.row not in read:
            yield (error.row, *(None,) * 6, error.code, error.detail, *(None,) * 4)


def _applied_lines(
    checked: Checked, transfers: dict[UUID, UUID], ledger: dict[UUID, tuple[int, int]]
) -> Iterator[tuple[str | int | None, ...]]:
    for row, seen in zip(checked.sheet.rows, checked.found, strict=True):
        transfer, posted = transfers.get(seen.account_id), ledger[seen.account_id][1]
        verdict = "opened" if transfer else "empty"
        moved = str(transfer) if transfer else None
        drift = posted - row.balance
        yield (*_names(row), verdict, None, str(seen.account_id), moved, posted, drift)


def _names(row: SheetRow) -> tuple[str | int | None, ...]:
    names = (row.agency or None, row.client or None, row.campaign or None)
    return (row.number, row.tier.value, *names, row.currency, row.balance)
