"""What guarding costs: the sealed audit log, limits, scopes; and what answers at the door tell by their time."""

import hashlib
import secrets
import statistics
import time
from collections.abc import Callable, Iterable

import psycopg

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from ops.proof import verify_audit_at
from pipelines.access.api_keys import NewKey, draw_key, make_key, prefix_of
from pipelines.access.authenticate import InvalidCredentials, check_password
from pipelines.access.passwords import hash_password
from pipelines.access.permissions import KeyScope
from pipelines.access.rate_policies import Rule, Subject
from pipelines.access.use_key import find_key
from pipelines.access.users import NewUser, add_user
from pipelines.audit.chain import canonical_sql
from pipelines.audit.seal import seal
from pipelines.audit.witness import witness_key
from tests.bench.line import Line
from tests.chaos.stand import Stand
from tests.seeding import ACTOR, Seeded
from web.rate_windows import RedisWindows

ENTRIES = 100_000
TRIES = 200
READS = 1_000

_WRITE = """
INSERT INTO audit_entries (id, at, agency_id, client_id, actor_id, action, object_kind, object_id,
                           detail)
SELECT gen_random_uuid(), now() - make_interval(hours => 1), %(agency)s, %(client)s, %(actor)s,
       'campaign.changed', 'campaign', gen_random_uuid(),
       jsonb_build_object('name', jsonb_build_array('old', 'new ' || n))
FROM generate_series(1, %(count)s) n
"""
_READ = "SELECT id FROM jobs WHERE id = %s"


def guard_lines(ground: Stand, seeded: Seeded, connection: psycopg.Connection) -> list[Line]:
    return [
        *_audit_lines(ground, seeded, connection),
        _limit_line(ground),
        _scope_line(ground, seeded, connection),
        _told(
            "sign-in: a wrong password of somebody beside one of nobody, ms",
            *_at_the_door(ground, seeded),
        ),
        _told(
            "API key: a wrong secret of a key beside an unknown key, ms",
            *_with_keys(ground, seeded),
        ),
    ]


def _audit_lines(ground: Stand, seeded: Seeded, connection: psycopg.Connection) -> list[Line]:
    connection.execute(
        _WRITE,
        {
            "agency": seeded.agency_id,
            "client": seeded.client_id,
            "actor": ACTOR,
            "count": ENTRIES,
        },
    )
    began = time.monotonic()
    sealed = _seal_all(ground)
    sealing = time.monotonic() - began
    began = time.monotonic()
    chains = verify_audit_at(
        ground.environment["DATABASE_READONLY_URL"],
        key=witness_key(ground.house.settings.keyring),
    )
    verifying = time.monotonic() - began
    if chains.broken:
        raise AssertionError(f"the chain is broken: {chains.broken[:1]}")
    bare = _hash_bare(connection)
    return [
        Line(f"seal {sealed:,} audit entries", sealed / sealing, None, "beside the work it tells"),
        Line(
            f"verify {sealed:,} audit entries",
            sealed / verifying,
            sealed / bare,
            "limit: read the same text and hash it",
        ),
    ]


def _seal_all(ground: Stand) -> int:
    sealed, is_full = 0, True
    while is_full:
        with scoped_transaction(ground.house.sessions, SYSTEM) as session:
            done = seal(session)
        sealed, is_full = sealed + done.entries, done.is_full
    return sealed


def _hash_bare(connection: psycopg.Connection) -> float:
    began = time.monotonic()
    before = b""
    with connection.transaction(), connection.cursor("entries") as cursor:
        cursor.itersize = 5_000
        cursor.execute(f"SELECT {canonical_sql('e')} FROM audit_entries e ORDER BY sequence")  # type: ignore[call-overload]
        for (text,) in cursor:
            before = hashlib.sha256(before + text.encode()).digest()
    return time.monotonic() - began


