"""What accounts owe: whose top-ups were refunded or disputed after they were spent (EC-077)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission, is_allowed
from pipelines.credit.read import account_names
from pipelines.credit.receivables import all_receivables
from web.console.credit_account import KINDS
from web.console.formats import moment, money
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

RECEIVABLES_SHOWN = 50
_OWES = StateWords("Owes", "alert", "bad")
_SETTLED = StateWords("Settled", "check", "good")


@dataclass(frozen=True, slots=True)
class OwedWords:
    """One disputed top-up as the page says it."""

    id: UUID
    account_id: UUID
    account: str
    state: StateWords
    since: datetime
    top_up: str
    transfer_id: UUID
    dispute_id: str
    reason: str
    claimed: str
    taken: str
    written_off: str
    owed: str
    is_open: bool


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/receivables", "receivables", show)


@permitted(Permission.CREDIT_READ)
def show() -> Response:
    """Newest first; `state=all` with those that are settled, `after` the last of the page before."""
    with_settled, before = request.args.get("state") == "all", id_in(request.args.get("after"))
    with looking() as session:
        found = all_receivables(
            session, with_settled=with_settled, before=before, limit=RECEIVABLES_SHOWN + 1
        )
        names = account_names(session, {one.account_id for one in found})
    shown = found[:RECEIVABLES_SHOWN]
    return page(
        "receivables.html",
        title="What is owed",
        section="credit",
        crumbs=[("Credit", url_for("console.credit")), ("What is owed", None)],
        owed=[_words(one, names) for one in shown],
        with_settled=with_settled,
        further=shown[-1].id if len(found) > RECEIVABLES_SHOWN else None,
        is_later=before is not None,
        may_correct=is_allowed(principal(), Permission.CREDIT_CORRECT),
    )


def _words(row: Row[Any], names: dict[UUID, tuple[str, str]]) -> OwedWords:
    name, _currency = names.get(row.account_id, ("An account", row.currency))
    kind = KINDS.get(row.kind, row.kind) if row.kind else "Movement"
    return OwedWords(
        id=row.id,
        account_id=row.account_id,
        account=name,
        state=_OWES if row.owed else _SETTLED,
        since=row.created_at,
        top_up=f"{kind} of {moment(row.moved_at)}" if row.moved_at else kind,
        transfer_id=row.transfer_id,
        dispute_id=row.dispute_id,
        reason=row.reason,
        claimed=money(row.claimed, row.currency),
        taken=money(row.taken, row.currency),
        written_off=money(row.written_off, row.currency),
        owed=money(row.owed, row.currency),
        is_open=row.owed > 0,
    )
