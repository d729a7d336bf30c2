"""Campaigns: the list, the page of one, and its pause."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.tenants import BudgetMode
from pipelines.access.permissions import Permission, is_allowed
from pipelines.credit.projection import Projection, projections
from pipelines.provisioning.follow_credit import CREDIT_EXHAUSTED
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.campaign_views import (
    CampaignSeen,
    PayingAccount,
    brands_allowed,
    campaign_seen,
    campaigns_seen,
    issued_from,
    paying_accounts,
)
from pipelines.tenants.campaigns import campaign as campaign_row
from pipelines.tenants.campaigns import pause_campaign, resume_campaign
from web.console.at_work import still_at_work
from web.console.campaign_words import (
    CAMPAIGN_STATES,
    MODES,
    PAUSES,
    payer_state,
    source_lines,
    spent_words,
)
from web.console.condition_words import condition_lines, over_words
from web.console.form_names import form_name, key_of_form
from web.console.formats import money, number
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.jobs import worded_jobs
from web.console.projection_words import run_out_words
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

PAGE_SIZE = 50
JOBS_SHOWN = 10
FIND_CHARACTERS_MAX = 200
DONE = {
    "created": "The campaign is made and accepts jobs. A time or a number of rewards for it is set under Settings.",
    "changed": "The campaign’s settings are saved.",
    "paused": "The campaign is paused: new jobs are refused, and those that wait do not start.",
    "resumed": "The campaign goes on.",
    "isolated": "The campaign has a budget of its own.",
    "shared": "The campaign draws on its client’s credit; what was left of its own went back there.",
}


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign of the list."""

    id: UUID
    name: str
    owner: str
    state: StateWords
    #: Since when it gives nothing more, if its window is past.
    over: str
    mode: str
    available: tuple[str, ...]
    credit: tuple[StateWords, ...]
    cards: str
    spent: str


@dataclass(frozen=True, slots=True)
class PayerLine:
    """One account that pays, with what a page says of it."""

    account: PayingAccount
    state: StateWords
    available: str
    held: str
    #: When it runs out, by word and date; None where it has no bound.
    end: tuple[StateWords, str] | None
    cards_left: str


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>"
    console.add_url_rule("/campaigns", "campaigns", show_list, methods=["GET"])
    console.add_url_rule(path, "campaign", show, methods=["GET"])
    console.add_url_rule(f"{path}/pause", "campaign_pause", pause, methods=["POST"])
    console.add_url_rule(f"{path}/resume", "campaign_resume", resume, methods=["POST"])


@permitted(Permission.CAMPAIGNS_READ)
def show_list() -> Response:
    """Campaigns of the visitor's scope, newest first, by state and by words of the name."""
    asked = request.args.get("state", "")
    chosen = asked if asked in CAMPAIGN_STATES else None
    words = " ".join(request.args.get("find", "").split())[:FIND_CHARACTERS_MAX]
    with looking() as session:
        found = campaigns_seen(
            session,
            state=chosen,
            words=words,
            before=id_in(request.args.get("before")),
            limit=PAGE_SIZE + 1,
        )
        shown = found[:PAGE_SIZE]
        lines = _lines(session, shown)
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.campaigns", state=chosen, find=words or None, before=shown[-1].id)
    return page(
        "campaigns.html",
        title="Campaigns",
        section="campaigns",
        campaigns=lines,
        filters=[(state, words.word) for state, words in CAMPAIGN_STATES.items()],
        chosen=chosen,
        find=words,
        older=older,
        may_manage=is_allowed(principal(), Permission.CAMPAIGNS_MANAGE),
    )


