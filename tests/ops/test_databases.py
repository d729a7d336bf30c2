"""A database of one's own: roles by an administrator, schema by the owner, words when refused."""

import psycopg
import pytest
from click.testing import CliRunner

from models.schema import newest_revision
from ops.__main__ import main
from ops.bootstrap import LOGINS, database_url, drop_database
from ops.databases import (
    DatabaseNotNamed,
    DatabaseUnreachable,
    RolesOutOfReach,
    TooFewConnections,
    check_connections,
    database_of,
    prepare_given,
)
from ops.embedded import role_urls
from ops.home import free_port
from ops.surroundings import URL_VARIABLES


@pytest.fixture
def named(stack):
    """The name of a database that does not exist yet; gone after the test."""
    name = "largesse_given"
    yield name
    for database in (name, f"{name}_demo"):
        drop_database(stack.servers.admin_url, database)


def revision_at(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def variables(urls):
    return {variable: urls[login] for variable, login in URL_VARIABLES.items()}


def run(*arguments, **environment):
    empty = dict.fromkeys((*URL_VARIABLES, "DATABASE_ADMIN_URL", "DATABASE_URL"))
    return CliRunner().invoke(main, arguments, env=empty | environment)


def test_an_administrator_s_address_is_enough(stack, named):
    urls = prepare_given(stack.home, {"DATABASE_URL": database_url(stack.servers.admin_url, named)})

    assert set(urls) == set(LOGINS)
    assert database_of(urls["largesse_web"]) == named
    assert revision_at(urls["largesse_readonly"]) == newest_revision()


def test_a_demo_has_a_database_of_its_own_and_a_fresh_one(stack, named):
    given = {"DATABASE_URL": database_url(stack.servers.admin_url, named)}
    urls = prepare_given(stack.home, given, demo=True)
    with psycopg.connect(urls["largesse_owner"]) as connection:
        connection.execute("CREATE TABLE leftover ()")

    again = prepare_given(stack.home, given, demo=True)

    assert database_of(again["largesse_web"]) == f"{named}_demo"
    with psycopg.connect(again["largesse_owner"]) as connection:
        assert connection.execute("SELECT to_regclass('leftover')").fetchone() == (None,)


def test_a_demo_s_database_in_use_is_left_alone(stack, named):
    given = {"DATABASE_URL": database_url(stack.servers.admin_url, named)}
    urls = prepare_given(stack.home, given, demo=True)

    with psycopg.connect(urls["largesse_readonly"]), pytest.raises(DatabaseUnreachable) as refused:
        prepare_given(stack.home, given, demo=True)

    assert "another demo runs" in refused.value.detail


def test_addresses_for_every_login_need_no_administrator(database):
    given = prepare_given(None, variables(database.urls))

    assert given == database.urls
    assert revision_at(database.urls["largesse_readonly"]) == newest_revision()


def test_a_login_that_may_not_make_roles_is_told_what_to_set(stack, database):
    with pytest.raises(RolesOutOfReach) as refused:
        prepare_given(stack.home, {"DATABASE_URL": database.urls["largesse_web"]})

    assert "DATABASE_WEB_URL" in refused.value.detail


def test_a_server_that_does_not_answer_is_told_without_a_password(stack):
    url = f"postgresql://admin:hidden-word@127.0.0.1:{free_port()}/largesse"

    with pytest.raises(DatabaseUnreachable) as refused:
        prepare_given(stack.home, {"DATABASE_URL": url})

    assert "hidden-word" not in refused.value.detail


def test_some_addresses_alone_are_refused(stack, database):
    with pytest.raises(DatabaseNotNamed) as refused:
        prepare_given(stack.home, {"DATABASE_WEB_URL": database.urls["largesse_web"]})

    assert "DATABASE_OWNER_URL" in refused.value.detail
    assert "DATABASE_WEB_URL" not in refused.value.detail


def test_pools_that_do_not_fit_the_server_are_refused(database):
    check_connections(database.urls["largesse_readonly"], 197)

    with pytest.raises(TooFewConnections):
        check_connections(database.urls["largesse_readonly"], 198)


def test_migrate_makes_roles_and_schema_for_an_administrator(stack, named):
    urls = role_urls(stack.home, stack.servers.admin_url, named)

    done = run("migrate", DATABASE_ADMIN_URL=stack.servers.admin_url, **variables(urls))

    assert (done.exit_code, done.output) == (0, "The schema is the newest.\n")
    assert revision_at(urls["largesse_readonly"]) == newest_revision()


def test_migrate_without_an_address_says_which_to_set():
    done = run("migrate")

    assert done.exit_code == 2
    assert done.output.startswith("Set DATABASE_OWNER_URL")


def test_migrate_twice_changes_nothing(database):
    for _ in range(2):
        assert run("migrate", DATABASE_OWNER_URL=database.urls["largesse_owner"]).exit_code == 0


def test_prove_finds_an_empty_database_whole(database):
    run("migrate", DATABASE_OWNER_URL=database.urls["largesse_owner"])

    done = run("prove", "--json", DATABASE_READONLY_URL=database.urls["largesse_readonly"])

    assert done.exit_code == 0
    assert '"ok": true' in done.output
