"""One vendor's orders, cards and account, with nothing of any vendor's wire format."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from sqlite3 import Connection, Row
from typing import Any

from ops.sandbox.store import Store
from ops.sandbox.wire import read_json, write_json

SUCCESSFUL = "SUCCESSFUL"
REFUNDED = "REFUNDED"
#: Taken without money; paid, oldest first, as soon as the account covers it.
AWAITING_FUNDS = "AWAITING_FUNDS"

#: Account amounts are whole numbers of this many parts of the account's currency unit.
PARTS = 100_000


class AccountEmpty(Exception):
    """The vendor's account does not cover the order."""


@dataclass(frozen=True, slots=True)
class Card:
    number: str
    pin: str


@dataclass(frozen=True, slots=True)
class Ending:
    """An order's state now and, when it is still open, what it becomes and when."""

    status: str = SUCCESSFUL
    settles_at: float | None = None
    settles_to: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    reference: str | None
    unit_price: Decimal
    cost: int
    facts: Mapping[str, Any]
    cards: Sequence[Card]
    ending: Ending = field(default_factory=Ending)
    #: Whether the vendor takes the order when the account is short, and waits for money.
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    transaction_id: int
    reference: str | None
    status: str
    cost: int
    balance_before: int
    created_at: float
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """What a report asks for; `conditions` compare members of the facts by JSON path."""

    reference: str | None = None
    status: str | None = None
    created_from: float | None = None
    created_to: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)


