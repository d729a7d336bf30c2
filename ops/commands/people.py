"""`largesse user`: the first administrator, and people who cannot get in, by who runs the server."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models import clock
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.people import Role, User
from models.scope import SYSTEM
from ops.bootstrap import role_url
from ops.commands.ending import USAGE, Ending
from ops.databases import database_of
from ops.embedded import role_passwords
from ops.home import Home
from ops.stack_record import NoStack, running_stack_of
from pipelines.access.authenticate import let_try_again
from pipelines.access.password_resets import hand_reset
from pipelines.access.second_factor import forget_second_factor
from pipelines.access.sign_ins import end_sign_ins
from pipelines.access.users import NewUser, add_user, create_user, normalised
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.jobs.addresses import read_email
from pipelines.jobs.cells import CellProblem

ROLES = click.Choice([role.value for role in Role if role is not Role.STOREFRONT_KEY])
#: Either login may enter the system's scope, where people are made.
URLS = ("DATABASE_WORKER_URL", "DATABASE_SYSTEM_URL")
WORKER = "largesse_worker"
LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """The database to work on, and where its links lead."""

    database_url: str
    public_url: str


@click.group()
def user() -> None:
    """Make people, let them in again, and list them: for who runs the server.

    On the stack that runs here, or on DATABASE_WORKER_URL (or DATABASE_SYSTEM_URL) with
    PUBLIC_URL.
    """


@user.command()
@click.option("--email", required=True, help="The address to sign in with.")
@click.option("--role", type=ROLES, required=True)
@click.option("--name", default="", help="As colleagues see it.")
@click.option("--agency-id", type=click.UUID, help="For roles of agencies and clients.")
@click.option("--client-id", type=click.UUID, help="For roles of clients.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create(
    email: str,
    role: str,
    name: str,
    agency_id: UUID | None,
    client_id: UUID | None,
    *,
    password_stdin: bool,
) -> None:
    """Make a person; without a password, print a link to choose one, good for a day.

    For example: largesse user create --role platform_admin --email ann@example.com
    """
    address = read_email(email)
    if isinstance(address, CellProblem):
        raise Ending(USAGE, address.detail)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    person = NewUser(address.address, password, Role(role), name, agency_id, client_id)
    place = place_of(os.environ)
    with transaction_on(place) as session:
        if password_stdin:
            create_user(session, person, actor_id=None)
        else:
            user_id = add_user(session, person, password_hash=None, actor_id=None)
            token = hand_reset(session, user_id, now=clock.now(session))
        let_try_again(session, address.address)
    click.echo("The user is made.", err=True)
    if not password_stdin:
        click.echo(f"{place.public_url}/console/reset/{token}")


EMAIL = click.option("--email", required=True, help="Whose address it is.")


@user.command()
@EMAIL
def unlock(email: str) -> None:
    """Let a person try passwords again, after too many wrong ones."""
    with transaction_on(place_of(os.environ)) as session:
        row = _person(session, email)
        let_try_again(session, email)
        _note(session, "user.tries_allowed", row)
    click.echo("The address may be tried again.", err=True)


@user.command()
@EMAIL
def link(email: str) -> None:
    """Print a link with which a person chooses a password; it is good for a day, and once.

    For the first administrator, and where mail does not arrive. It does not go around a second
    factor.
    """
    place = place_of(os.environ)
    with transaction_on(place) as session:
        row = _person(session, email)
        token = hand_reset(session, row.id, now=clock.now(session))
        _note(session, "user.link_handed", row)
    click.echo(f"{place.public_url}/console/reset/{token}")


@user.command("reset-second-factor")
@EMAIL
def reset_second_factor(email: str) -> None:
    """Take a lost second factor away, and sign the person out everywhere.

    For a platform administrator whom nobody is above. Make sure that it is they who ask.
    """
    with transaction_on(place_of(os.environ)) as session:
        row = _person(session, email)
        was_there = forget_second_factor(session, row.id)
        end_sign_ins(session, row.id, now=clock.now(session))
        _note(session, "user.second_factor_reset", row)
    click.echo("It is gone." if was_there else "There was none.", err=True)


@user.command("list")
def list_people() -> None:
    """List the people, the newest first, at most a thousand."""
    columns = (User.email, User.name, User.role, User.disabled_at)
    with transaction_on(place_of(os.environ)) as session:
        people = session.execute(select(*columns).order_by(User.id.desc()).limit(LISTED_MAX)).all()
    table = Table("e-mail", "name", "role", "", box=None, pad_edge=False)
    for person in people:
        table.add_row(person.email or "", person.name, person.role, "disabled" if person[3] else "")
    Console().print(table, markup=False)


def place_of(environment: Mapping[str, str]) -> Place:
    """The database that is named, or that of the stack which runs here; raises `NoStack`."""
    given = next((environment[name] for name in URLS if environment.get(name)), None)
    if given is not None:
        return Place(given, environment.get("PUBLIC_URL", "").rstrip("/"))
    try:
        home, found = running_stack_of(Home.from_environment(environment))
    except NoStack as refusal:
        raise NoStack(f"{refusal.detail} Or set DATABASE_WORKER_URL and PUBLIC_URL.") from None
    database = database_of(found.database_url)
    url = role_url(found.database_url, WORKER, role_passwords(home)[WORKER], database)
    return Place(url, (environment.get("PUBLIC_URL") or found.web_url).rstrip("/"))


@contextmanager
def transaction_on(place: Place) -> Iterator[Session]:
    """One transaction in the system's scope."""
    engine = create_database_engine(place.database_url, pool_size=1)
    try:
        with scoped_transaction(sessions_of(engine), SYSTEM) as session:
            yield session
    finally:
        engine.dispose()


def _person(session: Session, email: str) -> Row[UUID, UUID | None, UUID | None]:
    found = select(User.id, User.agency_id, User.client_id).where(
        User.email_normalised == normalised(email)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        raise NotFound("There is no user with this address.")
    return row


def _note(session: Session, action: str, row: Row[UUID, UUID | None, UUID | None]) -> None:
    record(
        session,
        action,
        object_kind="user",
        object_id=row.id,
        actor_id=None,
        agency_id=row.agency_id,
        client_id=row.client_id,
    )
