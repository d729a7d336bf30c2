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
    help="Read the address from standard input: a command line is seen by everybody here.",
)
@click.option("--external-id-stdin", is_flag=True, help="So too the client's own id of a person.")
@click.option("--user-id", type=click.UUID, help="Our id of a person whom the client knows.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@click.option("--client", "client_id", type=click.UUID, help="Only at this client.")
@click.option("--json", "in_json", is_flag=True, help="Print one JSON object for scripts.")
def erase(
    *,
    email_stdin: bool,
    external_id_stdin: bool,
    user_id: Any,
    reason: str,
    client_id: Any,
    in_json: bool,
) -> None:
    """Forget a person in all that was submitted before. Needs LARGESSE_TOKEN.

    Whom it forgets is an administrator's of the client or, everywhere, the platform's to say.
    """
    if [email_stdin, external_id_stdin, user_id is not None].count(True) != 1:
        raise Ending(USAGE, "Name one: --email-stdin, --external-id-stdin or --user-id.")
    name = "external_id" if external_id_stdin else "email"
    whom = {"user_id": str(user_id)} if user_id else {name: sys.stdin.readline().strip()}
    if not all(whom.values()):
        raise Ending(USAGE, "Write whom to standard input: echo ann@shop.com | ...")
    place = str(client_id) if client_id else None
    body = whom | {"reason": reason, "client_id": place}
    made = signed_in().send("POST", "/erasures", json=body)
    if in_json:
        click.echo(json.dumps(made, indent=1))
    else:
        click.echo(f"Erasure {made['id']} is accepted; GET /api/v1/erasures/{made['id']} counts.")