@permitted(Permission.CAMPAIGNS_READ)
def show(campaign_id: UUID) -> Response:
    """One campaign: how it stands, what pays for it, what it issued, its last jobs."""
    caller = principal()
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        conditions = condition_lines(campaign_row(session, campaign_id))
        payers = paying_accounts(session, [campaign_id])[campaign_id]
        now = clock.now(session)
        ahead = projections(session, [one.id for one in payers], now=now)
        issued = issued_from(session, [campaign_id])[campaign_id]
        brands = brands_allowed(session, campaign.client_id)
        jobs = worded_jobs(session, limit=JOBS_SHOWN, campaign_id=campaign_id)
    return page(
        "campaign.html",
        title=campaign.name,
        section="campaigns",
        crumbs=[("Campaigns", url_for("console.campaigns")), (campaign.name, None)],
        campaign=campaign,
        owner=_owner(campaign),
        state_words=CAMPAIGN_STATES[campaign.shown_state],
        over=over_words(campaign.over_since, campaign.time_zone),
        pause=PAUSES.get(campaign.pause_reason or "", campaign.pause_reason),
        waits_for_credit=campaign.pause_reason == CREDIT_EXHAUSTED,
        mode=MODES[campaign.budget_mode],
        is_isolated=campaign.budget_mode == BudgetMode.ISOLATED,
        payers=[_payer(one, ahead[one.id]) for one in payers],
        sources=source_lines(issued),
        spent=spent_words(issued),
        cards=number(sum(one.cards for one in issued)),
        brands=_brands(brands),
        conditions=conditions,
        jobs=jobs,
        may_see_profit=is_allowed(caller, Permission.PROFIT_READ),
        may_manage=is_allowed(caller, Permission.CAMPAIGNS_MANAGE),
        may_budget=is_allowed(caller, Permission.CAMPAIGNS_BUDGET),
        may_move=is_allowed(caller, Permission.CREDIT_MOVE),
        may_submit=is_allowed(caller, Permission.PROVISION),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")),
    )


@permitted(Permission.CAMPAIGNS_MANAGE)
def pause(campaign_id: UUID) -> Response:
    """Accept nothing new for the campaign until a person resumes it."""
    return _moved(campaign_id, pause_campaign, "paused")


@permitted(Permission.CAMPAIGNS_MANAGE)
def resume(campaign_id: UUID) -> Response:
    """Accept work for the campaign again."""
    return _moved(campaign_id, resume_campaign, "resumed")


def _moved(campaign_id: UUID, move: Callable[..., object], done: str) -> Response:
    caller = principal()
    with looking() as session:

        def moved() -> UUID:
            move(session, campaign_id, actor_id=caller.actor_id)
            return campaign_id

        key = key_of_form(caller.actor_id)
        try:
            once(session, key, moved, status=303, resource_kind="campaign")
        except RequestInProgress:
            return still_at_work(url_for("console.campaign", campaign_id=campaign_id))
    return go(url_for("console.campaign", campaign_id=campaign_id, done=done))


def _lines(session: Session, campaigns: Sequence[CampaignSeen]) -> list[CampaignLine]:
    ids = [one.id for one in campaigns]
    payers, issued = paying_accounts(session, ids), issued_from(session, ids)
    return [
        CampaignLine(
            id=one.id,
            name=one.name,
            owner=_owner(one),
            state=CAMPAIGN_STATES[one.shown_state],
            over=over_words(one.over_since, one.time_zone),
            mode=MODES[one.budget_mode],
            available=tuple(_available(payer) for payer in payers[one.id]),
            credit=tuple(payer_state(payer) for payer in payers[one.id]),
            cards=number(sum(part.cards for part in issued[one.id])),
            spent=spent_words(issued[one.id]),
        )
        for one in campaigns
    ]


def _owner(campaign: CampaignSeen) -> str:
    """Whose it is, as far as that is not the visitor's own place."""
    caller = principal()
    if caller.client_id is not None:
        return ""
    return campaign.client if caller.agency_id else f"{campaign.client}, {campaign.agency}"


def _payer(account: PayingAccount, ahead: Projection) -> PayerLine:
    return PayerLine(
        account,
        payer_state(account),
        _available(account),
        money(account.held, account.currency),
        run_out_words(ahead),
        "–" if ahead.cards_left is None else number(ahead.cards_left),
    )


def _available(account: PayingAccount) -> str:
    if account.unlimited:
        return f"Unlimited, {account.currency}"
    return money(account.available, account.currency)


def _brands(restricted: Sequence[Row[Any]]) -> str:
    if not restricted:
        return "Every brand"
    return ", ".join(f"{brand.name} ({brand.currency})" for brand in restricted)
