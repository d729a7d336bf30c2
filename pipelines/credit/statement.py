"""The statement of a credit account: from an opening balance, movement by movement, to a closing one.

Movements of one account are numbered in the order of their commits, because each holds the
account's lock; so a statement that ends at a number says the same however long it is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.errors import NotFound
from pipelines.jobs.csv_writer import csv_blocks

COLUMNS = (
    "time_utc",
    "kind",
    "from",
    "to",
    "in_minor",
    "out_minor",
    "balance_minor",
    "currency",
    "transfer_id",
    "job_id",
    "note",
)
PAGE_ROWS = 2_000
#: What stands for the other side where it is out of the reader's sight.
ABOVE, SPENT, OUTSIDE = "Account above", "Cards issued", "Outside"

_FRAME = text("""
SELECT a.id, a.currency, a.held,
    (SELECT coalesce(sum(r.claimed - r.taken - r.written_off), 0) FROM receivables r
     WHERE r.account_id = a.id AND r.settled_at IS NULL) AS owed,
    (SELECT coalesce(sum(p.amount), 0) FROM postings p
     WHERE p.account_id = a.id AND p.created_at < :since) AS opening,
    m.first_id, m.last_id, m.movements, m.came_in, m.went_out
FROM accounts a CROSS JOIN LATERAL (
    SELECT min(p.id) AS first_id, max(p.id) AS last_id, count(*) AS movements,
        coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0) AS came_in,
        coalesce(-sum(p.amount) FILTER (WHERE p.amount < 0), 0) AS went_out
    FROM postings p
    WHERE p.account_id = a.id AND p.created_at >= :since AND p.created_at < :until) m
WHERE a.id = :account AND a.kind = 'credit'
""")
_UP_TO = text("""
SELECT coalesce(sum(amount), 0) FROM postings
WHERE account_id = :account AND created_at >= :since AND created_at < :until AND id <= :after
""")
_PAGE = text("""
SELECT p.id, p.transfer_id, p.amount, p.created_at, t.kind, t.notes, t.job_id, t.actor_id,
    coalesce(c.name, l.name, g.name, CASE a.tier WHEN 'platform' THEN 'Platform' END) AS own,
    o.account_id AS other_id, oa.kind AS other_kind,
    coalesce(oc.name, ol.name, og.name, CASE oa.tier WHEN 'platform' THEN 'Platform' END) AS other
FROM postings p JOIN accounts a ON a.id = p.account_id
LEFT JOIN transfers t ON t.id = p.transfer_id
LEFT JOIN postings o ON o.transfer_id = p.transfer_id AND o.account_id <> p.account_id
LEFT JOIN accounts oa ON oa.id = o.account_id
LEFT JOIN campaigns c ON c.id = a.owner_id
LEFT JOIN clients l ON l.id = a.owner_id
LEFT JOIN agencies g ON g.id = a.owner_id
LEFT JOIN campaigns oc ON oc.id = oa.owner_id
LEFT JOIN clients ol ON ol.id = oa.owner_id
LEFT JOIN agencies og ON og.id = oa.owner_id
WHERE p.account_id = :account AND p.id > :after AND p.id <= :last
  AND p.created_at >= :since AND p.created_at < :until
ORDER BY p.id LIMIT :limit
""")
_DAYS = text("""
SELECT day, sum(moved) OVER (ORDER BY day) AS moved FROM (
    SELECT date_trunc('day', created_at, 'UTC') AS day, sum(amount) AS moved FROM postings
    WHERE account_id = :account AND created_at >= :since AND created_at < :until
    GROUP BY 1) d
ORDER BY day
""")
_BEFORE = text("""
SELECT coalesce(sum(amount), 0) FROM postings WHERE account_id = :account AND created_at < :since
""")


@dataclass(frozen=True, slots=True)
class Statement:
    """The frame of a statement from `since` to before `until`; amounts in minor units."""

    account_id: UUID
    currency: str
    since: datetime
    until: datetime
    opening: int
    came_in: int
    went_out: int
    movements: int
    held_now: int
    owed_now: int
    first_id: int
    last_id: int

    @property
    def closing(self) -> int:
        return self.opening + self.came_in - self.went_out

    @property
    def period(self) -> dict[str, Any]:
        return {"account": self.account_id, "since": self.since, "until": self.until}


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement with the balance after it; negative where credit left the account."""

    id: int
    transfer_id: UUID
    kind: str
    source: str
    target: str
    amount: int
    balance: int
    notes: str
    job_id: UUID | None
    actor_id: UUID | None
    at: datetime


