"""How discount codes are used: the page of one code, and of all in sight (S2-057, S2-062, S2-064)."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.discounts.analytics import Analytics, most_used_codes
from pipelines.discounts.outcomes import Outcomes
from pipelines.errors import ValidationFailed
from web.console.discount_charts import amount_charts, outcomes_chart
from web.console.discount_form import day_of
from web.console.discount_page import place
from web.console.discount_words import conversion_words, refusal_words, release_words
from web.console.discounts import TITLE
from web.console.formats import money
from web.console.frame import page
from web.console.person_form import client_choices
from web.console.typed import id_in
from web.console.visit import looking
from web.discount_reports import Days, report_file, report_on_all, report_on_code, sees_codes
from web.guards import permitted, principal

DAY_CHARACTERS_MAX = 20


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/discounts/analytics", "discounts_analytics", show_all, methods=["GET"])
    console.add_url_rule(
        "/discounts/analytics.csv", "discounts_analytics_csv", download_all, methods=["GET"]
    )
    path = "/discounts/<uuid:discount_id>/analytics"
    console.add_url_rule(path, "discount_analytics", show, methods=["GET"])
    console.add_url_rule(f"{path}.csv", "discount_analytics_csv", download, methods=["GET"])


@permitted(Permission.DISCOUNTS_READ)
def show(discount_id: UUID) -> Response:
    """One code, by the days of its client's time zone."""
    errors = dict[str, str]()
    with looking() as session:
        days = _days(errors)
        try:
            view, found = report_on_code(session, discount_id, days)
        except ValidationFailed as refusal:
            errors |= _at_fields(refusal)
            view, found = report_on_code(session, discount_id, (None, None))
    return _page(
        found,
        errors,
        title=f"Use of {view.row.code}",
        crumbs=place(view, ("Use", None)),
        export=url_for("console.discount_analytics_csv", discount_id=discount_id, **_asked(found)),
        code=view.row,
    )


@permitted(Permission.DISCOUNTS_READ)
def download(discount_id: UUID) -> Response:
    """A row for each day and currency; for days that cannot be, the page that says why."""
    errors = dict[str, str]()
    days = _days(errors)
    with looking() as session:
        try:
            view, found = report_on_code(session, discount_id, days)
        except ValidationFailed as refusal:
            errors |= _at_fields(refusal)
    return show(discount_id) if errors else report_file(found, f"discount-{view.row.id}")


@permitted(Permission.DISCOUNTS_READ)
def show_all() -> Response:
    """Every code that the visitor sees, or those of one client."""
    errors = dict[str, str]()
    chosen = id_in(request.args.get("client"))
    with looking() as session:
        found = _of_all(session, chosen, errors)
        most = most_used_codes(session, found.period, client_id=chosen, opens=sees_codes())
    export = url_for("console.discounts_analytics_csv", client=chosen, **_asked(found))
    return _page(
        found,
        errors,
        title="Use of discount codes",
        crumbs=[(TITLE, url_for("console.discounts")), ("Use", None)],
        export=export,
        code=None,
        most=[(row, conversion_words(_so_far(row))) for row in most],
        clients=client_choices(principal()),
        client_id=chosen,
    )


@permitted(Permission.DISCOUNTS_READ)
def download_all() -> Response:
    """As `download`, of every code that the visitor sees, or those of one client."""
    errors = dict[str, str]()
    with looking() as session:
        found = _of_all(session, id_in(request.args.get("client")), errors)
    return show_all() if errors else report_file(found, "discounts")


def _of_all(session: Session, chosen: UUID | None, errors: dict[str, str]) -> Analytics:
    try:
        return report_on_all(session, chosen, _days(errors))
    except ValidationFailed as refusal:
        errors |= _at_fields(refusal)
        return report_on_all(session, chosen, (None, None))


def _page(found: Analytics, errors: dict[str, str], *, title: str, **facts: Any) -> Response:
    totals = found.totals
    return page(
        "discount_analytics.html",
        title=title,
        section="discounts",
        status=422 if errors else 200,
        errors=errors,
        typed=_typed() if errors else _asked(found),
        period=found.period,
        totals=totals,
        conversion=conversion_words(totals),
        released=[(release_words(one), count) for one, count in totals.released.items()],
        refused=[(refusal_words(one.reason), one) for one in found.refused],
        amounts=[
            (currency, money(one.discount_minor, currency), money(one.revenue_minor, currency))
            for currency, one in found.by_currency().items()
        ],
        charts=[outcomes_chart(found), *amount_charts(found)],
        **facts,
    )


def _typed() -> dict[str, str]:
    return {
        name: request.args.get(name, "").strip()[:DAY_CHARACTERS_MAX] for name in ("from", "to")
    }


def _asked(found: Analytics) -> dict[str, Any]:
    return {"from": found.period.first.isoformat(), "to": found.period.last.isoformat()}


def _days(errors: dict[str, str]) -> Days:
    """The days that stand in the address; none where one of them cannot be read."""
    typed = _typed()
    days: dict[str, date | None] = {
        name: day_of(name, text, errors) if text else None for name, text in typed.items()
    }
    return (None, None) if errors else (days["from"], days["to"])


def _at_fields(refusal: ValidationFailed) -> dict[str, str]:
    return {(one.pointer or "").removeprefix("/"): one.detail for one in refusal.errors}


def _so_far(row: Row[Any]) -> Outcomes:
    return Outcomes(
        confirmed=row.paid, live=row.live, released={"": row.made - row.paid - row.live}
    )
