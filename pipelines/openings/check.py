"""Check a balance sheet against the entities that exist; nothing is written (S4-016)."""

import io
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.credit.accounts import PLATFORM_ID
from pipelines.errors import FieldError, Kind, Refusal
from pipelines.jobs.csv_reader import open_csv
from pipelines.limits import Limits
from pipelines.openings.sheet import COLUMNS, Sheet, SheetRow, SheetTier, read_sheet, totals_below
from pipelines.tenants.accounts import credit_accounts_missing

#: A sheet is applied in one transaction.
ROWS_MAX = 10_000
BYTES_MAX = 4 * 1024 * 1024
#: Errors in an answer; the report as a file has all.
ERRORS_SHOWN = 100

_RESOLVE = text("""
SELECT g.place, g.agency <> '' AS has_agency, ag.id AS agency_id, cl.id AS client_id,
    ca.id AS campaign_id, ca.budget_mode, ca.state, a.id AS account_id,
    EXISTS (SELECT FROM postings p WHERE p.account_id = a.id) AS is_used
FROM unnest(CAST(:agencies AS text[]), CAST(:clients AS text[]), CAST(:campaigns AS text[]),
            CAST(:currencies AS text[]))
    WITH ORDINALITY AS g (agency, client, campaign, currency, place)
LEFT JOIN agencies ag ON ag.name = g.agency
LEFT JOIN clients cl ON cl.agency_id = ag.id AND cl.name = g.client
LEFT JOIN campaigns ca ON ca.client_id = cl.id AND ca.name = g.campaign
LEFT JOIN accounts a ON a.kind = 'credit' AND a.currency = g.currency AND a.owner_id =
    CASE WHEN g.campaign <> '' THEN ca.id WHEN g.client <> '' THEN cl.id
         WHEN g.agency <> '' THEN ag.id ELSE :platform END
ORDER BY g.place
""")
_FOUND = text("""
SELECT (SELECT count(*) FROM agencies) AS agencies, (SELECT count(*) FROM clients) AS clients,
    (SELECT count(*) FROM campaigns WHERE budget_mode = 'isolated') AS isolated_campaigns,
    (SELECT count(*) FROM accounts WHERE kind = 'credit') AS accounts
""")


class SheetRefused(Refusal):
    """Something is wrong with the sheet; nothing was written. `error_count` counts all of it."""

    code = "sheet_refused"
    kind = Kind.INVALID

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(
            "The balance sheet has errors, and nothing was opened. Correct the rows and send it again.",
            errors=tuple(errors[:ERRORS_SHOWN]),
            extra={"error_count": len(errors)},
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """A sheet beside what exists; `found` has one row for each of `sheet.rows`.

    `missing_accounts` are those that opening it makes in the whole tree: a currency is opened for
    every tenant, not only for those that have a row.
    """

    sheet: Sheet
    found: list[Row[Any]]
    entities: dict[str, int]
    errors: list[FieldError]
    missing_accounts: int


def check_sheet(session: Session, content: bytes, limits: Limits) -> Checked:
    """Everything that is right and wrong with a sheet, in a scope that sees all tenants.

    Raises what the reader refuses of a whole file.
    """
    bounded = replace(limits, csv_rows_max=ROWS_MAX)
    sheet = read_sheet(open_csv(io.BytesIO(content), columns=COLUMNS, limits=bounded))
    found = list(session.execute(_RESOLVE, _names(sheet.rows)))
    unknown = [
        error
        for row, seen in zip(sheet.rows, found, strict=True)
        if (error := _unknown(row, seen)) is not None
    ]
    entities = dict(session.execute(_FOUND).one()._mapping)
    errors = sorted([*sheet.errors, *unknown], key=lambda error: error.row or 0)
    missing = credit_accounts_missing(
        session, currencies_of(sheet), campaigns_without(sheet, found)
    )
    return Checked(sheet, found, entities, errors, missing)


def currencies_of(sheet: Sheet) -> list[str]:
    """Those that opening the sheet opens down the whole tree."""
    return sorted({row.currency for row in sheet.rows})


def campaigns_without(sheet: Sheet, found: list[Row[Any]]) -> list[UUID]:
    """The sheet's campaigns that have no account in their row's currency yet."""
    return [
        seen.campaign_id
        for row, seen in zip(sheet.rows, found, strict=True)
        if row.campaign and seen.campaign_id is not None and seen.account_id is None
    ]


def report_of(checked: Checked, sha256: bytes) -> dict[str, Any]:
    """The validation report: what is wrong, sums by tier and by agency, what is there and missing."""
    return {
        "sha256": sha256.hex(),
        "ok": not checked.errors,
        "rows": checked.sheet.count,
        "error_count": len(checked.errors),
        "errors": [error.as_json() for error in checked.errors[:ERRORS_SHOWN]],
        "totals": _by_tier(checked.sheet.rows),
        "hierarchy": _by_agency(checked.sheet.rows),
        "found": checked.entities,
        "accounts_missing": checked.missing_accounts,
    }


def _names(rows: list[SheetRow]) -> dict[str, Any]:
    return {
        "agencies": [row.agency for row in rows],
        "clients": [row.client for row in rows],
        "campaigns": [row.campaign for row in rows],
        "currencies": [row.currency for row in rows],
        "platform": PLATFORM_ID,
    }


def _unknown(row: SheetRow, seen: Row[Any]) -> FieldError | None:
    def error(field: str, code: str, detail: str) -> FieldError:
        return FieldError(code, detail, row=row.number, field=field)

    ids: dict[str, UUID | None] = {
        "agency": seen.agency_id,
        "client": seen.client_id,
        "campaign": seen.campaign_id,
    }
    for tier, found in ids.items():
        if getattr(row, tier) and found is None:
            detail = f"There is no {tier} of this name here. Make it first, or correct the name."
            return error(tier, f"unknown_{tier}", detail)
    if row.tier is SheetTier.CAMPAIGN and seen.state == "closed":
        return error("campaign", "campaign_closed", "The campaign is closed. Leave its row out.")
    if row.tier is SheetTier.CAMPAIGN and seen.budget_mode != "isolated":
        detail = (
            "The campaign shares its client's credit. Give it a budget of its own first, or say its "
            "credit in the client's row."
        )
        return error("campaign", "budget_shared", detail)
    if seen.is_used:
        detail = (
            "The account has movements already, and is opened once. Leave the row out, or ask for an "
            "adjustment."
        )
        return error("balance_minor", "account_in_use", detail)
    return None


def _by_tier(rows: list[SheetRow]) -> list[dict[str, Any]]:
    count: Counter[tuple[str, SheetTier]] = Counter()
    sums: Counter[tuple[str, SheetTier]] = Counter()
    for row in rows:
        count[row.currency, row.tier] += 1
        sums[row.currency, row.tier] += row.balance
    return [
        {
            "currency": currency,
            "tier": tier.value,
            "rows": count[place],
            "balance_minor": sums[place],
        }
        for place in sorted(count, key=lambda one: (one[0], list(SheetTier).index(one[1])))
        for currency, tier in (place,)
    ]


def _by_agency(rows: list[SheetRow]) -> list[dict[str, Any]]:
    """What each agency has with all below it, and the whole, which stands without a name."""
    sums = totals_below(rows)
    return [
        {"currency": currency, "agency": agency, "total_minor": sums[currency, agency, "", ""]}
        for currency, agency, client, campaign in sorted(sums)
        if not client and not campaign
    ]
