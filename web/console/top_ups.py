"""Credit that is paid for: say how much, pay on Stripe's page, come back to the account (EC-077).

Our pages let forms lead to us alone, so that the form leads to a page of ours which goes on to
Stripe's by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.ledger import Tier
from models.payments import PaymentState
from models.scope import tenant_scope
from pipelines.access.permissions import Permission
from pipelines.credit import read
from pipelines.credit.read_top_ups import (
    last_top_up,
    read_top_up,
    top_up_paid_on,
    top_ups_of,
)
from pipelines.credit.top_up import NewTopUp, begin_top_up
from pipelines.errors import Refusal
from pipelines.payments.refusals import (
    AmountOutOfRange,
    BelowMinimumCharge,
    InvalidPrecision,
    PaymentEnded,
    PaymentProviderUnavailable,
    PaymentRefused,
    PaymentsNotSetUp,
)
from pipelines.queue.keys import RequestInProgress, once
from web.console.amounts import amount_of, typed_amount
from web.console.at_work import still_at_work
from web.console.changes import Place, form_page
from web.console.form_names import form_name, key_of_form
from web.console.formats import money
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.purchase_words import TOP_UP_STATES, TopUpNews, top_up_news
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

SHOWN = 20
TITLE = "Pay for credit"
#: In the address of the account's page, for who comes back from Stripe's page.
BACK = "top_up"
#: Stripe puts the id of its page there; who leaves it unpaid has no id with them.
PAID, LEFT = "{CHECKOUT_SESSION_ID}", "left"
ID_CHARACTERS_MAX = 255


@dataclass(frozen=True, slots=True)
class TopUpLine:
    """One top-up of an account's list."""

    id: UUID
    amount: str
    state: StateWords
    back: str
    is_disputed: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TopUps:
    """What an account's page shows of its top-ups."""

    lines: list[TopUpLine]
    #: For who comes back from paying, with the page to go on with.
    news: TopUpNews | None
    again: str | None
    #: Why it cannot be paid for; None where it can.
    refused: str | None


def add_pages(console: Blueprint) -> None:
    path = "/credit/<uuid:account_id>/pay"
    console.add_url_rule(path, "credit_pay", ask, methods=["GET"])
    console.add_url_rule(path, "credit_pay_now", pay, methods=["POST"])
    console.add_url_rule("/credit/top-ups/<uuid:top_up_id>", "top_up", show)


def top_ups_seen(session: Session, account: Mapping[str, Any]) -> TopUps:
    """The account's top-ups, and what came of the one that the address says somebody is back from."""
    rows = top_ups_of(session, account["id"], limit=SHOWN)
    back = _back_from(session, account["id"])
    is_open = back is not None and back.state == PaymentState.OPEN
    return TopUps(
        [_line(row) for row in rows],
        None if back is None else top_up_news(back),
        back.session_url if back is not None and is_open else None,
        _refused(str(account["tier"])),
    )


@permitted(Permission.CREDIT_MOVE)
def ask(account_id: UUID) -> Response:
    return _form(_account(account_id), {"amount": ""}, {})


@permitted(Permission.CREDIT_MOVE)
def pay(account_id: UUID) -> Response:
    """Begin it once, however often the form is sent, and have its page made."""
    account, caller = _account(account_id), principal()
    typed, errors = {"amount": typed_amount("amount")}, dict[str, str]()
    amount = amount_of("amount", account.currency, errors, may_be_empty=False)
    if refused := _refused(account.tier):
        errors["amount"] = refused
    if errors or amount is None:
        return _form(account, typed, errors)
    new = NewTopUp(account_id, amount, _address(account_id, PAID), _address(account_id, LEFT))
    try:
        with looking() as session:
            now = clock.now(session)
            make = partial(begin_top_up, session, new, actor_id=caller.actor_id, now=now)
            key = key_of_form(caller.actor_id)
            done = once(session, key, make, status=303, resource_kind="top_up")
        _open(done.resource_id)
    except RequestInProgress:
        return still_at_work(url_for("console.credit_account", account_id=account_id))
    except (BelowMinimumCharge, AmountOutOfRange, InvalidPrecision) as refusal:
        return _form(account, typed, {"amount": refusal.detail})
    except (PaymentProviderUnavailable, PaymentRefused) as refusal:
        return _form(account, typed, {"amount": _unopened(refusal)}, STATUS[refusal.kind])
    return go(url_for("console.top_up", top_up_id=done.resource_id, go_on=1))


@permitted(Permission.CREDIT_READ)
def show(top_up_id: UUID) -> Response:
    """How far a top-up is; one that was just begun goes on to Stripe's page by itself."""
    with looking() as session:
        row = read_top_up(session, top_up_id)
        account = read.account(session, row.account_id)
    is_open = row.state == PaymentState.OPEN and row.session_url is not None
    home = url_for("console.credit_account", account_id=account.id)
    title = f"Top-up of {money(row.amount_minor, row.currency)}"
    return page(
        "top_up.html",
        title=title,
        section="credit",
        crumbs=[("Credit", url_for("console.credit")), (account.name, home), (title, None)],
        top_up=row,
        line=_line(row),
        news=top_up_news(row),
        home=home,
        account=account,
        pay_at=row.session_url if is_open else None,
        goes_on=is_open and "go_on" in request.args,
    )


def _open(top_up_id: UUID) -> None:
    """Have its page at Stripe made; one that was made, or is over, stays as it is."""
    with tenant_scope(principal().scope):
        try:
            front().house.paying.pages.open(top_up_id)
        except PaymentEnded:
            return


def _address(account_id: UUID, told: str) -> str:
    """The account's page, for a browser that comes back; Stripe's word in it stays as it is."""
    home = url_for("console.credit_account", account_id=account_id)
    return f"{front().house.settings.public_url}{home}?{BACK}={told}"


def _back_from(session: Session, account_id: UUID) -> Row[Any] | None:
    told = request.args.get(BACK, "")[:ID_CHARACTERS_MAX]
    if not told:
        return None
    if told == LEFT:
        return last_top_up(session, account_id, principal().actor_id)
    return top_up_paid_on(session, account_id, told)


def _line(row: Row[Any]) -> TopUpLine:
    return TopUpLine(
        row.id,
        money(row.amount_minor, row.currency),
        TOP_UP_STATES[row.state],
        money(row.refunded_minor, row.currency) if row.refunded_minor else "–",
        row.is_disputed,
        row.created_at,
    )


def _refused(tier: str) -> str | None:
    if tier == Tier.CAMPAIGN:
        return "A campaign’s credit is allocated to it."
    return PaymentsNotSetUp.detail if front().house.paying.door is None else None


def _unopened(refusal: Refusal) -> str:
    if isinstance(refusal, PaymentProviderUnavailable):
        return "The payment company does not answer. Nothing was paid; send the form again."
    return refusal.detail


def _account(account_id: UUID) -> Row[Any]:
    with looking() as session:
        return read.account(session, account_id)


def _form(
    account: Row[Any],
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    status: int | None = None,
) -> Response:
    home = url_for("console.credit_account", account_id=account.id)
    place = Place("credit", (("Credit", url_for("console.credit")), (account.name, home)))
    return form_page(
        "credit_pay.html",
        place,
        TITLE,
        typed,
        errors,
        status=status,
        account=account,
        refused=_refused(account.tier),
        form_name=form_name(),
    )
