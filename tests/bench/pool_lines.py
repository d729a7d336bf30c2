"""Files of people into pools, beside the same rows copied and inserted without a question."""

import csv
import io
import time
from uuid import UUID

import psycopg

from models.base import new_id
from pipelines.access.users import normalised
from tests.bench.line import Line
from tests.chaos.stand import Stand
from tests.pooling import accept, make_pool
from tests.seeding import Seeded

_COPY = "COPY bare (made_id, email, email_normalised) FROM STDIN"
_MAKE_USERS = (
    "INSERT INTO users (id, email, email_normalised, role) "
    "SELECT made_id, email, email_normalised, 'end_user' FROM bare"
)
_MAKE_KNOWN = (
    "INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised) "
    "SELECT %(client)s, made_id, %(agency)s, email, email_normalised FROM bare"
)
_ADD = (
    "INSERT INTO user_pool_members (pool_id, user_id, agency_id, client_id, added_by) "
    "SELECT %(pool)s, c.user_id, %(agency)s, %(client)s, %(client)s FROM bare b "
    "JOIN client_users c ON c.client_id = %(client)s AND c.email_normalised = b.email_normalised"
)


def pool_lines(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, items: int
) -> list[Line]:
    """People whom nobody knows, then the same ones into another pool."""
    pools = [make_pool(ground.house, seeded, f"{name} {new_id()}") for name in "abcd"]
    limit = "limit: parse + COPY + INSERT ... SELECT, unchecked"
    ours_new, bare_new = _people(items, "ours"), _people(items, "bare")
    made = _time_import(ground, seeded, pools[0], ours_new, makes=True)
    made_bare = _time_bare(connection, seeded, pools[1], bare_new, makes=True)
    known = _time_import(ground, seeded, pools[2], ours_new, makes=False)
    known_bare = _time_bare(connection, seeded, pools[3], bare_new, makes=False)
    return [
        Line(
            f"make {items:,} people and members, by e-mail", items / made, items / made_bare, limit
        ),
        Line(f"add {items:,} known members, by e-mail", items / known, items / known_bare, limit),
    ]


def _people(items: int, name: str) -> bytes:
    drawn = new_id().hex
    return ("email\n" + "".join(f"{name}{n}.{drawn}@example.com\n" for n in range(items))).encode()


def _time_import(
    ground: Stand, seeded: Seeded, pool: UUID, content: bytes, *, makes: bool
) -> float:
    began = time.monotonic()
    ground.until_ended(accept(ground.house, seeded, pool, content, makes=makes).job_id)
    return time.monotonic() - began


def _time_bare(
    connection: psycopg.Connection, seeded: Seeded, pool: UUID, content: bytes, *, makes: bool
) -> float:
    ids = {"pool": pool, "agency": seeded.agency_id, "client": seeded.client_id}
    began = time.monotonic()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE bare (made_id uuid, email text, email_normalised text) "
            "ON COMMIT DROP"
        )
        with cursor.copy(_COPY) as copy:
            for row in csv.DictReader(io.StringIO(content.decode())):
                copy.write_row((new_id(), row["email"], normalised(row["email"])))
        for statement in [*([_MAKE_USERS, _MAKE_KNOWN] if makes else []), _ADD]:
            cursor.execute(statement, ids)
    return time.monotonic() - began
