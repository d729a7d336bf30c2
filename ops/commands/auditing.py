"""The command `audit`: verify that nobody changed the audit log."""

import json
import os
from pathlib import Path

import click

from ops.commands.ending import FAILED, Ending
from ops.home import Home
from ops.proof import verify_audit_at
from ops.stack_record import running_stack_of
from ops.surroundings import master_keys
from pipelines.audit.chain import PLATFORM_STREAM
from pipelines.audit.verify import Chains
from pipelines.audit.witness import Witness, in_log, witness_key
from pipelines.sealing import Keyring
from pipelines.settings import SettingsBroken

LOG = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("audit")
def audit() -> None:
    """The audit log: numbered and chained per tenant."""


@audit.command("verify")
@click.option("--json", "in_json", is_flag=True, help="Print one JSON object for scripts.")
@click.option("--stream", help="Verify this one: `platform`, an agency's id, or agency/client.")
@click.option(
    "--log",
    "logs",
    type=LOG,
    multiple=True,
    help="A log of a worker: what it says of the heads is compared too. May be given again.",
)
def verify_audit(*, in_json: bool, stream: str | None, logs: tuple[Path, ...]) -> None:
    """Verify the chains of the running stack, or on DATABASE_READONLY_URL.

    Ends with 1 if an entry was changed, taken away or moved, and names the first one per stream.
    """
    url, key = _database_and_key()
    told = [one for path in logs for one in _witnesses(path)]
    found = verify_audit_at(url, key=key, stream=stream, witnesses=told)
    is_known = stream is None or stream == PLATFORM_STREAM
    if not is_known and not (found.streams or found.unsealed or found.broken):
        raise Ending(
            FAILED,
            f"There is no stream {stream!r}, so nothing was verified. Give `platform`, an agency's id, "
            "or the ids of an agency and a client as AGENCY/CLIENT.",
        )
    if in_json:
        click.echo(json.dumps(found.as_json() | {"witnesses_proven": key is not None}, indent=1))
    else:
        _print(found, is_proven=key is not None)
    if not found.ok:
        raise Ending(FAILED, "The audit log was changed. Keep the data and report this.")


def _database_and_key() -> tuple[str, bytes | None]:
    """Where to look, and the key of the witnesses as far as it is known here."""
    given, keys = os.environ.get("DATABASE_READONLY_URL"), os.environ.get("LARGESSE_MASTER_KEYS")
    if not given:
        home, record = running_stack_of(Home.from_environment(os.environ))
        given, keys = record.database_url, keys or master_keys(home)
    if not keys:
        return given, None
    try:
        return given, witness_key(Keyring.parse(keys))
    except ValueError as error:
        raise SettingsBroken(f"LARGESSE_MASTER_KEYS: {error}") from None


def _witnesses(path: Path) -> list[Witness]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        return in_log(lines)


def _print(found: Chains, *, is_proven: bool) -> None:
    verdict = "hold" if found.ok else "DO NOT HOLD"
    click.echo(f"{found.entries} audit entries, {found.streams} streams: they {verdict}.")
    click.echo(f"{found.witnesses} witnessed heads were compared.")
    if not is_proven:
        click.echo("Who wrote them is not proven: LARGESSE_MASTER_KEYS is not set.")
    if found.unsealed:
        click.echo(f"Not sealed yet: {found.unsealed}, for {found.unsealed_seconds:.0f} s.")
    for one in found.broken:
        click.echo(str(one))
