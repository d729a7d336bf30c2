"""Pools of people, and files of people for them, accepted and worked in as the front does."""

import io
from typing import Any
from uuid import UUID

from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.kinds import OnError
from pipelines.queue.keys import RequestKey
from pipelines.user_pools.accept_import import Import, accept_import
from pipelines.user_pools.pools import create_pool
from pipelines.wiring import House
from tests.driving import drain, rows, view
from tests.seeding import ACTOR, Seeded


def make_pool(house: House, seeded: Seeded, name: str = "Beta Testers") -> UUID:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return create_pool(
            session, client_id=seeded.client_id, name=name, description="", actor_id=ACTOR
        )


def accept(
    house: House,
    seeded: Seeded,
    pool: UUID,
    content: bytes,
    *,
    key: RequestKey | None = None,
    on_error: OnError = OnError.ABORT,
    makes: bool = False,
) -> AcceptedJob:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return accept_import(
            session,
            Import(pool, on_error, makes, "people.csv"),
            io.BytesIO(content),
            actor_id=ACTOR,
            key=key,
            keyring=house.settings.keyring,
            limits=house.limits,
        )


def work_in(house: House, seeded: Seeded, pool: UUID, content: bytes, **more: Any) -> dict:
    accepted = accept(house, seeded, pool, content, **more)
    drain(house)
    return view(house, accepted.job_id)


def counts(job: dict) -> dict[str, int]:
    return {name: number for name, number in job["counts"].items() if number}


def in_pool(house: House, pool: UUID) -> list[str]:
    found = rows(
        house,
        "SELECT c.email FROM user_pool_members m JOIN client_users c USING (client_id, user_id) "
        "WHERE m.pool_id = :pool ORDER BY 1",
        pool=pool,
    )
    return [row.email for row in found]
