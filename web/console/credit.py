"""The credit tree: who has how much, for how long, and how each account stands; top down."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.credit.projection import projections
from pipelines.credit.tree import ACCOUNTS_SHOWN_MAX, Branch, credit_tree
from web.console.campaign_words import account_state
from web.console.formats import plural
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.projection_words import run_out_words
from web.console.visit import looking
from web.guards import permitted, principal


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One account of the tree with what the page says of it."""

    branch: Branch
    state: StateWords
    paused: str
    #: When it runs out, by word and date; None where it has no bound.
    end: tuple[StateWords, str] | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/credit", "credit", show)


@permitted(Permission.CREDIT_READ)
def show() -> Response:
    with looking() as session:
        lines = _lines(session, now=clock.now(session))
    return page(
        "credit.html",
        title="Credit",
        section="credit",
        lines=lines,
        may_correct=is_allowed(principal(), Permission.CREDIT_CORRECT),
        may_move=is_allowed(principal(), Permission.CREDIT_MOVE),
        shown_max=ACCOUNTS_SHOWN_MAX if len(lines) == ACCOUNTS_SHOWN_MAX else None,
    )


def _lines(session: Session, *, now: datetime) -> list[TreeLine]:
    branches = credit_tree(session)
    ahead = projections(session, [branch.id for branch in branches], now=now)
    return [
        TreeLine(
            branch,
            account_state(
                shortage=branch.shortage,
                is_frozen=branch.frozen_at is not None,
                is_restricted=branch.restricted_at is not None,
                is_used=branch.is_used,
                unlimited=branch.unlimited,
                balance=branch.available + branch.held,
            ),
            _paused(branch),
            run_out_words(ahead[branch.id]),
        )
        for branch in branches
    ]


def _paused(branch: Branch) -> str:
    if not branch.paused:
        return ""
    return "Paused" if branch.tier == "campaign" else f"{plural(branch.paused, 'campaign')} paused"
