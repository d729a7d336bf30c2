"""Keep Stripe's objects as it shows them: a session, a payment, an event, each under its id."""

import json
import secrets
import sqlite3
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.sandbox.stripe_switches import Switches

Facts = dict[str, Any]

#: What an object is -> how its id begins.
HEADS: Mapping[str, str] = {
    "checkout.session": "cs_test_",
    "payment_intent": "pi_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "du_",
    "event": "evt_",
    "webhook_endpoint": "we_",
    "item": "li_",
    "price": "price_",
    "request": "req_",
    "payment_method": "pm_",
}
_LETTERS = string.ascii_letters + string.digits
_ID_CHARACTERS = 24
_SESSION_CHARACTERS = 58


def new_id(kind: str) -> str:
    length = _SESSION_CHARACTERS if kind == "checkout.session" else _ID_CHARACTERS
    return HEADS[kind] + "".join(secrets.choice(_LETTERS) for _ in range(length))


def shown(facts: Facts) -> Facts:
    """What clients may see: all but the sandbox's own notes, which begin with `_`."""
    return {name: value for name, value in facts.items() if not name.startswith("_")}


class Objects:
    """The objects of the account, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def add(self, facts: Facts, *, payment: str | None = None, ends_at: int | None = None) -> Facts:
        row = (facts["id"], facts["object"], facts["created"], payment, ends_at, json.dumps(facts))
        self.connection.execute(
            "INSERT INTO stripe_objects (id, kind, created, payment, ends_at, facts)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        return facts

    def put(self, facts: Facts, *, payment: str | None = None, is_ended: bool = False) -> Facts:
        """Write an object anew; it is told its payment once, and that it waits for no end."""
        self.connection.execute(
            "UPDATE stripe_objects SET facts = ?, payment = coalesce(?, payment),"
            " ends_at = CASE WHEN ? THEN NULL ELSE ends_at END WHERE id = ?",
            (json.dumps(facts), payment, is_ended, facts["id"]),
        )
        return facts

    def get(self, kind: str, identity: str) -> Facts | None:
        row = self.connection.execute(
            "SELECT facts FROM stripe_objects WHERE id = ? AND kind = ?", (identity, kind)
        ).fetchone()
        return None if row is None else dict(json.loads(row["facts"]))

    def remove(self, identity: str) -> None:
        self.connection.execute("DELETE FROM stripe_objects WHERE id = ?", (identity,))

    def of_payment(self, kind: str, payment: str) -> list[Facts]:
        """The objects that belong to a payment, the oldest first."""
        rows = self.connection.execute(
            "SELECT facts FROM stripe_objects WHERE payment = ? AND kind = ? ORDER BY number",
            (payment, kind),
        )
        return [json.loads(row["facts"]) for row in rows]

    def ended(self, now: int) -> list[Facts]:
        """What should have ended by now and has not."""
        rows = self.connection.execute(
            "SELECT facts FROM stripe_objects WHERE ends_at IS NOT NULL AND ends_at <= ?"
            " ORDER BY number",
            (now,),
        )
        return [json.loads(row["facts"]) for row in rows.fetchall()]

    def newest(self, kind: str) -> Iterator[Facts]:
        rows = self.connection.execute(
            "SELECT facts FROM stripe_objects WHERE kind = ? ORDER BY number DESC", (kind,)
        )
        return (json.loads(row["facts"]) for row in rows)


@dataclass(slots=True)
class Moment:
    """One change of the account: all its objects and events are written together, or none."""

    objects: Objects
    now: int
    #: Events go out at once (`on`), wait to be released (`held`) or are never sent (`off`).
    delivery: str = "on"
    #: The call that changes something, as its events tell it.
    cause: Facts = field(default_factory=lambda: {"id": None, "idempotency_key": None})
    #: Whether there may be something to deliver now.
    is_stirring: bool = False
    switches: Switches = field(default_factory=Switches)
