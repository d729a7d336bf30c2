"""Behind PgBouncer in transaction mode: every server connection is somebody else's a moment later."""

import random
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import requests
from sqlalchemy import text

from models.database import create_database_engine, scoped_transaction, sessions_of
from models.people import Role
from models.scope import client
from ops.bootstrap import ROLE_SETTINGS
from ops.home import Home, free_port
from ops.unprivileged import discard
from pipelines.wiring import House
from tests.conftest import Database, Ground
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, submit
from tests.pgbouncer import PgBouncer, pgbouncer
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import PASSWORD, make_user
from tests.workers.bed import a_bed
from tests.workers.crew import Crew

#: Fewer than the threads of any process: transactions must share.
POOL_SIZE = 3
THREADS = 8
TRANSACTIONS = 60
URL_VARIABLES = ("DATABASE_WEB_URL", "DATABASE_WORKER_URL", "DATABASE_SYSTEM_URL")
#: PostgreSQL shows a few settings in other units than it was given.
AS_SHOWN = {("statement_timeout", "60s"): "1min", ("tcp_user_timeout", "10s"): "10000"}
WHO = text(
    "SELECT current_user AS role, current_setting('app.client_id') AS client_id, "
    "(SELECT count(*) FROM campaigns) AS campaigns, "
    "(SELECT count(*) FROM pg_prepared_statements) AS prepared"
)


@pytest.fixture
def bouncer(ground: Ground) -> Iterator[PgBouncer]:
    home = Home(Path("/tmp") / f"largesse-pgbouncer-{secrets.token_hex(6)}")
    try:
        with pgbouncer(home, ground.servers.admin_url, pool_size=POOL_SIZE) as server:
            yield server
    finally:
        discard(home)


@pytest.fixture
def pooled_crew(crew: Crew, bouncer: PgBouncer) -> Crew:
    """Every product process goes through PgBouncer; only the test itself does not."""
    for variable in URL_VARIABLES:
        crew.environment[variable] = bouncer.in_front_of(crew.environment[variable])
    crew.environment["DATABASE_POOLED"] = "1"
    return crew


def test_a_job_from_the_front_to_its_exact_end(
    pooled_crew: Crew, house: House, database: Database, sandbox: Sandbox
) -> None:
    """Accepted over HTTP, issued from a pool and from the vendor, proven."""
    crew, port = pooled_crew, free_port()
    seeded = seed(house)
    make_user(house, "admin@x.example", Role.CLIENT_ADMIN, seeded)
    import_cards_now(house, seeded.csv_pool, cards_csv(260))
    for name in ("relay", "scheduler", "interactive", "bulk", "vendors"):
        crew.start(name)
    front = crew.start("web", module="web", beats=False, PORT=str(port))
    crew.until(lambda: ready(port))

    job_id = submitted(port, seeded, 300)
    job = crew.until_ended(job_id)

    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 300)
    assert job["sources"] == {"csv": 260, "buffer": 0, "api": 40}
    summary = sandbox.control("GET", "/reloadly/summary")
    assert (summary["orders_total"], summary["duplicates"]) == (40, [])
    crew.until(lambda: rows(house, "SELECT 1 FROM tasks WHERE job_id IS NOT NULL") == [])
    assert_proven(house)
    assert server_connections(database) <= 2 * POOL_SIZE
    assert [crew.end(process) for process in crew.started] == [0] * 6
    assert front.returncode == 0
    assert "prepared statement" not in crew.logs()
    assert "task.failed" not in crew.logs()


def test_a_chunk_is_cut_through_pgbouncer(
    pooled_crew: Crew, house: House, database: Database
) -> None:
    """EC-119: the cancel request finds the server connection that the transaction has just now."""
    crew = pooled_crew
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    submit(house, seeded, recipients_csv(4))
    with a_bed(database) as bed:
        bed.make()
        bulk, _relay = crew.start("bulk", LARGESSE_DRAIN_SECONDS="0.2"), crew.start("relay")
        crew.until(bed.is_slept_in)

        assert crew.end(bulk, seconds=20) == 0

        (chunk,) = rows(house, "SELECT * FROM tasks WHERE kind = 'run_chunk'")
        assert (chunk.starts, chunk.attempts, bed.is_slept_in()) == (0, 0, False)