def statement(
    session: Session, account_id: UUID, *, since: datetime | None, until: datetime
) -> Statement:
    """What frames the movements of an account in a time; `NotFound` out of this scope's sight."""
    begin = since or datetime.fromtimestamp(0, UTC)
    values = {"account": account_id, "since": begin, "until": until}
    row = session.execute(_FRAME, values).one_or_none()
    if row is None:
        raise NotFound
    return Statement(
        account_id=row.id,
        currency=row.currency,
        since=begin,
        until=until,
        opening=int(row.opening),
        came_in=int(row.came_in),
        went_out=int(row.went_out),
        movements=row.movements,
        held_now=row.held,
        owed_now=int(row.owed),
        first_id=row.first_id or 0,
        last_id=row.last_id or 0,
    )


def movements(
    session: Session, frame: Statement, *, after: int | None, limit: int
) -> list[Movement]:
    """Movements of the statement, oldest first; `after` is the last number of the page before."""
    start = frame.first_id - 1 if after is None else after
    values = frame.period | {"after": start}
    balance = frame.opening + int(session.execute(_UP_TO, values).scalar_one())
    return list(_page(session, frame, start, limit, balance))


def daily_balances(
    session: Session, frame: Statement, *, since: datetime
) -> list[tuple[datetime, int]]:
    """The balance at the end of each day (UTC) from `since` on which credit moved."""
    values = frame.period | {"since": since}
    before = int(session.execute(_BEFORE, values).scalar_one())
    return [(row.day, before + int(row.moved)) for row in session.execute(_DAYS, values)]


def statement_csv(sessions: Sessions, scope: Scope, frame: Statement) -> Iterator[bytes]:
    """The statement as blocks of UTF-8: its opening, its movements, its closing, what is held, what is owed.

    Each page is a short transaction of its own, and memory does not grow with the movements.
    """
    return csv_blocks(COLUMNS, _rows(sessions, scope, frame))


def _rows(
    sessions: Sessions, scope: Scope, frame: Statement
) -> Iterator[Sequence[str | int | None]]:
    yield _mark(frame, frame.since, "opening balance", frame.opening)
    after, balance = frame.first_id - 1, frame.opening
    while True:
        with scoped_transaction(sessions, scope) as session:
            page = list(_page(session, frame, after, PAGE_ROWS, balance))
        if not page:
            break
        yield from (_cells(frame, one) for one in page)
        after, balance = page[-1].id, page[-1].balance
    yield _mark(frame, frame.until, "closing balance", frame.closing)
    yield _mark(frame, frame.until, "held by jobs now", frame.held_now)
    if frame.owed_now:
        yield _mark(frame, frame.until, "owed now", frame.owed_now)


def _page(
    session: Session, frame: Statement, after: int, limit: int, balance: int
) -> Iterator[Movement]:
    values = frame.period | {"after": after, "last": frame.last_id, "limit": limit}
    for row in session.execute(_PAGE, values).all():
        balance += row.amount
        own, other = row.own or ABOVE, _other(row)
        source, target = (own, other) if row.amount < 0 else (other, own)
        yield Movement(
            id=row.id,
            transfer_id=row.transfer_id,
            kind=row.kind or "",
            source=source,
            target=target,
            amount=row.amount,
            balance=balance,
            notes=row.notes or "",
            job_id=row.job_id,
            actor_id=row.actor_id,
            at=row.created_at,
        )


def _other(row: Row[Any]) -> str:
    """Whom the movement came from or went to; a reader does not see the books above their own."""
    if row.other_kind == "spent":
        return SPENT
    if row.other_kind == "outside":
        return OUTSIDE
    return row.other or ABOVE


def _cells(frame: Statement, one: Movement) -> tuple[str | int | None, ...]:
    return (
        _utc(one.at),
        one.kind,
        one.source,
        one.target,
        max(one.amount, 0),
        max(-one.amount, 0),
        one.balance,
        frame.currency,
        str(one.transfer_id),
        str(one.job_id) if one.job_id else None,
        one.notes,
    )


def _mark(frame: Statement, at: datetime, what: str, amount: int) -> tuple[str | int | None, ...]:
    return (_utc(at), what, None, None, 0, 0, amount, frame.currency, None, None, None)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
