"""SEC-37: real processes refuse what production must not be, and say all of it before they end."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from models.base import new_id
from ops.bootstrap import database_url, role_url
from pipelines import vendor_settings
from pipelines.access.passwords import hash_password
from pipelines.boot import check_database
from pipelines.settings import SettingsBroken
from pipelines.wiring import build_house
from tests.conftest import Database, Ground, load_settings, process_environment
from tests.rules.test_unsafe_settings import GOOD
from tests.workers.crew import Crew

EMBEDDED = "This is the embedded database, which is for development. Use a server of your own."
SAFE = {
    name: GOOD[name]
    for name in ("LARGESSE_MASTER_KEYS", "LARGESSE_TOKEN_KEY", "CRON_SECRET", "PUBLIC_URL")
} | {
    "LARGESSE_ENV": "production",
    "TRUSTED_PROXIES": "0",
    "LARGESSE_TIME_SCALE": "1",
    "SMTP_URL": "",
    **dict.fromkeys(vendor_settings.variables(), ""),
}


@pytest.mark.parametrize(("name", "module"), [("relay", "workers"), ("web", "web")])
def test_sec037_a_process_says_every_fault_of_its_settings_and_ends_with_2(
    crew: Crew, name: str, module: str
) -> None:
    """SEC-37"""
    unsafe = {"LARGESSE_TOKEN_KEY": "short", "FLASK_DEBUG": "1", "CORS_ORIGINS": "*", "PORT": "0"}

    process = crew.start(name, module=module, beats=False, **(SAFE | unsafe))

    assert process.wait(timeout=30) == 2
    told = crew.logs().splitlines()
    assert [line[:40] for line in told] == [
        f"{name}: {words}"[:40]
        for words in (
            "LARGESSE_TOKEN_KEY has 5 bytes; it needs at least 32",
            "FLASK_DEBUG is on; unset it: debug pages show",
            "CORS_ORIGINS lets every site in; unset it: no other",
        )
    ]
    assert crew.beats() == []


def test_sec037_the_embedded_database_and_demo_people_are_refused_together(
    crew: Crew, database: Database
) -> None:
    """SEC-37: whatever the environment calls the server, it says itself that it is embedded."""
    superuser = database_url(database.admin_url, database.name)
    with psycopg.connect(superuser) as connection:
        for email, password in (
            ("admin@example.com", "admin123"),
            ("eve@example.com", "of her own, and long"),
            ("b@shop.example.com", "demo123"),
        ):
            connection.execute(
                "INSERT INTO users (id, email, email_normalised, role, password_hash) "
                "VALUES (%s, %s, %s, 'platform_admin', %s)",
                [new_id(), email, email, hash_password(password)],
            )

    process = crew.start("relay", beats=False, **SAFE)

    assert process.wait(timeout=30) == 2
    assert crew.logs().splitlines() == [
        f"relay: {EMBEDDED}",
        (
            "relay: 1 demo users, whose passwords are known, can sign in. Disable them, or give "
            "production a database of its own."
        ),
    ]


def test_an_empty_word_is_read_as_unset(ground: Ground, database: Database) -> None:
    """Compose files pass on what nobody set as an empty word."""
    empty = {"LARGESSE_TIME_SCALE": "", "LARGESSE_REQUIRE_TOTP": ""}
    environment = process_environment(database.urls, ground.servers.redis_url) | empty
    settings = load_settings("tools", environment)

    assert (settings.time_scale, settings.requires_second_factor) == (1.0, False)


def refusal_of(ground: Ground, database: Database, url: str | None = None) -> list[str]:
    """What a worker says about this database before it starts; nothing = it starts."""
    environment = process_environment(database.urls, ground.servers.redis_url)
    if url is not None:
        environment["DATABASE_WORKER_URL"] = url
    house = build_house(load_settings("tools", environment))
    try:
        check_database(house)
    except SettingsBroken as refused:
        return str(refused).splitlines()
    finally:
        house.sessions.kw["bind"].dispose()
    return []


@contextmanager
def altered(database: Database, change: str, mend: str) -> Iterator[None]:
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change.encode())
        try:
            yield
        finally:
            connection.execute(mend.encode())


HOLES = {
    "row security off": (
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE jobs ENABLE ROW LEVEL SECURITY",
        "Row security of jobs is not on and forced.",
    ),
    "not forced": (
        "ALTER TABLE items NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE items FORCE ROW LEVEL SECURITY",
        "Row security of items is not on and forced.",
    ),
    "no policy": (
        "DROP POLICY agency ON holds",
        (
            "CREATE POLICY agency ON holds TO largesse_agency USING "
            "(agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)"
        ),
        "holds has no policy for largesse_agency.",
    ),
    "a policy of another hand": (
        "CREATE POLICY validating ON items TO largesse_owner USING (true)",
        "DROP POLICY validating ON items",
        "items has a policy of another release or hand, validating,",
    ),
    "a view of the owner": (
        "CREATE VIEW overview AS SELECT * FROM jobs",
        "DROP VIEW overview",
        "The view overview shows rows of every tenant.",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW copied AS SELECT id FROM jobs",
        "DROP MATERIALIZED VIEW copied",
        "The view copied shows rows of every tenant.",
    ),
}


@pytest.mark.parametrize("hole", HOLES)
def test_sec037_a_hole_in_the_walls_between_tenants_is_refused(
    ground: Ground, database: Database, hole: str
) -> None:
    """SEC-37, section 3: in every environment, for every process."""
    change, mend, sentence = HOLES[hole]
    with altered(database, change, mend):
        (fault,) = refusal_of(ground, database)

    assert fault.startswith(sentence)
    assert refusal_of(ground, database) == []


def test_sec037_a_view_that_asks_for_its_reader_is_no_hole(
    ground: Ground, database: Database
) -> None:
    change = "CREATE VIEW mine WITH (security_invoker=true) AS SELECT id FROM jobs"
    with altered(database, change, "DROP VIEW mine"):
        assert refusal_of(ground, database) == []


def test_sec037_a_view_that_came_with_an_extension_is_no_hole(
    ground: Ground, database: Database
) -> None:
    """Such as pg_stat_statements, which operators have everywhere and which shows no row."""
    change = "CREATE VIEW stats AS SELECT 1 AS calls; ALTER EXTENSION plpgsql ADD VIEW stats"
    mend = "ALTER EXTENSION plpgsql DROP VIEW stats; DROP VIEW stats"
    with altered(database, change, mend):
        assert refusal_of(ground, database) == []


def test_sec037_a_policy_that_lets_everybody_in_is_found_by_looking(
    ground: Ground, database: Database
) -> None:
    """SEC-37: the catalogue looks complete; a client that is nobody sees a row all the same."""
    url = database_url(database.admin_url, database.name)
    identity = new_id()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO jobs (id, kind, spec, total, retain_until) "
            "VALUES (%s, 'provisioning', '{}', 1, now())",
            [identity],
        )
    mend = (
        "ALTER POLICY client ON jobs USING "
        "(client_id = nullif(current_setting('app.client_id', true), '')::uuid)"
    )
    with altered(database, "ALTER POLICY client ON jobs USING (true)", mend):
        (fault,) = refusal_of(ground, database)

    assert fault.startswith("A client sees rows of others.")


def test_sec037_logins_that_look_past_the_walls_are_refused(
    ground: Ground, database: Database
) -> None:
    """SEC-37: the superuser, the owner, and a login that may pass by row security."""
    superuser = database_url(database.admin_url, database.name)
    bypassing = "CREATE ROLE passer LOGIN BYPASSRLS IN ROLE largesse_system PASSWORD 'p4sser'"
    grant = f'GRANT CONNECT ON DATABASE "{database.name}" TO passer'
    with (
        altered(database, bypassing, "DROP ROLE passer"),
        altered(database, grant, "DROP OWNED BY passer"),
    ):
        passer = role_url(database.admin_url, "passer", "p4sser", database.name)
        passes_by = refusal_of(ground, database, passer)

    assert refusal_of(ground, database, superuser)[0].startswith(
        "This process connected as a superuser"
    )
    assert passes_by[0].startswith("This process connected as a superuser")
    assert refusal_of(ground, database, database.urls["largesse_owner"])[0].startswith(
        "This process connected as the owner of tables"
    )
