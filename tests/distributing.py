"""Pools of people and distributions to them, for tests."""

import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.generate import CODES_PER_CHUNK
from pipelines.distribution.draw import Mode
from pipelines.distribution.plan import DistributionOptions
from pipelines.distribution.submit import Submission, submit_distribution
from pipelines.jobs.read import job_row
from pipelines.wiring import House
from tests.booking import make_book
from tests.driving import rows
from tests.seeding import ACTOR, Seeded

DRAW_KEY = b"draws"
_PEOPLE = text("""
INSERT INTO users (id, email, email_normalised, role)
SELECT id, id || '@x.example', id || '@x.example', 'end_user' FROM unnest(CAST(:ids AS uuid[])) id
""")
_KNOWN = text("""
INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised)
SELECT :client, id, :agency, id || '@x.example', id || '@x.example'
FROM unnest(CAST(:ids AS uuid[])) id
""")
_POOL = text("""
INSERT INTO user_pools (id, agency_id, client_id, name, created_by)
VALUES (:pool, :agency, :client, 'Pool ' || :pool, :client)
""")
_MEMBERS = text("""
INSERT INTO user_pool_members (pool_id, user_id, agency_id, client_id, added_by)
SELECT :pool, id, :agency, :client, :client FROM unnest(CAST(:ids AS uuid[])) id
""")
# As the product writes them: in the order of the deck.
_COUPONS = text("""
WITH made AS (
    INSERT INTO coupons (book_id, id, agency_id, client_id, code, draw_key, load_job_id)
    SELECT :book, uuidv7(), :agency, :client, 'C' || n || '-' || left(md5(:salt || n), 12), place,
        :book
    FROM (SELECT n, ('x' || left(md5(random()::text || n), 16))::bit(64)::bigint
              & 4611686018427387903 AS place
          FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n ORDER BY place)
    RETURNING id, code
)
INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
SELECT sha256(convert_to(code, 'UTF8')), :book, id, :agency, :client FROM made ORDER BY 1
""")


def make_pool(house: House, seeded: Seeded, members: int) -> tuple[UUID, list[UUID]]:
    """A pool and the people in it, in the pool's order."""
    pool, people = new_id(), sorted(new_id() for _ in range(members))
    values = {
        "pool": pool,
        "agency": seeded.agency_id,
        "client": seeded.client_id,
        "ids": people,
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for statement in (_PEOPLE, _KNOWN, _POOL, _MEMBERS):
            session.execute(statement, values)
    return pool, people


def stocked_book(house: House, seeded: Seeded, count: int, **columns: Any) -> UUID:
    """A book with so many coupons; their codes are not for looking up."""
    book = make_book(house, seeded, **columns)
    values = {
        "book": book,
        "agency": seeded.agency_id,
        "client": seeded.client_id,
        "salt": secrets.token_hex(8),
    }
    for first in range(1, count + 1, CODES_PER_CHUNK):
        part = {"first": first, "last": min(first + CODES_PER_CHUNK - 1, count)}
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(_COUPONS, values | part)
    return book


def options(pool: UUID, book: UUID, count: int, **more: Any) -> DistributionOptions:
    return replace(DistributionOptions(pool, book, Mode.RANDOM, count), **more)


def distribute(house: House, seeded: Seeded, asked: DistributionOptions, **more: Any) -> UUID:
    """Submit a distribution; the job's id."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_distribution(
            session,
            replace(Submission(asked), **more),
            actor_id=ACTOR,
            key=None,
            draw_key=DRAW_KEY,
            limits=house.limits,
        ).resource_id


def job_of(house: House, job_id: UUID) -> Any:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return job_row(session, job_id)


def assigned(house: House, job_id: UUID) -> list[tuple[int, UUID, UUID]]:
    """(position, person, coupon) of every coupon that the job assigned."""
    found = rows(
        house,
        "SELECT assigned_position, user_id, id FROM coupons WHERE assigned_job_id = :job "
        "ORDER BY assigned_position",
        job=job_id,
    )
    return [tuple(row) for row in found]
