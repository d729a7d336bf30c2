"""S1-082, S1-103, S1-104, S1-105, S3-098: the ways of docs/backups.md, walked on real servers."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from models.schema import migrate
from ops.__main__ import main
from ops.bootstrap import LOGINS, OWNER, database_url, drop_database, ensure_database
from ops.embedded import role_passwords, role_urls
from ops.embedded_postgres import PostgresServer, find_binaries
from ops.home import Home
from ops.proof import prove_at
from ops.surroundings import URL_VARIABLES
from ops.unprivileged import Account, data_folder, discard, make_private_folder
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, import_cards_now
from tests.ops.conftest import fresh_home
from tests.seeding import seed
from tests.until import until

TEXT = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")
COUNTED = ("cards", "provisions", "accounts", "postings", "users", "audit_entries", "key_versions")
NAME = "largesse"


def silent(_line: str) -> None:
    pass


def program(home: Home, name: str) -> Path:
    _data, account = data_folder(home, "postgres", say=silent)
    return find_binaries(home, account, say=silent) / name


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        found = {}
        for table in COUNTED:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert row is not None
            found[table] = row[0]
        return found


def migrated(admin_url: str, urls: dict[str, str]) -> str:
    """What `largesse migrate` says to a database that an administrator owns."""
    given = {variable: urls[login] for variable, login in URL_VARIABLES.items()}
    return (
        CliRunner().invoke(main, ["migrate"], env=given | {"DATABASE_ADMIN_URL": admin_url}).output
    )


def test_s1_082_s1_103_a_dump_is_restored_and_proven(
    house: House, database: Database, ground: Ground, tmp_path: Path
) -> None:
    """S1-082, S1-103: pg_dump, pg_restore into a new database, migrate, prove."""
    seeded = seed(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    url = database_url(database.admin_url, database.name)
    file, name = tmp_path / "largesse.dump", f"{database.name}_restored"
    restored = database_url(database.admin_url, name)

    subprocess.run(
        [program(ground.home, "pg_dump"), "--format=custom", f"--file={file}", f"--dbname={url}"],
        check=True,
    )
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0")
    try:
        subprocess.run(
            [program(ground.home, "pg_restore"), "--exit-on-error", f"--dbname={restored}", file],
            check=True,
        )
        urls = role_urls(ground.home, database.admin_url, name)

        assert "The schema is the newest." in migrated(database.admin_url, urls)
        assert counts(restored) == counts(url)
        assert counts(restored)["cards"] == 3
        assert prove_at(urls["largesse_readonly"]).ok is True
    finally:
        drop_database(database.admin_url, name)


@pytest.mark.parametrize("login", LOGINS)
def test_s1_103_no_login_of_the_product_can_make_a_dump(
    database: Database, ground: Ground, tmp_path: Path, login: str
) -> None:
    """Row security holds for the owner too: a dump of nothing must not look like one."""
    done = subprocess.run(
        [
            program(ground.home, "pg_dump"),
            "--format=custom",
            f"--file={tmp_path / 'none.dump'}",
            f"--dbname={database.urls[login]}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert re.search("row-level security|permission denied|privilege", done.stderr)


@dataclass(frozen=True, slots=True)
class Primary:
    """A server that archives its WAL, and its data folder's account."""

    home: Home
    server: PostgresServer
    archive: Path
    account: Account


@pytest.fixture
def primary(ground: Ground) -> Iterator[Primary]:
    home = fresh_home()
    _data, account = data_folder(home, "postgres", say=silent)
    archive = home.path / "archive"
    make_private_folder(archive, account)
    archiving = {
        "fsync": "off",
        "archive_mode": "on",
        "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f",
    }
    server = PostgresServer(home, settings=archiving, say=silent)
    try:
        server.start()
        yield Primary(home, server, archive, account)
    finally:
        server.stop()
        discard(home)


def base_backup(primary: Primary) -> Home:
    """A data folder of its own, with the passwords of the primary."""
    home = fresh_home()
    shutil.copy(primary.home.secrets_path, home.secrets_path)
    data, _account = data_folder(home, "postgres", say=silent)
    make_private_folder(data, primary.account)
    ids = primary.account
    as_account: dict[str, Any] = (
        {} if ids.is_own else {"user": ids.uid, "group": ids.gid, "extra_groups": []}
    )
    subprocess.run(
        [
            program(primary.home, "pg_basebackup"),
            *(f"--dbname={primary.server.url}", f"--pgdata={data}"),
            *("--wal-method=stream", "--checkpoint=fast"),
        ],
        check=True,
        cwd="/",
        **as_account,
    )
    signal = data / "recovery.signal"
    signal.touch()
    os.chown(signal, primary.account.uid, primary.account.gid)
    return home


def asked(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return row and row[0]


def test_s1_104_s3_098_the_books_come_back_as_they_were_before_a_mistake(
    primary: Primary, ground: Ground
) -> None:
    """S1-104, S3-098, S1-105: to a point in time; until it goes on it is a replica, and proven."""
    server = primary.server
    ensure_database(server.url, database=NAME, passwords=role_passwords(primary.home))
    urls = role_urls(primary.home, server.url, NAME)
    migrate(urls[OWNER])
    admin = database_url(server.url, NAME)
    here = replace(ground, home=primary.home, servers=replace(ground.servers, postgres=server))
    with a_house(here, Database(NAME, server.url, urls)) as house:
        seeded = seed(house)
        home = base_backup(primary)
        import_cards_now(house, seeded.csv_pool, cards_csv(2))
    asked(admin, "SELECT pg_create_restore_point('before_the_mistake')")
    asked(admin, "UPDATE clients SET name = 'lost' RETURNING 1")
    asked(admin, "SELECT pg_switch_wal()")
    server.stop()

    back = {
        "fsync": "off",
        "restore_command": f"cp {primary.archive}/%f %p",
        "recovery_target_name": "before_the_mistake",
        "recovery_target_action": "pause",
    }
    restored = PostgresServer(home, settings=back, say=silent)
    try:
        restored.start()
        admin = database_url(restored.url, NAME)
        urls = role_urls(home, restored.url, NAME)
        until(lambda: asked(admin, "SELECT pg_get_wal_replay_pause_state()") == "paused")
        as_replica = prove_at(urls["largesse_readonly"])
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            asked(admin, "UPDATE clients SET name = 'written' RETURNING 1")
        asked(admin, "SELECT pg_wal_replay_resume()")
        until(lambda: asked(admin, "SELECT pg_is_in_recovery()") is False)

        assert as_replica.ok is True
        assert counts(admin)["cards"] == 2
        assert asked(admin, "SELECT count(*) FROM clients WHERE name = 'lost'") == 0
        assert "The schema is the newest." in migrated(restored.url, urls)
        assert prove_at(urls["largesse_readonly"]).ok is True
    finally:
        restored.stop()
        discard(home)


def test_s1_103_every_command_and_setting_of_the_page_exists() -> None:
    """S1-103, S1-105"""
    commands = set(re.findall(r"(?:^|`)largesse ([a-z][a-z-]+)", TEXT, re.MULTILINE))
    settings = set(re.findall(r"\b(?:LARGESSE|DATABASE|QUEUE)_[A-Z_]+\b", TEXT))
    known = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert {"migrate", "prove", "doctor", "audit", "queues"} <= commands <= set(main.commands)
    assert "LARGESSE_MASTER_KEYS" in settings
    assert [name for name in settings if f"`{name}`" not in known] == []
