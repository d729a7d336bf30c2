"""The commands that look after a stack: `migrate`, `doctor`, `prove`."""

import json
import os
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from ops.bootstrap import OWNER
from ops.commands.ending import FAILED, INCOMPLETE, Ending
from ops.databases import (
    DatabaseNotNamed,
    database_of,
    given_urls,
    make_roles,
    migrate_as_owner,
    passwords_given,
)
from ops.doctor import Check, examine
from ops.home import Home
from ops.proof import print_proof, prove_at
from ops.stack_record import running_stack_of
from pipelines.limits import DEFAULTS
from pipelines.reconciliation.prove import Patience, Proof


@click.command()
def migrate() -> None:
    """Bring the database of DATABASE_OWNER_URL to the newest schema.

    With DATABASE_ADMIN_URL (an administrator's address) the database and its roles are made
    first; each role's password is taken from its DATABASE_..._URL.
    """
    urls = given_urls(os.environ)
    if OWNER not in urls:
        raise DatabaseNotNamed(
            "Set DATABASE_OWNER_URL to the address of the database as largesse_owner. "
            "`largesse up` migrates its own database by itself."
        )
    admin_url = os.environ.get("DATABASE_ADMIN_URL")
    if admin_url:
        make_roles(admin_url, database_of(urls[OWNER]), passwords_given(os.environ))
    migrate_as_owner(urls[OWNER])
    click.echo("The schema is the newest.")


@click.command()
@click.option("--json", "in_json", is_flag=True, help="Print one JSON object for scripts.")
def doctor(*, in_json: bool) -> None:
    """Look the running stack over and say what to do about what is not well."""
    diagnosis = examine(Home.from_environment(os.environ), dict(os.environ))
    if in_json:
        click.echo(json.dumps(diagnosis.as_json(), indent=1))
    else:
        _print_checks(diagnosis.checks)
    if not diagnosis.ok:
        raise click.exceptions.Exit(FAILED)


def _print_checks(checks: list[Check]) -> None:
    table = Table("check", "", "found", box=None, pad_edge=False)
    for check in checks:
        table.add_row(check.name, "well" if check.ok else "UNWELL", check.detail)
    console = Console()
    console.print(table)
    for check in checks:
        if check.remedy:
            console.print(f"{check.name}: {check.remedy}", markup=False, highlight=False)


@click.command()
@click.option("--json", "in_json", is_flag=True, help="Print one JSON object for scripts.")
@click.option("--job", "job_id", type=click.UUID, help="Check this job alone.")
@click.option(
    "--budget-seconds",
    type=click.FloatRange(min=1),
    default=DEFAULTS.prove_budget_seconds,
    show_default=True,
    help="What is not checked by then is reported as not finished.",
)
def prove(*, in_json: bool, job_id: UUID | None, budget_seconds: float) -> None:
    """Check the invariants on the running stack's data, or on DATABASE_READONLY_URL.

    Ends with 1 if one is violated, and with 3 if none is but the time did not suffice.
    """
    url = os.environ.get("DATABASE_READONLY_URL")
    if not url:
        _home, record = running_stack_of(Home.from_environment(os.environ))
        url = record.database_url
    proof = prove_at(url, job_id=job_id, patience=Patience(budget_seconds=budget_seconds))
    if in_json:
        click.echo(json.dumps(proof.as_json(), indent=1))
    else:
        print_proof(proof, Console())
    _end_unless_proven(proof)


def _end_unless_proven(proof: Proof) -> None:
    broken = [finding.id for finding in proof.findings if finding.ok is False]
    if broken:
        raise Ending(FAILED, f"Violated: {', '.join(broken)}. Keep the data and report this.")
    unfinished = [finding.id for finding in proof.findings if not finding.complete]
    if unfinished:
        names = ", ".join(unfinished)
        raise Ending(INCOMPLETE, f"Not finished: {names}. Give more time with --budget-seconds.")