def test_no_tenant_s_scope_is_seen_by_another_transaction(
    house: House, database: Database, bouncer: PgBouncer
) -> None:
    """Scope and settings end with their transaction, committed, rolled back or broken off."""
    tenants = [seed(house, vendor=False).client_id for _ in range(THREADS)]
    url = bouncer.in_front_of(database.urls["largesse_web"])
    engine = create_database_engine(url, pool_size=2 * THREADS, pooled_by_proxy=True)
    sessions, together = sessions_of(engine), threading.Barrier(2 * THREADS)

    def as_tenant(number: int) -> None:
        together.wait(30)
        draw = random.Random(number)
        for _ in range(TRANSACTIONS):
            try:
                with scoped_transaction(sessions, client(tenants[number])) as session:
                    seen = session.execute(WHO).one()
                    assert seen == ("largesse_client", str(tenants[number]), 1, 0)
                    if draw.random() < 0.3:
                        raise Abandoned
            except Abandoned:
                continue

    def as_nobody(_number: int) -> None:
        together.wait(30)
        for _ in range(TRANSACTIONS):
            with engine.begin() as connection:
                seen = connection.execute(
                    text(
                        "SELECT current_user, current_setting('role'), "
                        "coalesce(current_setting('app.client_id', true), '')"
                    )
                ).one()
                assert seen == ("largesse_web", "none", "")

    with ThreadPoolExecutor(2 * THREADS) as threads:
        work = [threads.submit(as_tenant, n) for n in range(THREADS)]
        work += [threads.submit(as_nobody, n) for n in range(THREADS)]
        for each in work:
            each.result(timeout=120)
    engine.dispose()
    assert len(tenants) == len(set(tenants)) > POOL_SIZE


def test_a_login_without_a_scope_sees_nothing_after_others_had_theirs(
    house: House, database: Database, bouncer: PgBouncer
) -> None:
    tenant = seed(house, vendor=False).client_id
    url = bouncer.in_front_of(database.urls["largesse_web"])
    engine = create_database_engine(url, pool_size=POOL_SIZE, pooled_by_proxy=True)
    with scoped_transaction(sessions_of(engine), client(tenant)) as session:
        assert session.execute(text("SELECT count(*) FROM campaigns")).scalar_one() == 1

    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(url, prepare_threshold=None) as connection,
    ):
        connection.execute("SELECT count(*) FROM campaigns")
    engine.dispose()


@pytest.mark.parametrize("login", ["largesse_web", "largesse_worker", "largesse_system"])
def test_the_limits_of_each_login_hold_behind_pgbouncer(
    database: Database, bouncer: PgBouncer, login: str
) -> None:
    """They belong to the login, not to what a client says as it connects."""
    url = bouncer.in_front_of(database.urls[login])
    found = {}
    with psycopg.connect(url, prepare_threshold=None) as connection:
        for setting in ROLE_SETTINGS[login]:
            row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
            found[setting] = row[0] if row else None
        connection.execute("SET LOCAL statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")

    told = ROLE_SETTINGS[login]
    shown = {name: AS_SHOWN.get((name, value), value) for name, value in told.items()}
    assert found == shown


def test_a_wrong_password_is_refused_by_scram(database: Database, bouncer: PgBouncer) -> None:
    parts = bouncer.in_front_of(database.urls["largesse_web"])
    wrong = parts.replace(parts.split(":")[2].split("@")[0], "wrong")

    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
        psycopg.connect(wrong)


class Abandoned(Exception):
    """A transaction that is rolled back on purpose."""


def ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def submitted(port: int, seeded: Seeded, items: int) -> UUID:
    """A bulk job over HTTP by somebody who signed in over HTTP."""
    api = f"http://127.0.0.1:{port}/api/v1"
    person = {"email": "admin@x.example", "password": PASSWORD}
    token = requests.post(f"{api}/auth/login", json=person, timeout=30).json()["access_token"]
    answer = requests.post(
        f"{api}/gift-cards/provision-jobs",
        json={
            "campaign_id": str(seeded.campaign_id),
            "brand_id": str(seeded.brand_id),
            "denomination_minor": 2500,
            "delivery_method": "none",
            "recipients": [
                {"email": f"p{n}@example.com", "reference": f"r{n}"} for n in range(items)
            ],
        },
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


def server_connections(database: Database) -> int:
    """Of the logins that only processes use here; directly they would hold more."""
    with psycopg.connect(database.admin_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = %s AND usename IN ('largesse_web', 'largesse_system')",
            [database.name],
        ).fetchone()
    return row[0] if row else 0
