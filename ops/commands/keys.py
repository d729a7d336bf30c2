"""The commands of the master keys: `keys status`, `rotate`, `retire`, `trust`."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table

from models import clock
from models.database import Sessions, create_database_engine, scoped_transaction, sessions_of
from models.scope import SYSTEM
from ops.bootstrap import role_url
from ops.commands.ending import FAILED, Ending
from ops.databases import database_of
from ops.home import Home
from ops.stack_record import running_stack_of
from ops.surroundings import master_keys
from pipelines.keys.reseal import begin_rotation
from pipelines.keys.retire import retire as retire_version
from pipelines.keys.status import KeyStatus, key_status
from pipelines.keys.trust import trust as trust_key
from pipelines.keys.trust import weigh
from pipelines.limits import DEFAULTS
from pipelines.sealing import Keyring
from pipelines.settings import SettingsBroken

json_option = click.option(
    "--json", "in_json", is_flag=True, help="Print one JSON object for scripts."
)


@click.group("keys")
def keys() -> None:
    """Look at the master keys, rotate to the current one, retire an old one, trust one.

    Needs DATABASE_WORKER_URL and LARGESSE_MASTER_KEYS as the workers have them; without them the
    running stack of LARGESSE_HOME is meant.
    """


@keys.command("status")
@json_option
def status(*, in_json: bool) -> None:
    """Show the versions, who seals with what, and how far a rotation is."""
    with _house(os.environ) as (sessions, keyring):
        seen = _status(sessions, keyring)
    _show(seen, in_json=in_json)


@keys.command("rotate")
@json_option
def rotate(*, in_json: bool) -> None:
    """Have the workers seal every stored value under the current version again.

    Safe at any time, and again: it goes on where it stood. The bulk workers do it beside their
    work; `keys status` says how far they are.
    """
    with _house(os.environ) as (sessions, keyring):
        with scoped_transaction(sessions, SYSTEM) as session:
            begin_rotation(session, keyring, now=clock.now(session))
        seen = _status(sessions, keyring)
    _show(seen, in_json=in_json)


@keys.command("retire")
@click.argument("version", type=click.IntRange(1, 255))
def retire(version: int) -> None:
    """Retire VERSION: nothing is sealed under it any more, now or later.

    Every sealed value is looked at first; refused while one needs the version.
    """
    with _house(os.environ) as (sessions, keyring):
        retire_version(sessions, version, keyring=keyring, limits=DEFAULTS)
        if version == keyring.index_version:
            click.echo(
                f"Version {version} seals nothing any more. Keep it in LARGESSE_MASTER_KEYS all "
                "the same: the blind index and reveal links rest on it."
            )
        else:
            click.echo(f"Version {version} is retired; take it out of LARGESSE_MASTER_KEYS.")


@keys.command("trust")
@click.argument("version", type=click.IntRange(1, 255))
@click.option("--yes", "is_sure", is_flag=True, help="Note it without asking.")
def trust(version: int, *, is_sure: bool) -> None:
    """Note your key as that of VERSION, when processes refuse the right one.

    Says first how many of the stored values it opens, and asks. Another key under this number is
    refused from then on, whatever was noted before.
    """
    with _house(os.environ) as (sessions, keyring):
        with scoped_transaction(sessions, SYSTEM) as session:
            now = clock.now(session)
            tried = weigh(session, version, keyring=keyring, now=now, limits=DEFAULTS)
        click.echo(
            f"Of the values under version {version}, your key opens {tried.opened} "
            f"and does not open {tried.unopened}."
        )
        if not is_sure:
            click.confirm("Note it as the right key?", abort=True)
        with scoped_transaction(sessions, SYSTEM) as session:
            now = clock.now(session)
            trust_key(session, version, tried=tried, keyring=keyring, now=now, limits=DEFAULTS)
        click.echo(f"Noted: this is the key of version {version}.")


@contextmanager
def _house(environment: Mapping[str, str]) -> Iterator[tuple[Sessions, Keyring]]:
    """The database and the keys: as the environment names them, or of the stack that runs here."""
    url, written = environment.get("DATABASE_WORKER_URL"), environment.get("LARGESSE_MASTER_KEYS")
    if not url:
        home, record = running_stack_of(Home.from_environment(environment))
        login = "largesse_worker"
        database = database_of(record.database_url)
        url = role_url(record.database_url, login, home.secret(f"role/{login}"), database)
        written = written or master_keys(home)
    if not written:
        raise SettingsBroken("Set LARGESSE_MASTER_KEYS as the workers have it.")
    try:
        keyring = Keyring.parse(written)
    except ValueError as error:
        raise SettingsBroken(f"LARGESSE_MASTER_KEYS: {error}") from None
    engine = create_database_engine(url, pool_size=1)
    try:
        yield sessions_of(engine), keyring
    finally:
        engine.dispose()


def _status(sessions: Sessions, keyring: Keyring) -> KeyStatus:
    with scoped_transaction(sessions, SYSTEM) as session:
        return key_status(session, keyring, now=clock.now(session), limits=DEFAULTS)


def _show(seen: KeyStatus, *, in_json: bool) -> None:
    if in_json:
        click.echo(json.dumps(seen.as_json(), indent=1))
        return
    console = Console()
    table = Table("version", "state", "", box=None, pad_edge=False)
    for version in seen.versions:
        marks = ["current"] if version.version == seen.current else []
        marks += ["carries the index"] if version.carries_index else []
        table.add_row(str(version.version), version.state.value, ", ".join(marks))
    console.print(table)
    for way in seen.resealings:
        about = f" of about {way.rows_about}" if way.finished_at is None else ""
        done = "finished" if way.finished_at else f"pass {way.passes}"
        console.print(
            f"{way.table_name} to version {way.target_version}: {done}, looked at "
            f"{way.looked_at}{about}, sealed again {way.resealed}, did not open {way.unopened}",
            markup=False,
            highlight=False,
        )
    for process in seen.processes_beside:
        console.print(f"Seals with other keys: {process}", markup=False, highlight=False)
    if any(way.unopened for way in seen.resealings):
        raise Ending(FAILED, "Some values do not open; the workers' logs name their rows.")
