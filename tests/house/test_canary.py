"""The search for secrets finds one in every place where it looks (EC-124)."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from ops.bootstrap import database_url
from ops.embedded_valkey import ValkeyServer
from ops.home import Home
from ops.sandbox import giftbit_orders, tremendous_orders
from ops.sandbox.reloadly_orders import new_card
from ops.unprivileged import discard
from pipelines.access.api_keys import draw_key
from pipelines.access.console_sessions import open_session
from pipelines.access.refresh_tokens import RefreshClaims, refresh_token
from pipelines.access.sign_ins import SignInKind, open_sign_in
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.access.users import NewUser, create_user
from pipelines.wiring import House
from tests import canary, conftest
from tests.canary import INTEGER_MARK, MARK, PIN
from tests.conftest import Database, Ground
from tests.driving import cards_csv
from tests.seeding import seed

PLANTS = {
    "text": f"card {MARK}-1",
    "varchar(80)": f"{MARK.lower()}-1",
    "jsonb": json.dumps({"deep": [{"pin": PIN}]}),
    "json": json.dumps({"number": int(INTEGER_MARK + "000000001")}),
    "text[]": ["one", canary.TOKEN_HEAD + "JIUzI1NiJ9.e30.x"],
    "bytea": b"\x00\xff" + MARK.encode() + b"\x00",
}
HARMLESS = {
    "text": "0e05041337-5041337a 1504133.7 15041337",
    "bytea": b"\x05\x04\x13\x37",
    "uuid": "05041337-5041-4133-8504-133705041337",
}


def planted(database: Database, plants: dict[str, object]) -> list[str]:
    """The plants' types that are found, each in a table of its own that is gone afterwards."""
    found = []
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url, autocommit=True) as connection:
        for kind, value in plants.items():
            connection.execute(f"CREATE TABLE planted (id uuid, cell {kind})".encode())
            connection.execute("INSERT INTO planted (cell) VALUES (%s), (NULL)", [value])
            found += [kind for hit in canary.in_database(url) if hit == "table planted"]
            connection.execute("DROP TABLE planted")
    return found


def test_ec124_a_secret_is_found_in_every_kind_of_column(database: Database):
    assert planted(database, PLANTS) == list(PLANTS)


def test_digits_inside_other_words_are_no_secret(database: Database):
    assert planted(database, HARMLESS) == []


