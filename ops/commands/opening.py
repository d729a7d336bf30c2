"""`largesse balance-sheet`: check the sheet that credit begins from, ask for it, fetch its report."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.commands.ending import FAILED
from ops.commands.engine import json_option
from ops.commands.working import FILE, signed_in

CSV = {"Content-Type": "text/csv"}


@click.group("balance-sheet")
def balance_sheet() -> None:
    """Begin with the credit that tenants have already. Needs LARGESSE_TOKEN of the platform."""


@balance_sheet.command()
@click.argument("file", type=FILE)
@json_option
def check(file: Path, *, in_json: bool) -> None:
    """Look at a CSV (agency,client,campaign,currency,balance_minor[,total_minor]); write nothing."""
    report = signed_in().send(
        "POST", "/credit/balance-sheets/check", data=file.read_bytes(), headers=CSV
    )
    if in_json:
        click.echo(json.dumps(report, indent=1))
    else:
        _print_report(report)
    if not report["ok"]:
        raise SystemExit(FAILED)


@balance_sheet.command("open")
@click.argument("file", type=FILE)
@click.option("--reason", required=True, help="Why; kept in the statement of every account.")
def ask(file: Path, reason: str) -> None:
    """Ask for the accounts of a sheet to be opened; a second person approves it."""
    approval = signed_in().send(
        "POST",
        "/credit/balance-sheets",
        params={"reason": reason},
        data=file.read_bytes(),
        headers=CSV,
    )
    sheet = approval["detail"]["balance_sheet_id"]
    click.echo(f"Approval {approval['id']} waits for a second person.", err=True)
    click.echo(sheet)


@balance_sheet.command()
@click.argument("sheet_id", type=click.UUID)
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Every row.")
def report(sheet_id: UUID, file: Path | None) -> None:
    """Show what was found and made, and that nothing drifted; 404 until it was asked for."""
    api = signed_in()
    _print_report(api.get(f"/credit/balance-sheets/{sheet_id}"))
    if file is not None:
        file.write_bytes(b"".join(api.download(f"/credit/balance-sheets/{sheet_id}/report.csv")))


def _print_report(report: dict[str, Any]) -> None:
    table = Table("currency", "tier", "rows", "minor units", box=None, pad_edge=False)
    for line in report["totals"]:
        numbers = (str(line["rows"]), str(line["balance_minor"]))
        table.add_row(line["currency"], line["tier"], *numbers)
    Console(width=120).print(table)
    for line in report["hierarchy"]:
        if not line["agency"]:
            click.echo(f"{line['currency']} together: {line['total_minor']}")
    for line in report.get("drift", ()):
        click.echo(
            f"{line['currency']} in the ledger: {line['ledger_minor']}, drift {line['drift_minor']}"
        )
    for error in report["errors"]:
        click.echo(f"row {error['row']}, {error['field']}: {error['detail']} ({error['code']})")
    hidden = report["error_count"] - len(report["errors"])
    if hidden:
        click.echo(f"and {hidden} more: POST /credit/balance-sheets/check.csv has all.")
    click.echo(f"{report['rows']} rows, {report['error_count']} errors.")
    click.echo(_accounts(report))


def _accounts(report: dict[str, Any]) -> str:
    """How many accounts there are, and how many will be or were made."""
    made = report["made"]["accounts"] if "made" in report else report["accounts_missing"]
    word = "account" if made == 1 else "accounts"
    label = "Made" if "made" in report else "To be made"
    there = ", ".join(
        f"{name.replace('_', ' ')} {n}" for name, n in sorted(report["found"].items())
    )
    return f"There already: {there}. {label}: {made} {word}."
