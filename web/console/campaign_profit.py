"""What a campaign brought in and what its cards cost, for who may see costs (EC-078)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, url_for

from pipelines.access.permissions import Permission
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.provisioning.profit import COLUMNS, campaign_profit, card_rows
from pipelines.tenants.campaign_views import campaign_seen
from web.console.formats import money, number, plural
from web.console.frame import page
from web.console.job_words import SOURCES
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

UNKNOWN = "Not known"
FINDINGS = {
    "cost_missing": "{} without a known cost: the profit does not speak of them.",
    "other_cost_currency": "{} bought in another currency: their cost is not added.",
    "replaced": "{} did not work and had a replacement: a cost without revenue.",
}


@dataclass(frozen=True, slots=True)
class ProfitWords:
    """One line or total in words."""

    what: str
    sub: str
    cards: str
    revenue: str
    cost: str
    profit: str
    findings: tuple[str, ...] = ()


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>"
    console.add_url_rule(f"{path}/profit", "campaign_profit", show)
    console.add_url_rule(f"{path}/profit.csv", "campaign_profit_cards", download)


@permitted(Permission.PROFIT_READ)
def show(campaign_id: UUID) -> Response:
    """The totals by currency, and a line for each price and source."""
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        found = campaign_profit(session, campaign_id)
    home = url_for("console.campaign", campaign_id=campaign_id)
    return page(
        "campaign_profit.html",
        title="Profit",
        section="campaigns",
        crumbs=[
            ("Campaigns", url_for("console.campaigns")),
            (campaign.name, home),
            ("Profit", None),
        ],
        campaign=campaign,
        totals=[_total(total) for total in found["totals"]],
        lines=[_line(line) for line in found["lines"]],
    )


@permitted(Permission.PROFIT_READ)
def download(campaign_id: UUID) -> Response:
    """Every card of the campaign with its charge, cost and profit, as a file."""
    rows = card_rows(front().house.sessions, principal().scope, campaign_id)
    response = Response(csv_blocks(COLUMNS, rows), mimetype="text/csv")
    name = f"profit-{campaign_id}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _total(total: dict[str, Any]) -> ProfitWords:
    findings = tuple(
        FINDINGS[finding["code"]].format(plural(finding["cards"], "card"))
        for finding in total["findings"]
        if finding["code"] in FINDINGS
    )
    return _words(f"All cards in {total['currency']}", "", total, findings)


def _line(line: dict[str, Any]) -> ProfitWords:
    currency = line["currency"]
    source = dict(SOURCES).get(line["source"], line["source"])
    sub = f"{source}, {money(line['charge_minor'], currency)} charged for each"
    return _words(f"{line['brand']} {money(line['face_value_minor'], currency)}", sub, line, ())


def _words(what: str, sub: str, sums: dict[str, Any], findings: tuple[str, ...]) -> ProfitWords:
    currency = sums["currency"]
    return ProfitWords(
        what=what,
        sub=sub,
        cards=number(sums["cards"]),
        revenue=money(sums["revenue_minor"], currency),
        cost=_amount(sums["cost_minor"], currency),
        profit=_amount(sums["profit_minor"], currency),
        findings=findings,
    )


def _amount(minor: int | None, currency: str) -> str:
    return UNKNOWN if minor is None else money(minor, currency)