def test_every_table_of_ours_is_looked_at(database: Database):
    """Only a table of ids and numbers alone has nothing to hide."""
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url) as connection:
        looked = {name for name, _texts, _raw, _used in connection.execute(canary.COLUMNS)}
        tables = {
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
                "AND relnamespace = 'public'::regnamespace"
            )
        }

    assert tables - looked == {
        *("book_deltas", "book_sums", "coupon_counts", "open_redemptions"),
        *("claims", "coupon_usage_daily", "coupon_usage_deltas"),
        *("code_tries", "draw_chunks", "draw_members", "referral_codes"),
        *(
            "client_brands",
            "prices",
            "top_ups",
            "refill_plans",
            "user_pool_members",
            "webhook_sequences",
        ),
    }


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A store of its own: what is planted here, nobody else may find."""
    home = Home(Path("/tmp") / f"largesse-canary-{secrets.token_hex(6)}")
    server = ValkeyServer(home, say=lambda _line: None).start()
    yield server
    server.stop()
    discard(home)


@pytest.fixture
def store(valkey: ValkeyServer) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as client:
        client.flushall()
        yield client


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.set("planted", f"x {MARK}"),
        lambda store: store.hset("planted", "field", json.dumps({"args": [PIN]})),
        lambda store: store.rpush("planted", "reach ann@shop.example.com"),
        lambda store: store.sadd("planted", MARK),
        lambda store: store.zadd("planted", {MARK: 1}),
        lambda store: store.xadd("planted", {"field": MARK}),
        lambda store: store.set("planted" + MARK, "x"),
    ],
)
def test_ec124_a_secret_is_found_in_every_kind_of_key(
    valkey: ValkeyServer, store: Redis, write: Callable[[Redis], object]
):
    write(store)
    store.set("harmless", "1")

    (hit,) = canary.in_redis(valkey.url)
    assert "planted" in hit


def test_ec124_a_secret_is_found_in_a_command_that_left_nothing(valkey: ValkeyServer, store: Redis):
    wire = canary.Wire(valkey.url)
    store.set("harmless", "1")
    store.lpush("queue", json.dumps({"kwargs": {"code": f"{MARK}1"}}))
    store.rpop("queue")

    assert len(wire.leaks()) == 1
    assert canary.in_redis(valkey.url) == []


@pytest.mark.parametrize(
    "line",
    [
        f"ERROR: no {MARK.lower()}-1",
        f'{{"pin": "{PIN}"}}',
        f"pin={PIN.lstrip('0')}",
        f"number {INTEGER_MARK}123456789",
        f"Bearer {canary.TOKEN_HEAD}JIUzI1NiJ9",
        "DETAIL: Key (email)=(person7@example.com)",
        f"GET /r/{'a' * 43} 200",
        f"key {canary.PROCESS_KEYS[0]}",
    ],
)
def test_ec124_a_secret_is_found_in_a_log(tmp_path: Path, line: str):
    (tmp_path / "harmless.log").write_text("a line\n")
    (tmp_path / "bulk.log").write_text(f"a line\n{line}\nanother\n")
    (tmp_path / "web.log.1").write_text(f"{line}\n")

    assert [hit.split(",")[0] for hit in canary.in_logs(tmp_path)] == [
        "log bulk.log",
        "log web.log.1",
    ]


def test_a_log_of_ids_and_times_holds_no_secret():
    line = "2026-11-20T16:42:08.5041337Z 05041337-5041-7133-8504-133705041337 1504133799"

    assert canary.in_text("log", line) == []


def test_ec124_a_test_whose_output_shows_a_secret_fails():
    shown = report("teardown", f"log {MARK}")
    silent = report("teardown", "log")

    assert shown.outcome == "failed"
    assert MARK not in str(shown.longrepr)
    assert silent.outcome == "passed"


def report(when: str, output: str) -> pytest.TestReport:
    """What the hook makes of a test that passed with this output."""
    facts = pytest.TestReport(
        "a", ("a", 1, "a"), {}, "passed", None, when, [("Captured stderr call", output)]
    )
    hook = conftest.pytest_runtest_makereport()
    next(hook)
    with pytest.raises(StopIteration) as done:
        hook.send(facts)
    return done.value.value


def test_ec124_the_database_logs_no_words_of_an_error(ground: Ground, database: Database):
    """EC-124: PostgreSQL quotes the value that it refuses."""
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE quoted (code text PRIMARY KEY)")
        for statement in (f"SELECT '{MARK}'::integer", f"INSERT INTO quoted VALUES ('{MARK}')"):
            with pytest.raises((psycopg.DataError, psycopg.IntegrityError)) as refused:
                connection.execute(statement.encode())
                connection.execute(statement.encode())
            assert MARK in str(refused.value)
        connection.execute("DROP TABLE quoted")

    assert (ground.home.path / "logs" / "postgres.log").stat().st_size > 0
    assert canary.in_logs(ground.home.path / "logs") == []


def test_what_tests_make_is_recognised(house: House):
    seeded = seed(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        user = NewUser("a@b.example", f"correct horse {MARK}", Role.CLIENT_ADMIN)
        user = replace(user, agency_id=seeded.agency_id, client_id=seeded.client_id)
        user_id = create_user(session, user, actor_id=None)
        now = clock.now(session)
        sign_in = open_sign_in(session, user_id, SignInKind.REFRESH, seconds=600, now=now)
        cookie = open_session(session, user_id, now=now, limits=house.limits)
    claims = AccessClaims(user_id, sign_in)
    refresh = refresh_token(RefreshClaims(sign_in, 0), key=house.settings.token_key)
    access = issue_access_token(
        claims, role="r", key=house.settings.token_key, now=now, seconds=600
    )
    _header, *cards = cards_csv(2).decode().split()
    vendor = [new_card(is_integer=is_integer) for is_integer in (False, True)]
    vendor += [tremendous_orders.new_link(), giftbit_orders.new_link()]
    made = [refresh, cookie, access, draw_key(is_live=False).text, *cards]
    made += [text for card in vendor for text in (card.number, card.pin) if text]

    assert [text for text in made if not canary.SECRET.search(text)] == []
