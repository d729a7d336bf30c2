"""The report of a balance sheet, in words: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from pipelines.approvals.approvals import shown_state
from pipelines.errors import FieldError
from web.console.formats import money, number, plural
from web.console.job_words import StateWords

APPLIED = StateWords("Opened", "check", "good")
STATES: Mapping[str, StateWords] = {
    "pending": StateWords("Waits for a second person", "clock", "warn"),
    "approved": APPLIED,
    "rejected": StateWords("Rejected", "cross", "bad"),
    "expired": StateWords("Expired", "skip", "soft"),
}
WHOLE = "All together"


@dataclass(frozen=True, slots=True)
class Sum:
    """One sum of the report."""

    name: str
    rows: str
    amount: str


@dataclass(frozen=True, slots=True)
class Drift:
    """A currency of the sheet beside the ledger, which is the same."""

    currency: str
    sheet: str
    ledger: str
    difference: str


@dataclass(frozen=True, slots=True)
class ReportWords:
    """What a check found, and what was made once the sheet is applied."""

    rows: int
    error_count: int
    errors: Sequence[FieldError]
    tiers: list[Sum]
    agencies: list[Sum]
    facts: dict[str, str]
    drift: list[Drift]
    makes: str


def report_words(report: Mapping[str, Any]) -> ReportWords:
    errors = [FieldError(**error) for error in report["errors"]]
    return ReportWords(
        rows=report["rows"],
        error_count=report["error_count"],
        errors=errors,
        tiers=[
            Sum(
                one["tier"].capitalize(),
                number(one["rows"]),
                money(one["balance_minor"], one["currency"]),
            )
            for one in report["totals"]
        ],
        agencies=[
            Sum(one["agency"] or WHOLE, "", money(one["total_minor"], one["currency"]))
            for one in report["hierarchy"]
        ],
        facts=_facts(report),
        drift=[
            Drift(
                one["currency"],
                *(
                    money(one[part], one["currency"])
                    for part in ("sheet_minor", "ledger_minor", "drift_minor")
                ),
            )
            for one in report.get("drift", ())
        ],
        makes=plural(report["accounts_missing"], "account"),
    )


def opening_words(detail: Mapping[str, Any]) -> str:
    """What a second person agrees to; accounts are made also for tenants without a row."""
    rows, made = plural(detail["rows"], "row"), detail.get("accounts_missing")
    makes = "" if made is None else f" and make {plural(made, 'account')}"
    return f"Open a balance sheet of {rows}{makes}, in minor units {detail['totals']}"


def sheet_state(row: Row[Any], *, now: datetime) -> StateWords:
    if row.applied_at is not None:
        return APPLIED
    return STATES["expired"] if row.approval_id is None else STATES[shown_state(row, now=now)]


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    found = report["found"]
    tenants = (
        f"{plural(found['agencies'], 'agency', 'agencies')}, "
        f"{plural(found['clients'], 'client')}, "
        f"{plural(found['isolated_campaigns'], 'budget')} of a campaign's own"
    )
    facts = {"There already": f"{tenants}; {plural(found['accounts'], 'account')}"}
    if "made" in report:
        made = report["made"]
        movements = plural(made["movements"], "movement")
        facts["Made"] = f"{plural(made['accounts'], 'account')}, {movements} from outside"
    else:
        facts["Accounts that will be made"] = number(report["accounts_missing"])
    return facts