def _limit_line(ground: Stand) -> Line:
    windows = RedisWindows(ground.servers.redis_url)
    rule = Rule("bench", Subject.ACCOUNT, quota=10**6, seconds=3600)
    taken = _milliseconds(windows.hit, ((rule, "bench") for _ in range(READS)))
    return Line("count one request against one rule, ms", statistics.median(taken), None, _p(taken))


def _scope_line(ground: Stand, seeded: Seeded, connection: psycopg.Connection) -> Line:
    def scoped(_number: int) -> None:
        with scoped_transaction(ground.house.sessions, client(seeded.client_id)) as session:
            session.connection().exec_driver_sql(_READ, (seeded.client_id,)).all()

    def bare(_number: int) -> None:
        with connection.transaction():
            connection.execute(_READ, [seeded.client_id]).fetchall()

    ours = _milliseconds(scoped, ((n,) for n in range(READS)))
    limit = _milliseconds(bare, ((n,) for n in range(READS)))
    return Line(
        "one look-up in a transaction with a scope, per second",
        1000 / statistics.median(ours),
        1000 / statistics.median(limit),
        "limit: psycopg as superuser, no role, no policy",
    )


def _at_the_door(ground: Stand, seeded: Seeded) -> tuple[list[float], list[float]]:
    """Each address once, taking turns: nobody comes near a lockout."""
    hashed = hash_password(secrets.token_urlsafe(16))
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        for number in range(TRIES):
            person = NewUser(
                f"known{number}@example.com",
                "",
                Role.CLIENT_VIEWER,
                agency_id=seeded.agency_id,
                client_id=seeded.client_id,
            )
            add_user(session, person, password_hash=hashed, actor_id=None)

    def asked(name: str) -> None:
        try:
            check_password(ground.house.sessions, f"{name}@example.com", "not the right password")
        except InvalidCredentials:
            return
        raise AssertionError("a wrong password was right")

    return _in_turn(asked, lambda n: f"known{n}", lambda n: f"nobody{n}")


def _with_keys(ground: Stand, seeded: Seeded) -> tuple[list[float], list[float]]:
    drawn = draw_key(is_live=False)
    asked_for = NewKey("bench", seeded.client_id, (KeyScope.JOBS_READ,))
    with scoped_transaction(ground.house.sessions, SYSTEM) as session:
        make_key(session, drawn, asked_for, actor_id=ACTOR, now=clock.now(session))

    def asked(text: str) -> None:
        with scoped_transaction(ground.house.sessions, SYSTEM) as session:
            if find_key(session, text, address=None, now=clock.now(session)) is not None:
                raise AssertionError("a wrong key was right")

    def wrong(_number: int) -> str:
        other, kept = draw_key(is_live=False).text, prefix_of(drawn.text)
        return kept + other[len(kept) :]

    return _in_turn(asked, wrong, lambda _n: draw_key(is_live=False).text)


def _in_turn(
    asked: Callable[[str], None], hit: Callable[[int], str], miss: Callable[[int], str]
) -> tuple[list[float], list[float]]:
    """The two kinds one after the other, so that what else the machine does meets both."""
    hits, misses = [], []
    for number in range(TRIES):
        hits += _milliseconds(asked, [(hit(number),)])
        misses += _milliseconds(asked, [(miss(number),)])
    return hits, misses


def _told(work: str, hits: list[float], misses: list[float]) -> Line:
    """A ratio of one tells nothing."""
    note = f"hit {_p(hits)}; miss {_p(misses)}"
    return Line(work, statistics.median(hits), statistics.median(misses), note)


def _milliseconds(act: Callable[..., object], given: Iterable[tuple[object, ...]]) -> list[float]:
    taken = []
    for arguments in given:
        began = time.perf_counter()
        act(*arguments)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _p(taken: list[float]) -> str:
    ordered = sorted(taken)
    return f"p50 {statistics.median(ordered):.2f}, p99 {ordered[int(len(ordered) * 0.99)]:.2f} ms"
