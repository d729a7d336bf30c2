"""A vendor's statement of a day at the console: taken as a file, and beside our orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.reconciliation.vendor_statement import all_findings, statement, take_statement
from web.admission import intake_slot
from web.console.at_work import told_when
from web.console.formats import money
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.vendors import vendor_page
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited
from web.uploads import csv_upload

#: On the page; the file has all.
FINDINGS_SHOWN = 200
NO_FILE = "Choose a CSV file that is not empty."
NO_DAY = "Give the day as 2026-11-27."
COLUMNS = (
    *("finding", "row", "order_id", "vendor_order_id"),
    *("ours_minor", "ours_currency", "theirs_minor", "theirs_currency"),
)
#: By kind: what it is called, and what to do; the order of the page.
FINDINGS: Mapping[str, tuple[StateWords, str]] = {
    "missing_here": (
        StateWords("Missing here", "cross", "bad"),
        "They charged for an order that we do not know. Ask them which; nobody has the card.",
    ),
    "not_bought_here": (
        StateWords("Not bought here", "alert", "bad"),
        "We know the order and have no card for it. Resolve the order, or claim the amount.",
    ),
    "told_twice": (
        StateWords("Told twice", "repeat", "bad"),
        "One order stands there more than once. Claim what was charged twice.",
    ),
    "amount_differs": (
        StateWords("Amount differs", "alert", "warn"),
        "They took another amount than we wrote down. Claim the difference.",
    ),
    "missing_there": (
        StateWords("Missing there", "clock", "warn"),
        "We have the card, and no statement of these days has it. Wait for the next, or ask.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs, in words."""

    state: StateWords
    remedy: str
    row: int | None
    order_id: UUID | None
    vendor_order_id: str | None
    ours: str
    theirs: str


def add_pages(console: Blueprint) -> None:
    home = "/vendors/<vendor>/statements"
    console.add_url_rule(home, "vendor_statement_take", take, methods=["POST"])
    console.add_url_rule(f"{home}/<day>", "vendor_statement", show)
    console.add_url_rule(f"{home}/<day>/findings.csv", "vendor_statement_csv", download)


@permitted(Permission.VENDORS_MANAGE)
@limited(Policy.UPLOAD)
def take(vendor: str) -> Response:
    """Take a day's statement as `PUT /vendor-accounts/{vendor}/statements/{day}` does."""
    house, caller = front().house, principal()
    day = _typed_day(request.form.get("day", ""))
    given = request.files.get("file")
    errors = {} if day else {"day": NO_DAY}
    if given is None or not given.filename:
        errors["file"] = NO_FILE
    if errors or day is None:
        return vendor_page(vendor, errors, status=422)
    try:
        with (
            intake_slot(),
            csv_upload(bytes_max=house.limits.intake_inline_bytes_max) as upload,
            scoped_transaction(house.sessions, caller.scope) as session,
        ):
            take_statement(
                session,
                vendor,
                day,
                upload.stream,
                actor_id=caller.actor_id,
                now=clock.now(session),
                limits=house.limits,
            )
    except Refusal as refusal:
        if refusal.kind is Kind.NOT_FOUND:
            raise
        return told_when(_refused(vendor, refusal), refusal)
    return go(url_for("console.vendor_statement", vendor=vendor, day=day.isoformat()))


@permitted(Permission.VENDORS_READ)
def show(vendor: str, day: str) -> Response:
    """What agrees and what differs now, those to act on first."""
    of_day = _named_day(day)
    with looking() as session:
        taken = statement(session, vendor, of_day)
    home = url_for("console.vendor", vendor=vendor)
    return page(
        "vendor_statement.html",
        title=f"Statement of {of_day.isoformat()}",
        section="vendors",
        crumbs=(
            ("Vendors", url_for("console.vendors")),
            (vendor.capitalize(), home),
            (of_day.isoformat(), None),
        ),
        vendor=vendor,
        home=home,
        taken=taken,
        counts=[(words, taken["counts"].get(kind, 0)) for kind, (words, _) in FINDINGS.items()],
        differ=sum(taken["counts"].values()),
        findings=[_finding(one) for one in taken["findings"][:FINDINGS_SHOWN]],
    )


@permitted(Permission.VENDORS_READ)
def download(vendor: str, day: str) -> Response:
    """Everything that differs now, as a file; amounts in minor units."""
    of_day = _named_day(day)
    with looking() as session:
        found = all_findings(session, vendor, of_day)
    response = Response(csv_blocks(COLUMNS, map(_line, found)), mimetype="text/csv")
    name = f"statement-{vendor}-{of_day.isoformat()}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _refused(vendor: str, refusal: Refusal) -> Response:
    """The vendor's page again, with the rows that are wrong; nothing was taken."""
    rows = [error for error in refusal.errors if error.row is not None]
    said = next((error.detail for error in refusal.errors if error.row is None), refusal.detail)
    if rows:
        said = (
            "Nothing was taken: some rows are wrong. Correct those listed and send the file again."
        )
    field = "day" if any(error.pointer == "/day" for error in refusal.errors) else "file"
    return vendor_page(vendor, {field: said}, rows=rows, status=STATUS[refusal.kind])


def _line(one: Row[Any]) -> tuple[str | int | None, ...]:
    """As `COLUMNS` say."""
    return (
        *(one.kind, one.row, str(one.order_id) if one.order_id else None, one.vendor_order_id),
        *(one.ours_minor, one.ours_currency, one.theirs_minor, one.theirs_currency),
    )


def _finding(one: Mapping[str, Any]) -> Finding:
    state, remedy = FINDINGS[one["kind"]]
    return Finding(
        state,
        remedy,
        one["row"],
        one["order_id"],
        one["vendor_order_id"],
        _amount(one["ours_minor"], one["ours_currency"]),
        _amount(one["theirs_minor"], one["theirs_currency"]),
    )


def _amount(minor: int | None, currency: str | None) -> str:
    return "–" if minor is None or currency is None else money(minor, currency)


def _typed_day(written: str) -> date | None:
    try:
        return date.fromisoformat(written.strip()[:10])
    except ValueError:
        return None


def _named_day(written: str) -> date:
    """The day of the address; `NotFound` for what is none."""
    day = _typed_day(written)
    if day is None or day.isoformat() != written:
        raise NotFound
    return day
