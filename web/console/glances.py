"""What a dashboard shows below its tiles: tenants with their credit and usage, and the last days drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from flask import url_for
from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission, may
from pipelines.access.principals import Principal
from pipelines.books.usage import usage_of_scope
from pipelines.tenants.glance import (
    CampaignGlance,
    TenantGlance,
    agencies_at_a_glance,
    campaigns_at_a_glance,
    clients_at_a_glance,
)
from pipelines.usage.read import issued_by_day
from web.console.campaign_words import CAMPAIGN_STATES, MODES, NO_CREDIT, NOT_USED
from web.console.charts import Chart, Series, bar_chart
from web.console.formats import money, number, plural
from web.console.job_words import StateWords
from web.console.usage_charts import usage_chart

#: Usage is shown over this many days, today included.
DAYS_SHOWN = 30
_SUSPENDED = StateWords("Suspended", "stop", "bad")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table; `cells` stand under the head's words, after the first."""

    name: str
    sub: str
    href: str
    cells: tuple[str, ...]
    state: StateWords | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """A table of the dashboard with the page behind it."""

    name: str
    title: str
    caption: str
    head: tuple[str, ...]
    lines: tuple[Line, ...]
    more: str
    more_words: str
    empty: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What stands below the tiles: tables, a drawing for each currency that moved, and one of coupons."""

    glances: tuple[Glance, ...]
    charts: tuple[Chart, ...]


def dashboard(session: Session, caller: Principal, *, today: date) -> Dashboard:
    """The dashboard of the caller's tier, over the last 30 days (UTC)."""
    first = today - timedelta(days=DAYS_SHOWN - 1)
    if not may(caller.role, Permission.CREDIT_READ):
        return Dashboard((), ())
    charts = _charts(session, first, today)
    if may(caller.role, Permission.BOOKS_READ):
        charts += _coupon_charts(session, today)
    return Dashboard(_glances(session, caller, first, today), charts)


def _glances(session: Session, caller: Principal, first: date, last: date) -> tuple[Glance, ...]:
    if caller.client_id is not None:
        return (_campaigns(campaigns_at_a_glance(session, first=first, last=last)),)
    is_platform = caller.agency_id is None
    clients = _clients(
        clients_at_a_glance(session, first=first, last=last), names_agency=is_platform
    )
    if is_platform:
        return (_agencies(agencies_at_a_glance(session, first=first, last=last)), clients)
    return (clients,)


def _agencies(agencies: Sequence[TenantGlance]) -> Glance:
    return Glance(
        name="agencies",
        title="Agencies",
        caption=f"Agencies with their credit, and what they issued in {DAYS_SHOWN} days",
        head=("Agency", "Available", "Held", "Cards issued", "Charged"),
        lines=tuple(_line(one, plural(one.part_count, "client"), None) for one in agencies),
        more=url_for("console.credit"),
        more_words="Credit of all",
        empty="No agency yet. Make one with POST /api/v1/agencies, then allocate credit to it.",
    )


def _clients(clients: Sequence[TenantGlance], *, names_agency: bool) -> Glance:
    return Glance(
        name="clients",
        title="Clients",
        caption=f"Clients with their credit, and what they issued in {DAYS_SHOWN} days",
        head=("Client", "Available", "Held", "Cards issued", "Charged"),
        lines=tuple(
            _line(
                one,
                (f"{one.agency}, " if names_agency else "") + plural(one.part_count, "campaign"),
                _client_state(one),
            )
            for one in clients
        ),
        more=url_for("console.credit"),
        more_words="Credit of all",
        empty="No client yet. Make one with POST /api/v1/clients, then allocate credit to it.",
    )


def _client_state(one: TenantGlance) -> StateWords | None:
    if one.is_suspended:
        return _SUSPENDED
    if not one.is_used:
        return NOT_USED
    return NO_CREDIT if one.available <= 0 else None


def _line(one: TenantGlance, parts: str, state: StateWords | None) -> Line:
    return Line(
        name=one.name,
        sub=f"{parts}, {one.currency}",
        href=url_for("console.credit_account", account_id=one.account_id),
        cells=_cells(one),
        state=state,
    )


def _campaigns(campaigns: Sequence[CampaignGlance]) -> Glance:
    return Glance(
        name="campaigns",
        title="Campaigns",
        caption=f"Campaigns with what pays for them, and what they issued in {DAYS_SHOWN} days",
        head=("Campaign", "Available", "Held", "Cards issued", "Charged", "Cards left, about"),
        lines=tuple(
            Line(
                name=one.name,
                sub=f"{MODES[one.budget_mode]}, {one.currency}",
                href=url_for("console.campaign", campaign_id=one.id),
                cells=(
                    *_cells(one),
                    "–" if one.cards_left is None else number(one.cards_left),
                ),
                state=CAMPAIGN_STATES[one.state],
            )
            for one in campaigns
        ),
        more=url_for("console.campaigns"),
        more_words="All campaigns",
        empty="No campaign yet. A campaign pays for cards and keeps its jobs together.",
    )


def _cells(one: TenantGlance | CampaignGlance) -> tuple[str, ...]:
    return (
        money(one.available, one.currency),
        money(one.held, one.currency),
        number(one.cards),
        money(one.charged, one.currency),
    )


def _charts(session: Session, first: date, last: date) -> tuple[Chart, ...]:
    """What was charged on each day, in each currency that moved; a day's undoing is taken off."""
    days = issued_by_day(session, first=first, last=last)
    currencies = sorted({one.currency for day in days.values() for one in day})
    shown = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    charts = []
    for currency in currencies:
        charged = {
            day: one.charge_minor
            for day, found in days.items()
            for one in found
            if one.currency == currency
        }
        charts.append(
            bar_chart(
                f"charged-{currency.lower()}",
                f"Charged per day, {currency}",
                axis="Day",
                steps=[f"{day:%d %b}" for day in shown],
                series=[Series("Charged", [max(0, charged.get(day, 0)) for day in shown])],
                say=partial(_sum, currency=currency),
                description=f"What was charged for cards on each of the last {DAYS_SHOWN} days, "
                "less what was undone that day.",
            )
        )
    return tuple(charts)


def _coupon_charts(session: Session, today: date) -> tuple[Chart, ...]:
    """How coupons were used, if any were: many tenants have none."""
    usage = usage_of_scope(session, today=today, days=DAYS_SHOWN)
    is_used = any(one.assigned or one.redeemed for one in usage.values())
    return (usage_chart(usage),) if is_used else ()


def _sum(minor: float, currency: str) -> str:
    return money(int(minor), currency)
