"""The command `erase`: forget a person, whose address is read from standard input."""

import json
import sys
from typing import Any

import click

from ops.commands.ending import USAGE, Ending
from ops.commands.working import signed_in


@click.command("erase")
@click.option(
    "--email-stdin",
    is_flag=True,
    required=True,
    help="Read the address from standard input: a command line is seen by everybody here.",
)
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@click.option("--client", "client_id", type=click.UUID, help="Only at this client.")
@click.option("--json", "in_json", is_flag=True, help="Print one JSON object for scripts.")
def erase(*, email_stdin: bool, reason: str, client_id: Any, in_json: bool) -> None:
    """Forget a person in all that was submitted before. Needs LARGESSE_TOKEN.

    Whom it forgets is an administrator's of the client or, everywhere, the platform's to say.
    """
    del email_stdin  # the one way there is; named so that nobody looks for another
    email = sys.stdin.readline().strip()
    if not email:
        raise Ending(USAGE, "Write the address to standard input: echo ann@shop.com | ...")
    body = {"email": email, "reason": reason, "client_id": str(client_id) if client_id else None}
    made = signed_in().send("POST", "/erasures", json=body)
    if in_json:
        click.echo(json.dumps(made, indent=1))
    else:
        click.echo(f"Erasure {made['id']} is accepted; GET /api/v1/erasures/{made['id']} counts.")