class OrderBook:
    """What a vendor knows; each verb is one transaction, none spans two of them."""

    def __init__(self, store: Store, vendor: str, *, opening_balance: Decimal) -> None:
        self._store = store
        self._vendor = vendor
        self._opening_balance = in_parts(opening_balance)

    def holds_reference(self, reference: str) -> bool:
        """Say whether an order with exactly this reference was executed."""
        with self._store.alone() as connection:
            row = connection.execute(
                "SELECT 1 FROM orders"
                " WHERE vendor = ? AND folded_reference = ? AND reference = ? LIMIT 1",
                (self._vendor, reference.casefold(), reference),
            ).fetchone()
        return row is not None

    def place(self, new: NewOrder) -> Order:
        """Debit the account and keep the order; whether the reference is used is not asked."""
        now = time.time()
        with self._store.transaction() as connection:
            balance = self._settled_balance(connection, now)
            is_short = balance < new.cost
            if is_short and not new.may_wait:
                raise AccountEmpty
            if is_short:
                new = replace(new, ending=Ending(AWAITING_FUNDS))
            elif new.ending.status != REFUNDED:
                self._set_balance(connection, balance - new.cost)
            transaction_id = self._insert(connection, new, balance, now)
        return Order(
            transaction_id,
            new.reference,
            new.ending.status,
            new.cost,
            balance,
            now,
            new.facts,
        )

    def order(self, transaction_id: int) -> Order | None:
        with self._store.transaction() as connection:
            self._settled_balance(connection, time.time())
            row = connection.execute(
                "SELECT * FROM orders WHERE vendor = ? AND transaction_id = ?",
                (self._vendor, transaction_id),
            ).fetchone()
        return None if row is None else _order(row)

    def order_of(self, reference: str) -> Order | None:
        """The newest order with exactly this reference."""
        _total, orders = self.search(Search(reference=reference), limit=100, offset=0)
        return next((order for order in orders if order.reference == reference), None)

    def search(self, wanted: Search, *, limit: int, offset: int) -> tuple[int, list[Order]]:
        """Newest first; references are compared without regard to case."""
        where, values = self._where(wanted)
        with self._store.transaction() as connection:
            self._settled_balance(connection, time.time())
            total = connection.execute(f"SELECT count(*) FROM orders WHERE {where}", values)
            count = int(total.fetchone()[0])
            rows = connection.execute(
                f"SELECT * FROM orders WHERE {where} ORDER BY transaction_id DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return count, [_order(row) for row in rows]

    def cards(self, transaction_id: int) -> list[Card]:
        with self._store.alone() as connection:
            rows = connection.execute(
                "SELECT number, pin FROM cards WHERE transaction_id = ? ORDER BY card_id",
                (transaction_id,),
            )
            return [Card(row["number"], row["pin"]) for row in rows]

    def exchange_card(self, transaction_id: int, card: Card) -> None:
        """Put another key to an order's one card in place of the first; it stays one card."""
        with self._store.alone() as connection:
            connection.execute(
                "UPDATE cards SET number = ?, pin = ? WHERE transaction_id = ?",
                (card.number, card.pin, transaction_id),
            )

    def balance(self) -> Decimal:
        with self._store.transaction() as connection:
            return from_parts(self._settled_balance(connection, time.time()))

    def set_balance(self, amount: Decimal) -> None:
        with self._store.transaction() as connection:
            self._settled_balance(connection, time.time())
            self._set_balance(connection, in_parts(amount))

    def listing(self, *, limit: int, offset: int) -> dict[str, Any]:
        """Tell a test every order, oldest first."""
        with self._store.transaction() as connection:
            self._settled_balance(connection, time.time())
            total = connection.execute(
                "SELECT count(*) FROM orders WHERE vendor = ?", (self._vendor,)
            ).fetchone()[0]
            rows = connection.execute(
                "SELECT transaction_id, reference, status, unit_price, created_at FROM orders"
                " WHERE vendor = ? ORDER BY transaction_id LIMIT ? OFFSET ?",
                (self._vendor, limit, offset),
            ).fetchall()
        return {"total": total, "orders": [dict(row) for row in rows]}

    def summary(self) -> dict[str, Any]:
        """Tell a test the counts it compares exactly; a duplicate is a reference paid for twice."""
        with self._store.transaction() as connection:
            self._settled_balance(connection, time.time())
            counts = connection.execute(
                "SELECT count(*) AS orders_total,"
                " count(*) FILTER (WHERE status = 'SUCCESSFUL') AS orders_successful,"
                " count(DISTINCT reference) AS distinct_references"
                " FROM orders WHERE vendor = ?",
                (self._vendor,),
            ).fetchone()
            duplicates = connection.execute(
                "SELECT reference FROM orders"
                " WHERE vendor = ? AND status = 'SUCCESSFUL' AND reference IS NOT NULL"
                " GROUP BY reference HAVING count(*) > 1 ORDER BY reference",
                (self._vendor,),
            ).fetchall()
            cards = connection.execute(
                "SELECT count(*) FROM cards JOIN orders USING (transaction_id)"
                " WHERE vendor = ? AND status = 'SUCCESSFUL'",
                (self._vendor,),
            ).fetchone()[0]
        return {
            **dict(counts),
            "duplicates": [row["reference"] for row in duplicates],
            "cards_total": cards,
        }

    def _where(self, wanted: Search) -> tuple[str, list[Any]]:
        terms: list[tuple[str, Any]] = [("vendor = ?", self._vendor)]
        if wanted.reference is not None:
            terms.append(("folded_reference = ?", wanted.reference.casefold()))
        if wanted.status is not None:
            terms.append(("status = ?", wanted.status))
        if wanted.created_from is not None:
            terms.append(("created_at >= ?", wanted.created_from))
        if wanted.created_to is not None:
            terms.append(("created_at <= ?", wanted.created_to))
        clauses = [clause for clause, _ in terms]
        values = [value for _, value in terms]
        for path, value in wanted.conditions.items():
            clauses.append("json_extract(facts, ?) = ?")
            values += [path, value]
        return " AND ".join(clauses), values

    def _insert(self, connection: Connection, new: NewOrder, balance: int, now: float) -> int:
        folded = None if new.reference is None else new.reference.casefold()
        transaction_id = connection.execute(
            "INSERT INTO orders (vendor, reference, folded_reference, status, settles_at,"
            " settles_to, unit_price, cost, balance_before, created_at, facts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._vendor,
                new.reference,
                folded,
                new.ending.status,
                new.ending.settles_at,
                new.ending.settles_to,
                f"{new.unit_price:f}",
                new.cost,
                balance,
                now,
                write_json(new.facts),
            ),
        ).lastrowid
        assert transaction_id is not None, "an insert into a rowid table has a row id"
        connection.executemany(
            "INSERT INTO cards (transaction_id, number, pin) VALUES (?, ?, ?)",
            [(transaction_id, card.number, card.pin) for card in new.cards],
        )
        return transaction_id

    def _settled_balance(self, connection: Connection, now: float) -> int:
        """Close the orders whose time has come, give refunds back, pay what waits for money, and
        return the balance."""
        row = connection.execute(
            "SELECT amount FROM balances WHERE vendor = ?", (self._vendor,)
        ).fetchone()
        balance = self._opening_balance if row is None else int(row["amount"])
        settled = connection.execute(
            "UPDATE orders SET status = settles_to, settles_at = NULL, settles_to = NULL"
            " WHERE vendor = ? AND settles_at <= ? RETURNING status, cost",
            (self._vendor, now),
        ).fetchall()
        refunds = sum(int(row["cost"]) for row in settled if row["status"] == REFUNDED)
        left = balance + refunds - self._paid(connection, balance + refunds)
        if left != balance:
            self._set_balance(connection, left)
        return left

    def _paid(self, connection: Connection, balance: int) -> int:
        """What the orders cost that waited for money and can be paid now."""
        waiting = connection.execute(
            "SELECT transaction_id, cost FROM orders"
            " WHERE status = 'AWAITING_FUNDS' AND settles_at IS NULL AND vendor = ?"
            " ORDER BY transaction_id",
            (self._vendor,),
        ).fetchall()
        paid = 0
        for order in waiting:
            cost = int(order["cost"])
            if paid + cost > balance:
                break
            paid += cost
            connection.execute(
                "UPDATE orders SET status = ? WHERE transaction_id = ?",
                (SUCCESSFUL, order["transaction_id"]),
            )
        return paid

    def _set_balance(self, connection: Connection, amount: int) -> None:
        connection.execute(
            "INSERT INTO balances VALUES (?, ?)"
            " ON CONFLICT (vendor) DO UPDATE SET amount = excluded.amount",
            (self._vendor, amount),
        )


def in_parts(amount: Decimal) -> int:
    return int((amount * PARTS).to_integral_value())


def from_parts(amount: int) -> Decimal:
    return Decimal(amount) / PARTS


def _order(row: Row) -> Order:
    return Order(
        row["transaction_id"],
        row["reference"],
        row["status"],
        row["cost"],
        row["balance_before"],
        row["created_at"],
        read_json(row["facts"]),
    )
