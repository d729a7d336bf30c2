"""One credit account: what it has, how its balance went, and its movements with both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.credit import read
from pipelines.credit.projection import projection
from pipelines.credit.receivables import list_receivables, settling
from pipelines.credit.statement import ABOVE, daily_balances, movements, statement
from pipelines.credit.transfer import FILLING
from pipelines.errors import NotFound
from web.console.charts import Chart, Series, line_chart, meter
from web.console.formats import money
from web.console.frame import page
from web.console.projection_words import projection_words
from web.console.top_ups import top_ups_seen
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal
from web.statements import statement_file

MOVEMENTS_SHOWN = 50
BELOW_SHOWN = 200
RECEIVABLES_SHOWN = 20
DAYS_SHOWN = 30
KINDS = {
    "top_up": "Top-up",
    "allocation": "Allocation",
    "recall": "Recall",
    "capture": "Cards issued",
    "refund": "Job undone",
    "adjustment": "Adjustment",
    "reversal": "Reversal",
    "replacement": "Card replaced",
    "opening": "Opening balance",
    "claw_back": "Disputed top-up taken back",
}


@dataclass(frozen=True, slots=True)
class JustMoved:
    """A movement that was just made, and the balances right after it."""

    what: str
    balances: str
    #: What follows from it, or has followed; empty where nothing does.
    since: str


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/credit/<uuid:account_id>", "credit_account", show)
    console.add_url_rule("/credit/<uuid:account_id>/statement.csv", "credit_statement", download)


@permitted(Permission.CREDIT_READ)
def show(account_id: UUID) -> Response:
    """The account with its movements, oldest first; `after` is the last of the page before."""
    with looking() as session:
        account = read.account_view(read.account(session, account_id))
        below = read.accounts_below(session, account_id, limit=BELOW_SHOWN)
        has_parent = _is_seen(session, account["parent_id"])
        moved = _just_moved(session, account_id)
        frame = statement(session, account_id, since=None, until=clock.now(session))
        ahead = projection(session, account_id, now=frame.until)
        found = movements(session, frame, after=_after(), limit=MOVEMENTS_SHOWN + 1)
        owed = list_receivables(session, account_id, before=None, limit=RECEIVABLES_SHOWN)
        days = daily_balances(session, frame, since=frame.until - timedelta(days=DAYS_SHOWN))
        paid_for = top_ups_seen(session, account)
    shown = found[:MOVEMENTS_SHOWN]
    return page(
        "credit_account.html",
        title=account["name"],
        section="credit",
        crumbs=[("Credit", url_for("console.credit")), (account["name"], None)],
        account=account,
        below=[read.account_view(row) for row in below],
        moved=moved,
        ahead=projection_words(ahead) if ahead else None,
        may_correct=is_allowed(principal(), Permission.CREDIT_CORRECT),
        filling=FILLING,
        may_move=is_allowed(principal(), Permission.CREDIT_MOVE),
        has_parent=has_parent,
        frame=frame,
        movements=shown,
        receivables=owed,
        paid_for=paid_for,
        kinds=KINDS,
        further=shown[-1].id if len(found) > MOVEMENTS_SHOWN else None,
        is_later=_after() is not None,
        charts=[_parts(account), *_course(days, account["currency"])],
    )


@permitted(Permission.CREDIT_READ)
def download(account_id: UUID) -> Response:
    """The whole statement as a file."""
    return statement_file(account_id, {"since": None, "until": None})


def _is_seen(session: Session, account_id: UUID | None) -> bool:
    return account_id is not None and account_id in read.account_names(session, [account_id])


def _just_moved(session: Session, account_id: UUID) -> JustMoved | None:
    """What the form before this page did, in words; None for anything else in the address."""
    moved = id_in(request.args.get("moved"))
    if moved is None:
        return None
    try:
        shown = read.transfer_view(session, moved)
    except NotFound:
        return None
    sides = shown["out_transaction"], shown["in_transaction"]
    ids = [side["account_id"] for side in sides]
    if account_id not in ids:
        return None
    names = {key: name for key, (name, _) in read.account_names(session, ids).items()}
    source, target = (names.get(key, ABOVE) for key in ids)
    currency = sides[0]["currency"]
    balances = [money(side["balance_after_minor"], currency) for side in sides]
    return JustMoved(
        f"{money(sides[1]['amount_minor'], currency)} moved from {source} to {target}",
        f"{source} had a balance of {balances[0]} right after it, {target} of {balances[1]}.",
        _since(session, ids[1], sides[1]) if ids[1] in names else "",
    )


def _since(session: Session, reached: UUID, side: dict[str, Any]) -> str:
    """What becomes of credit that came into an account that owes, or owed (EC-077)."""
    account = read.account(session, reached)
    paying, currency = settling(session, account), account.currency
    if paying.paid:
        stays = money(max(0, side["amount_minor"] - paying.paid), currency)
        return (
            f"What {account.name} owes is being settled: of this {money(paying.paid, currency)} "
            f"pays what is owed; {stays} stays. Open this page again in a moment."
        )
    if account.balance == side["balance_after_minor"]:
        return ""
    return f"The balance of {account.name} is {money(account.balance, currency)} by now."


def _after() -> int | None:
    given = request.args.get("after", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _parts(account: dict[str, object]) -> Chart:
    currency = str(account["currency"])
    parts = (
        ("Spent", "spent_minor"),
        ("Held by jobs", "held_minor"),
        ("Available", "available_minor"),
    )
    return meter(
        "parts",
        "Where the credit is",
        parts=[(label, max(0, int(str(account[name])))) for label, name in parts],
        say=lambda amount: money(int(amount), currency),
        description="Spent on cards, held by jobs, and available",
    )


def _course(days: Sequence[tuple[datetime, int]], currency: str) -> list[Chart]:
    """The balance at the end of each day on which it moved; a line needs two of them."""
    if len(days) < 2:
        return []
    return [
        line_chart(
            "course",
            f"Balance in the last {DAYS_SHOWN} days",
            axis="Day (UTC)",
            steps=[f"{day:%-d %b}" for day, _ in days],
            series=[Series("Balance", [max(0, balance) for _, balance in days])],
            say=lambda amount: money(round(amount), currency),
            description="The balance at the end of each day on which it moved",
        )
    ]
