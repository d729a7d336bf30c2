"""Who a customer is, by everything that says so: any match counts (EC-014, EC-051, EC-052).

Kept are indexes that nobody reads back, of one client each: the same address at another client has
another one. They outlive the erasure of a person, so that a second first purchase is none.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.access.users import UserNotFound, normalised

#: Whose mailboxes ignore dots, and what follows a plus, of the part before the @.
ALIASING = frozenset({"gmail.com", "googlemail.com"})
#: Whose mailboxes ignore what follows a plus alone.
TAGGING = frozenset(
    {"outlook.com", "hotmail.com", "live.com", "icloud.com", "me.com", "fastmail.com"}
)

_KNOWN = text("""
SELECT user_id, email_normalised, external_id FROM client_users
WHERE client_id = :client
  AND (user_id = :user OR email_normalised = :email OR external_id = :external_id)
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
    values = {
        "client": client_id,
        "user": customer.user_id,
        "email": None if customer.email is None else normalised(customer.email),
        "external_id": customer.external_id,
    }
    people = session.execute(_KNOWN, values).all()
    if customer.user_id is not None and customer.user_id not in {row.user_id for row in people}:
        raise UserNotFound
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
