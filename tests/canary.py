"""Recognise every secret that tests make, and look for it wherever none may be (EC-124).

Card numbers, tokens, keys and passwords of tests carry `MARK`, PINs are `PIN`; so are the cards
and tokens of the sandbox. What is found makes the test fail that left it behind.

Not looked at, and why: the sandbox's own store, which plays the vendor and must know its cards;
answers to the caller, who is shown a key once; columns `email`, `name` and `phone` of items and
drafts, where recipients are kept in clear until retention forgets them; `pg_authid`.
"""

import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from redis import Redis, RedisError

from ops.sandbox.marks import INTEGER_MARK, MARK, PIN

#: Every signed access token begins like this.
TOKEN_HEAD = "eyJhbGciOi"
#: The keys of processes under test, as their environment has them.
PROCESS_KEYS = ("t" * 48, "c" * 32, "a2tra2tra2tra2tr")

_SECRETS = (
    re.escape(MARK),
    # A PIN by itself, not the same digits inside a UUID or a longer number.
    rf"(?<![0-9a-f.-])0?{PIN.lstrip('0')}(?![0-9a-f-])",
    INTEGER_MARK,
    TOKEN_HEAD,
    # Refresh tokens are derived and carry no mark.
    r"lgr_[\w-]{60,}",
    # So are the secrets of endpoints.
    r"whsec_[\w-]{40,}",
    *PROCESS_KEYS,
)
_PEOPLE = (r"[\w.+-]+@(?:[\w-]+\.)*example(?:\.com)?\b", r"/r/[\w-]{40,}")
#: What no row may show.
SECRET = re.compile("|".join(_SECRETS), re.IGNORECASE)
#: What neither a message nor a log line may show: people and their links neither.
PRIVATE = re.compile("|".join(_SECRETS + _PEOPLE), re.IGNORECASE)
_FIRST_LOOK = "|".join((MARK, PIN.lstrip("0"), INTEGER_MARK, TOKEN_HEAD, "lgr_", "whsec_"))
_READ_AT_ONCE = 4 * 1024 * 1024
_END = "canary-end"


def mark_tokens() -> None:
    """Let every opaque token that this process draws begin with the mark, as long as before."""
    honest = secrets.token_urlsafe

    def marked(nbytes: int | None = None) -> str:
        return MARK + honest(nbytes)[len(MARK) :]

    secrets.token_urlsafe = marked


#: Tables with their columns of words and of bytes, and whether they ever had a row.
COLUMNS = """
SELECT c.relname, array_agg(quote_ident(a.attname)) FILTER (WHERE a.atttypid <> 'bytea'::regtype),
    array_agg(quote_ident(a.attname)) FILTER (WHERE a.atttypid = 'bytea'::regtype),
    pg_relation_size(c.oid) > 0
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND (t.typcategory = 'S' OR a.atttypid IN ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype)
       OR a.atttypid IN ('text[]'::regtype, 'varchar[]'::regtype))
GROUP BY c.relname, c.oid ORDER BY c.relname
"""


def in_database(url: str) -> list[str]:
    """The tables in which a row shows a secret: one statement over every text and byte column."""
    with psycopg.connect(url, autocommit=True) as connection:
        parts = _of_tables(connection)
        statement = sql.SQL(" UNION ALL ").join(parts)
        found = _suspects(connection, statement) if parts else ()
        return [f"table {name}" for name, shown in found if shown]


def _suspects(
    connection: psycopg.Connection, statement: sql.Composed
) -> Iterator[tuple[str, bool]]:
    """The database's first look is coarse; what it finds is judged here."""
    for name, text, is_bytes in connection.execute(statement):
        yield name, is_bytes or SECRET.search(text) is not None


def _of_tables(connection: psycopg.Connection) -> list[sql.Composed]:
    return [
        _of_table(name, texts or [], raw or [])
        for name, texts, raw, was_used in connection.execute(COLUMNS)
        if was_used
    ]


def _of_table(name: str, texts: list[str], raw: list[str]) -> sql.Composed:
    text = "concat_ws(E'\\n', {})".format(", ".join(f"{c}::text" for c in texts) or "''")
    marks = [MARK, MARK.lower(), INTEGER_MARK, TOKEN_HEAD]
    looks = [f"position('{m}'::bytea IN {c}) > 0" for c in raw for m in marks]
    is_bytes = f"coalesce({' OR '.join(looks) or 'false'}, false)"
    table = sql.Identifier(name)
    return sql.SQL(
        "(SELECT {name}, t.shown, t.is_bytes FROM (SELECT "
        + text
        + " AS shown, "
        + is_bytes
        + " AS is_bytes FROM {table}) t WHERE t.is_bytes OR t.shown ~* {look})"
    ).format(name=sql.Literal(name), table=table, look=sql.Literal(_FIRST_LOOK))


def in_text(where: str, text: str) -> list[str]:
    """Where a text that was written down shows something private."""
    found = PRIVATE.search(text)
    return [f"{where}, at {found.start()}"] if found else []


def in_logs(folder: Path) -> list[str]:
    """The log files of a stack that show something private."""
    return [hit for path in sorted(folder.glob("*.log*")) for hit in _in_file(path)]


def _in_file(path: Path) -> Iterable[str]:
    with path.open(errors="replace") as file:
        while lines := file.readlines(_READ_AT_ONCE):
            for line in lines:
                yield from in_text(f"log {path.name}", line)


def in_redis(url: str) -> list[str]:
    """The keys of the message store whose names or values show something private."""
    with Redis.from_url(url) as client:
        return [
            hit
            for key in client.scan_iter(count=1000)
            for hit in in_text(f"key {key!r}", f"{key!r} {_held(client, key)!r}")
        ]


def _held(client: Redis, key: bytes) -> object:
    """A key's content as it was written: a dump may be compressed."""
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"stream":
            return client.xrange(key)
        case _:
            return client.get(key)


class Wire(threading.Thread):
    """Listens to every command that the message store is given, until `leaks` is asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._hears = threading.Event()
        self._found: list[str] = []
        self.commands = 0
        self.start()
        self._hears.wait(timeout=30)

    def run(self) -> None:
        try:
            # However long nobody says anything.
            patient = Redis.from_url(self._url, socket_timeout=None)
            with patient as client, client.monitor() as monitor:
                self._hears.set()
                for heard in monitor.listen():
                    command = heard["command"]
                    if command == f"ECHO {_END}":
                        return
                    self.commands += 1
                    self._found += in_text(f"command {self.commands}", command)
        except RedisError as fault:
            self._found.append(f"unknown: the wire was cut ({type(fault).__name__})")
            self._hears.set()

    def leaks(self) -> list[str]:
        """What was private among the commands so far; it listens no longer."""
        if self.is_alive():
            with Redis.from_url(self._url) as client:
                client.echo(_END)
            self.join(timeout=30)
        return self._found


def refuse(found: list[str]) -> None:
    """Fail where a secret was left; the secret itself is not shown."""
    assert not found, words(found)


def words(found: list[str]) -> str:
    """Say where."""
    return "a secret stands in clear: " + "; ".join(sorted(set(found))[:10])
