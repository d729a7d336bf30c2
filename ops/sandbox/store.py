"""Keep the sandbox's state in one SQLite file, or in memory, behind one lock."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    transaction_id INTEGER PRIMARY KEY AUTOINCREMENT,
    vendor TEXT NOT NULL,
    reference TEXT,
    folded_reference TEXT,
    status TEXT NOT NULL,
    settles_at REAL,
    settles_to TEXT,
    unit_price TEXT NOT NULL,
    cost INTEGER NOT NULL,
    balance_before INTEGER NOT NULL,
    created_at REAL NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_reference ON orders (vendor, folded_reference);
CREATE INDEX IF NOT EXISTS orders_listed ON orders (vendor);
CREATE INDEX IF NOT EXISTS orders_open ON orders (vendor, settles_at) WHERE settles_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS orders_unpaid ON orders (vendor) WHERE status = 'AWAITING_FUNDS';
CREATE TABLE IF NOT EXISTS cards (
    card_id INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL,
    number TEXT NOT NULL UNIQUE,
    pin TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS cards_transaction ON cards (transaction_id);
CREATE TABLE IF NOT EXISTS balances (vendor TEXT PRIMARY KEY, amount INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, vendor TEXT NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
    vendor TEXT NOT NULL, endpoint TEXT NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (vendor, endpoint)
);
CREATE TABLE IF NOT EXISTS mails (
    mail_id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    content BLOB NOT NULL,
    received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_recipient ON mails (recipient);
CREATE TABLE IF NOT EXISTS messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL,
    account TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    body TEXT NOT NULL,
    callback TEXT,
    error TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient);
CREATE TABLE IF NOT EXISTS stripe_objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    payment TEXT,
    ends_at INTEGER,
    facts TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS stripe_listed ON stripe_objects (kind, number);
CREATE INDEX IF NOT EXISTS stripe_paid ON stripe_objects (payment) WHERE payment IS NOT NULL;
CREATE INDEX IF NOT EXISTS stripe_ending ON stripe_objects (ends_at) WHERE ends_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS stripe_answers (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    saved_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS stripe_deliveries (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS stripe_delivered ON stripe_deliveries (event);
CREATE INDEX IF NOT EXISTS stripe_due ON stripe_deliveries (state, due_at);
CREATE TABLE IF NOT EXISTS stripe_attempts (
    attempt_id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    url TEXT NOT NULL,
    signature TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    at REAL NOT NULL
);
"""

#: What a reset empties.
FORGOTTEN = (
    "orders",
    "cards",
    "balances",
    "calls",
    "mails",
    "messages",
    "stripe_objects",
    "stripe_answers",
    "stripe_deliveries",
    "stripe_attempts",
)


class Store:
    """One connection shared by all threads; each transaction holds the lock from start to end."""

    def __init__(self, path: str | None = None) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(SCHEMA)
        self._open_numbering()

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock, and let each statement commit itself: the cheap way for one of them."""
        with self._lock:
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def clear(self) -> None:
        """Forget trade, counts, mails and messages. Tokens stay valid and transaction ids are never reused."""
        with self.transaction() as connection:
            for table in FORGOTTEN:
                connection.execute(f"DELETE FROM {table}")

    def count_call(self, vendor: str, endpoint: str) -> None:
        with self.alone() as connection:
            connection.execute(
                "INSERT INTO calls VALUES (?, ?, 1)"
                " ON CONFLICT (vendor, endpoint) DO UPDATE SET calls = calls + 1",
                (vendor, endpoint),
            )

    def calls(self, vendor: str) -> dict[str, int]:
        with self.alone() as connection:
            rows = connection.execute(
                "SELECT endpoint, calls FROM calls WHERE vendor = ? ORDER BY endpoint", (vendor,)
            )
            return {row["endpoint"]: row["calls"] for row in rows}

    def add_token(self, vendor: str, token: str, expires_at: float) -> None:
        with self.alone() as connection:
            connection.execute("INSERT INTO tokens VALUES (?, ?, ?)", (token, vendor, expires_at))

    def token_expiry(self, vendor: str, token: str) -> float | None:
        with self.alone() as connection:
            row = connection.execute(
                "SELECT expires_at FROM tokens WHERE token = ? AND vendor = ?", (token, vendor)
            ).fetchone()
        return None if row is None else float(row["expires_at"])

    def newest_token(self, vendor: str) -> float:
        """When the vendor's latest token ends; 0 without one."""
        with self.alone() as connection:
            latest = "SELECT coalesce(max(expires_at), 0) FROM tokens WHERE vendor = ?"
            return float(connection.execute(latest, (vendor,)).fetchone()[0])

    def revoke_tokens(self, vendor: str) -> int:
        with self.alone() as connection:
            return connection.execute("DELETE FROM tokens WHERE vendor = ?", (vendor,)).rowcount

    def _open_numbering(self) -> None:
        """Start transaction ids at the clock, so that a sandbox without a file repeats none."""
        with self.transaction() as connection:
            named = "SELECT count(*) FROM sqlite_sequence WHERE name = 'orders'"
            if connection.execute(named).fetchone()[0] == 0:
                connection.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES ('orders', ?)",
                    (int(time.time() * 1000),),
                )
