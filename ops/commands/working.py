"""The commands that work through the API: `import-cards`, `submit`, `watch`, `token`."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ops.client import Api
from ops.commands.ending import ERRORS_SHOWN_MAX, FAILED, ROWS_NOTE, USAGE, Ending
from ops.demo.seed_people import PASSWORDS
from ops.home import Home
from ops.progress import watch_job
from ops.stack_record import NoStack, running_stack_of

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ON_ERROR = click.Choice(["abort", "skip"])
on_error_option = click.option(
    "--on-error",
    type=ON_ERROR,
    default="abort",
    show_default=True,
    help="What a bad row does: refuse the whole file, or only itself.",
)


PRIORITY = click.Choice(["high", "normal", "low"])
at_option = click.option(
    "--at",
    help="When the job starts, such as 2027-01-31T09:00:00Z or with +02:00; at once if not given.",
)
force_option = click.option(
    "--force", is_flag=True, help="Take in a file again that was submitted before."
)


@click.command("import-cards")
@click.argument("file", type=FILE)
@click.option("--pool", required=True, help="The card pool's id.")
@on_error_option
@force_option
@click.option("--wait/--no-wait", default=True, help="Watch the import to its end.")
def import_cards(file: Path, pool: str, on_error: str, *, force: bool, wait: bool) -> None:
    """Import a CSV of cards (card_number,pin,expires_on[,cost_minor]) into a pool.

    Needs LARGESSE_TOKEN; LARGESSE_URL names a stack other than the one running here.
    """
    api = signed_in()
    job = api.import_cards(pool, file.read_bytes(), on_error=on_error, force=force)
    follow(api, job, "Cards", wait=wait)


@click.command()
@click.argument("file", type=FILE)
@click.option("--campaign", required=True, help="The campaign's id.")
@click.option("--brand", required=True, help="The brand's id.")
@click.option("--denomination-minor", required=True, type=int, help="Face value, in cents.")
@click.option(
    "--delivery-method",
    type=click.Choice(["email", "sms", "none"]),
    default="none",
    show_default=True,
    help="How the links of the cards get to their recipients.",
)
@on_error_option
@force_option
@at_option
@click.option(
    "--priority",
    type=PRIORITY,
    default="normal",
    show_default=True,
    help="Which of the client's jobs goes first.",
)
@click.option("--preview", is_flag=True, help="Show cost and refusals; write nothing.")
@click.option("--wait", is_flag=True, help="Watch the job to its end.")
def submit(
    file: Path,
    campaign: str,
    brand: str,
    denomination_minor: int,
    delivery_method: str,
    on_error: str,
    at: str | None,
    priority: str,
    *,
    force: bool,
    preview: bool,
    wait: bool,
) -> None:
    """Submit a CSV of recipients (reference,email,name,phone): a card for each.

    Needs LARGESSE_TOKEN; LARGESSE_URL names a stack other than the one running here.
    """
    api = signed_in()
    fields = {
        "campaign_id": campaign,
        "brand_id": brand,
        "denomination_minor": str(denomination_minor),
        "delivery_method": delivery_method,
        "on_error": on_error,
        "priority": priority,
    }
    if at is not None:
        fields["scheduled_for"] = at
    if force:
        fields["force"] = "true"
    answer = api.submit(file, fields, preview=preview)
    if preview:
        click.echo(json.dumps(answer, indent=1))
    else:
        follow(api, answer, "Recipients", wait=wait)


@click.command()
@click.argument("job_id")
def watch(job_id: str) -> None:
    """Show a job's progress to its end. Needs LARGESSE_TOKEN."""
    follow(signed_in(), {"id": job_id}, "Job", wait=True)


@click.command()
@click.option("--email", required=True, help="Who signs in.")
@click.option("--totp", help="The code of the authenticator, for who has one.")
def token(email: str, totp: str | None) -> None:
    """Print an access token; in demo without asking for the password of a demo user.

    For example: export LARGESSE_TOKEN=$(largesse token --email alice@example.com)
    """
    password = PASSWORDS.get(email) if _stack_is_demo() else None
    if password is None:
        password = click.prompt("Password", hide_input=True, err=True)
    click.echo(Api(web_url()).login(email, password, totp).token)


def web_url() -> str:
    """LARGESSE_URL, or where the stack on this data folder serves."""
    named = os.environ.get("LARGESSE_URL")
    if named:
        return named
    try:
        _home, record = running_stack_of(Home.from_environment(os.environ))
    except NoStack as refusal:
        raise NoStack(f"{refusal.detail} Or set LARGESSE_URL to a stack elsewhere.") from None
    return record.web_url


def signed_in() -> Api:
    """The stack, as whom LARGESSE_TOKEN (an access token or API key) says."""
    bearer = os.environ.get("LARGESSE_TOKEN", "")
    if not bearer:
        raise Ending(
            USAGE,
            "Set LARGESSE_TOKEN to an access token or API key; in demo: "
            "export LARGESSE_TOKEN=$(largesse token --email alice@example.com)",
        )
    return Api(web_url(), bearer)


def _stack_is_demo() -> bool:
    if os.environ.get("LARGESSE_URL"):
        return False
    _home, record = running_stack_of(Home.from_environment(os.environ))
    return record.environment == "demo"


def follow(api: Api, job: dict[str, Any], title: str, *, wait: bool) -> None:
    """Print the job's id; with `wait`, its progress, its failures by code, and its verdict."""
    click.echo(job["id"])
    if not wait:
        return
    console = Console(stderr=True)
    ended = watch_job(api, job["id"], title, console=console, stop=threading.Event())
    print_failures(api, job["id"], err=True)
    _print_rows(api, ended)
    if ended["state"] == "succeeded":
        return
    error = ended.get("error") or {}
    raise Ending(FAILED, f"The job ended {ended['state']}. {error.get('detail', '')}".strip())


def print_failures(api: Api, job_id: str, *, err: bool = False) -> None:
    """What did not succeed, by reason."""
    for group in api.failures(job_id):
        again = "can be retried" if group.get("retryable") else "cannot be retried"
        click.echo(f"{group['count']} {group['code']} ({again})", err=err)


def _print_rows(api: Api, job: dict[str, Any]) -> None:
    """The first failed rows with field and sentence, as a refused submission prints them."""
    failed = job["counts"]["failed"]
    if not failed:
        return
    for item in api.failed_items(job["id"], limit=ERRORS_SHOWN_MAX):
        error = item["error"] or {}
        where = f"row {item['position']}"
        where += f", {item['field']}" if item.get("field") else ""
        click.echo(f"  {where}: {error.get('detail')} ({error.get('code')})", err=True)
    if failed > ERRORS_SHOWN_MAX:
        click.echo(f"  and {failed - ERRORS_SHOWN_MAX} more", err=True)
    click.echo(ROWS_NOTE, err=True)
