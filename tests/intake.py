"""Hand in files the way the front does, preview them, and look at what was written."""

import hashlib
import io
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, client
from models.tables import CLASSES
from models.tenants import Brand
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.kinds import OnError
from pipelines.pools.accept_import import accept_import
from pipelines.provisioning.plan import BulkOptions
from pipelines.provisioning.submit import Recipients, preview_bulk, submit_bulk
from pipelines.queue.keys import RequestKey
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import ACTOR, Seeded


def with_limits(house: House, **limits: Any) -> House:
    """The same house under other limits."""
    return replace(house, limits=replace(house.limits, **limits))


def options(seeded: Seeded, **chosen: Any) -> BulkOptions:
    values = {
        "campaign_id": seeded.campaign_id,
        "brand_id": seeded.brand_id,
        "denomination_minor": 2500,
        "delivery_method": "none",
    }
    return BulkOptions(**(values | chosen))


def recipients(content: bytes | list[dict[str, Any]]) -> Recipients:
    if isinstance(content, bytes):
        return Recipients(sha256=hashlib.sha256(content).digest(), csv=io.BytesIO(content))
    return Recipients(sha256=hashlib.sha256(repr(content).encode()).digest(), listed=content)


def submit_file(
    house: House,
    seeded: Seeded,
    content: bytes | list[dict[str, Any]],
    *,
    key: RequestKey | None = None,
    **chosen: Any,
) -> AcceptedJob:
    """Submit exactly these bytes: the same file twice has the same digest."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_bulk(
            session,
            options(seeded, **chosen),
            recipients(content),
            actor_id=ACTOR,
            key=key,
            person_secret=house.person_secret,
            limits=house.limits,
        )


def preview_file(
    house: House, seeded: Seeded, content: bytes | list[dict[str, Any]], **chosen: Any
) -> dict[str, Any]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return preview_bulk(
            session,
            options(seeded, **chosen),
            recipients(content),
            person_secret=house.person_secret,
            limits=house.limits,
        )


def table_sizes(house: House) -> dict[str, int]:
    """Rows of every table, to show that nothing was written."""
    union = " UNION ALL ".join(
        f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in CLASSES
    )
    return {row.name: row.n for row in rows(house, union)}


def items_of(house: House, job_id: UUID, *columns: str) -> list[tuple[Any, ...]]:
    listed = ", ".join(columns)
    found = rows(
        house, f"SELECT {listed} FROM items WHERE job_id = :job ORDER BY position", job=job_id
    )
    return [tuple(row) for row in found]


def money_of(house: House, account_id: UUID) -> tuple[int, int]:
    """(balance, held) of an account, in minor units."""
    (row,) = rows(house, "SELECT balance, held FROM accounts WHERE id = :id", id=account_id)
    return row.balance, row.held


def new_brand(house: House, name: str, currency: str = "USD") -> UUID:
    identity = new_id()
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(insert(Brand).values(id=identity, name=name, currency=currency))
    return identity


def accept_cards(
    house: House, pool_id: UUID, content: bytes, key: RequestKey | None = None, **more: Any
) -> UUID:
    """Accept a card file without working it in."""
    values: dict[str, Any] = {"on_error": OnError.ABORT, "force": False} | more
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return accept_import(
            session,
            pool_id,
            io.BytesIO(content),
            file_name=None,
            actor_id=ACTOR,
            key=key,
            keyring=house.settings.keyring,
            limits=house.limits,
            **values,
        ).job_id
