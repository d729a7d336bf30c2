"""Who a customer is, by everything that says so: any match counts (EC-014, EC-051, EC-052).

Kept are indexes that nobody reads back, of one client each: the same address at another client has
another one. They outlive the erasure of a person, so that a second first purchase is none.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.access.users import UserNotFound, normalised

#: Whose mailboxes ignore dots, and what follows a plus, of the part before the @.
ALIASING = frozenset({"gmail.com", "googlemail.com"})
#: Whose mailboxes ignore what follows a plus alone.
TAGGING = frozenset(
    {"outlook.com", "hotmail.com", "live.com", "icloud.com", "me.com", "fastmail.com"}
)

# Each by what was said, with an index of its own: whoever is found twice is one row.
_KNOWN = text("""
WITH said AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:users AS uuid[]), CAST(:emails AS text[]),
        CAST(:external_ids AS text[])) WITH ORDINALITY AS n (user_id, email, external_id, place))
SELECT s.place, c.user_id, c.email_normalised, c.external_id
FROM said s JOIN client_users c ON c.client_id = :client AND c.user_id = s.user_id
UNION
SELECT s.place, c.user_id, c.email_normalised, c.external_id
FROM said s JOIN client_users c ON c.client_id = :client AND c.email_normalised = s.email
UNION
SELECT s.place, c.user_id, c.email_normalised, c.external_id
FROM said s JOIN client_users c ON c.client_id = :client AND c.external_id = s.external_id
""")


@dataclass(frozen=True, slots=True)
class Customer:
    """As a storefront names somebody: by at least one of these."""

    user_id: UUID | None = None
    email: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """The indexes of a customer in ascending order, and who it is if the client knows them."""

    keys: tuple[bytes, ...]
    user_id: UUID | None


def known_customer(
    session: Session, client_id: UUID, customer: Customer, secret: bytes
) -> KnownCustomer:
    """Whoever the client knows is counted by all that it knows of them; a guest by what was said.

    Raises `UserNotFound` for an id of nobody whom the client knows.
    """
    (known,) = known_customers(session, client_id, [customer], secret)
    if known is None:
        raise UserNotFound
    return known


def known_customers(
    session: Session, client_id: UUID, customers: Sequence[Customer], secret: bytes
) -> list[KnownCustomer | None]:
    """As `known_customer`, many at once and in their order; None for an id of nobody."""
    values = {
        "client": client_id,
        "users": [one.user_id for one in customers],
        "emails": [None if one.email is None else normalised(one.email) for one in customers],
        "external_ids": [one.external_id for one in customers],
    }
    people: dict[int, list[Row[Any]]] = {}
    for row in session.execute(_KNOWN, values):
        people.setdefault(row.place, []).append(row)
    return [
        _known(one, people.get(place, []), client_id, secret)
        for place, one in enumerate(customers, 1)
    ]


def is_for(
    assignee_keys: Sequence[bytes] | None,
    assigned_user_id: UUID | None,
    customer: KnownCustomer | None,
) -> bool:
    """Whether a code is this customer's: one without an assignee is everybody's (EC-017).

    Whoever is nobody in particular is no assignee.
    """
    if assignee_keys is None:
        return True
    if customer is None:
        return False
    is_the_user = customer.user_id is not None and customer.user_id == assigned_user_id
    return is_the_user or not set(assignee_keys).isdisjoint(customer.keys)


def _known(
    customer: Customer, people: Sequence[Row[Any]], client_id: UUID, secret: bytes
) -> KnownCustomer | None:
    if customer.user_id is not None and customer.user_id not in {row.user_id for row in people}:
        return None
    said = set(_names(customer.user_id, customer.email, customer.external_id))
    for row in people:
        said.update(_names(row.user_id, row.email_normalised, row.external_id))
    user_id = customer.user_id or (people[0].user_id if len(people) == 1 else None)
    return KnownCustomer(tuple(sorted(_key(name, client_id, secret) for name in said)), user_id)


def names_of(customer: Customer) -> Iterator[str]:
    """What was said of a customer, each in its one form."""
    return _names(customer.user_id, customer.email, customer.external_id)


def one_mailbox(email: str) -> str:
    """The address by which a mailbox is one, however it is written."""
    address = normalised(email)
    local, at, domain = address.rpartition("@")
    if domain in ALIASING | TAGGING:
        local = local.partition("+")[0]
    if domain in ALIASING:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}{at}{domain}"


def _names(user_id: UUID | None, email: str | None, external_id: str | None) -> Iterator[str]:
    if user_id is not None:
        yield f"user:{user_id}"
    if email is not None:
        yield f"email:{one_mailbox(email)}"
    if external_id is not None:
        yield f"external:{external_id}"


def _key(name: str, client_id: UUID, secret: bytes) -> bytes:
    return hmac.digest(secret, b"discount\0" + client_id.bytes + name.encode(), hashlib.sha256)
