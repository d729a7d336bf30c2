"""A campaign's budget: its own or its client's; what a change moves is shown before it is made."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import BudgetMode
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.proofs import StepUpRequired
from pipelines.credit import read
from pipelines.credit.refusals import AccountFrozen, AccountRestricted, InsufficientCredit
from pipelines.errors import Refusal
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.budgets import isolate_budget, share_budget
from pipelines.tenants.campaign_views import (
    CampaignSeen,
    PayingAccount,
    campaign_seen,
    jobs_holding,
    paying_accounts,
)
from pipelines.tenants.foresee_budget import BudgetMove, foresee_isolation, foresee_sharing
from pipelines.tenants.refusals import HoldsOutstanding, SecondPersonNeeded
from web.console.amounts import amount_of, typed_amount
from web.console.at_work import still_at_work
from web.console.campaign_words import MODES, payer_state
from web.console.form_names import form_name, key_of_form
from web.console.formats import money
from web.console.frame import go, page
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

#: What the console says of a refusal that the API explains by its own addresses.
WORDS: Mapping[type[Refusal], str] = {
    SecondPersonNeeded: "This is more than you may move alone within a day. Change the budget "
    "without an amount, and allocate or take back on its account’s page: there a second person "
    "can agree.",
}
REFUSALS = (
    HoldsOutstanding,
    SecondPersonNeeded,
    InsufficientCredit,
    AccountFrozen,
    AccountRestricted,
)


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>/budget"
    console.add_url_rule(path, "campaign_budget", show, methods=["GET"])
    console.add_url_rule(f"{path}/own", "campaign_budget_own", isolate, methods=["POST"])
    console.add_url_rule(f"{path}/shared", "campaign_budget_shared", share, methods=["POST"])


@permitted(Permission.CAMPAIGNS_BUDGET)
def show(campaign_id: UUID) -> Response:
    return _page(campaign_id, {"amount": request.args.get("amount", "")[:40]})


@permitted(Permission.CAMPAIGNS_BUDGET)
def isolate(campaign_id: UUID) -> Response:
    """Show what a budget of its own would move, or give it one when that was agreed to."""
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        currencies = [one.currency for one in read.accounts_of(session, campaign.client_id)]
    typed = {"amount": typed_amount("amount"), "currency": request.form.get("currency", "")[:3]}
    errors: dict[str, str] = {}
    if typed["currency"] not in currencies:
        errors["currency"] = "Choose the currency of the budget."
        return _page(campaign_id, typed, errors)
    amount = amount_of("amount", typed["currency"], errors, may_be_empty=True) or 0
    if errors:
        return _page(campaign_id, typed, errors)
    chosen: dict[str, Any] = {"amount": amount, "currency": typed["currency"]}
    if "agreed" in request.form:
        change = partial(isolate_budget, **chosen)
        return _tried(campaign_id, typed, lambda: _changed(campaign_id, change, "isolated"))
    return _tried(campaign_id, typed, lambda: _shown(campaign, typed, chosen))


@permitted(Permission.CAMPAIGNS_BUDGET)
def share(campaign_id: UUID) -> Response:
    """Let it draw on its client's credit again; the page before said what goes back."""
    with looking() as session:
        campaign_seen(session, campaign_id)
    return _tried(campaign_id, {}, lambda: _changed(campaign_id, share_budget, "shared"))


def _tried(campaign_id: UUID, typed: Mapping[str, str], act: Callable[[], Response]) -> Response:
    """What a refusal says stands at the field it is about, with what was typed."""
    try:
        return act()
    except RequestInProgress:
        return still_at_work(url_for("console.campaign", campaign_id=campaign_id))
    except StepUpRequired:
        back = url_for(
            "console.campaign_budget", campaign_id=campaign_id, amount=typed.get("amount")
        )
        return go(url_for("console.step_up", next=back))
    except REFUSALS as refusal:
        # Whoever gives everything back types no amount.
        field = "amount" if typed and not isinstance(refusal, HoldsOutstanding) else "mode"
        words = WORDS.get(type(refusal)) or _words(refusal, typed)
        return _page(campaign_id, typed, {field: words}, status=STATUS[refusal.kind])


def _changed(campaign_id: UUID, change: Callable[..., object], done: str) -> Response:
    """Change the budget; a form that is sent twice changes it once."""
    caller = principal()
    with looking() as session:

        def changed() -> UUID:
            name = f"budget:{campaign_id}:{new_id()}"
            limits = front().house.limits
            change(session, campaign_id, client_ref=name, caller=caller, limits=limits)
            return campaign_id

        key = key_of_form(caller.actor_id)
        once(session, key, changed, status=303, resource_kind="campaign")
    return go(url_for("console.campaign", campaign_id=campaign_id, done=done))


def _shown(campaign: CampaignSeen, typed: Mapping[str, str], chosen: Mapping[str, Any]) -> Response:
    with looking() as session:
        move = foresee_isolation(
            session, campaign.id, **chosen, caller=principal(), limits=front().house.limits
        )
        holding = _holding(session, campaign)
    if campaign.budget_mode != BudgetMode.ISOLATED and holding:
        raise HoldsOutstanding
    return page(
        "campaign_budget_check.html",
        title="A budget of its own",
        section="campaigns",
        crumbs=_crumbs(campaign),
        campaign=campaign,
        move=move,
        amount=money(chosen["amount"], chosen["currency"]) if chosen["amount"] else None,
        typed=typed,
        form_name=new_id().hex,
    )


def _page(
    campaign_id: UUID,
    typed: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    caller = principal()
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        payers = paying_accounts(session, [campaign_id])[campaign_id]
        holding = _holding(session, campaign)
        moves: list[BudgetMove] = foresee_sharing(session, campaign_id)
    # What can be given first; by their names otherwise.
    payers.sort(key=lambda one: not (one.unlimited or one.available > 0))
    return page(
        "campaign_budget.html",
        title="Budget",
        section="campaigns",
        crumbs=_crumbs(campaign),
        status=status or (422 if errors else 200),
        errors=errors or {},
        typed=typed,
        campaign=campaign,
        is_made="made" in request.args and campaign.budget_mode != BudgetMode.ISOLATED,
        is_isolated=campaign.budget_mode == BudgetMode.ISOLATED,
        mode=MODES[campaign.budget_mode],
        payers=[(one, payer_state(one), _amount(one)) for one in payers],
        holding=holding,
        moves=moves,
        may_move=is_allowed(caller, Permission.CREDIT_MOVE),
        form_name=form_name(),
    )


def _holding(session: Session, campaign: CampaignSeen) -> list[tuple[UUID, str]]:
    """What has to end first: each job with what it holds, or that it waits."""
    return [
        (
            row.job_id,
            f"holds {money(row.held, row.currency)}" if row.held else "waits for credit",
        )
        for row in jobs_holding(session, campaign)
    ]


def _crumbs(campaign: CampaignSeen) -> list[tuple[str, str | None]]:
    home = url_for("console.campaign", campaign_id=campaign.id)
    return [("Campaigns", url_for("console.campaigns")), (campaign.name, home), ("Budget", None)]


def _amount(account: PayingAccount) -> str:
    if account.unlimited:
        return "Unlimited"
    return money(account.available, account.currency)


def _words(refusal: Refusal, typed: Mapping[str, str]) -> str:
    if isinstance(refusal, InsufficientCredit) and typed.get("currency"):
        available = money(int(refusal.extra["available_minor"]), typed["currency"])
        return f"The client has {available} available. Give the campaign less, or nothing yet."
    return refusal.detail
