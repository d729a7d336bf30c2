"""Codes of books: generated and uploaded by the million, beside bare COPY of ready rows."""

import io
import secrets
import statistics
import time
from uuid import UUID

import psycopg

from models.base import new_ids
from models.database import scoped_transaction
from models.scope import client
from pipelines.books.accept_codes import accept_codes
from pipelines.books.generate import accept_generation
from pipelines.books.patterns import PLAIN_ALPHABET
from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import OnError
from tests.bench.line import Line
from tests.booking import make_book
from tests.chaos.stand import Stand
from tests.seeding import ACTOR, Seeded

CODES_MAX = 1_000_000
_BARE = """
CREATE TABLE IF NOT EXISTS bare_coupons (LIKE coupons
    INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TABLE IF NOT EXISTS bare_index (LIKE code_index INCLUDING CONSTRAINTS INCLUDING INDEXES);
"""
_COPY = """
COPY bare_coupons (book_id, id, agency_id, client_id, code, draw_key, load_job_id) FROM STDIN
"""
_COPY_INDEX = "COPY bare_index (blind_index, book_id, coupon_id, agency_id, client_id) FROM STDIN"


def code_lines(
    ground: Stand, seeded: Seeded, connection: psycopg.Connection, codes: int, rounds: int
) -> list[Line]:
    """Codes per second from the request to the job's end, by the processes that run."""
    plain, uploaded, sealed, bare = [], [], [], []
    for _ in range(rounds):
        plain.append(codes / _generated(ground, seeded, codes))
        uploaded.append(codes / _uploaded(ground, seeded, codes))
        sealed.append(codes / _generated(ground, seeded, codes, seals_codes=True))
        bare.append(codes / _bare(connection, seeded, codes))
    limit = statistics.median(bare)
    note = "limit: COPY of ready rows into the same columns and indexes"
    return [
        Line(f"generate {codes:,} codes", statistics.median(plain), limit, note),
        Line(
            f"upload {codes:,} codes, from the CSV's bytes",
            statistics.median(uploaded),
            limit,
            note,
        ),
        Line(f"generate {codes:,} sealed codes", statistics.median(sealed), limit, note),
    ]


def _generated(ground: Stand, seeded: Seeded, codes: int, *, seals_codes: bool = False) -> float:
    house, length = ground.house, 16 if seals_codes else 12
    pattern = {"random_length": length, "alphabet": PLAIN_ALPHABET, "seals_codes": seals_codes}
    book_id = make_book(house, seeded, **pattern)
    started = time.monotonic()
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        who = {"actor_id": ACTOR, "key": None, "limits": house.limits}
        job_id = accept_generation(session, book_id, codes, **who).job_id
    return _until_ended(ground, job_id, codes, started)


def _uploaded(ground: Stand, seeded: Seeded, codes: int) -> float:
    house = ground.house
    book_id = make_book(house, seeded)
    content = b"code\n" + b"".join(b"%s\n" % secrets.token_hex(8).encode() for _ in range(codes))
    started = time.monotonic()
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = accept_codes(
            session,
            book_id,
            CodesFile(io.BytesIO(content), OnError.ABORT),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id
    return _until_ended(ground, job_id, codes, started)


def _until_ended(ground: Stand, job_id: UUID, codes: int, started: float) -> float:
    job = ground.until_ended(job_id, seconds=600)
    assert job["counts"]["succeeded"] == codes, job
    return time.monotonic() - started


def _bare(connection: psycopg.Connection, seeded: Seeded, codes: int) -> float:
    connection.execute(_BARE)
    connection.execute("TRUNCATE bare_coupons, bare_index")
    book, job, own = secrets.token_hex(16), secrets.token_hex(16), new_ids(codes)
    tenant = f"{seeded.agency_id}\t{seeded.client_id}"
    text = "".join(
        f"{book}\t{identity}\t{tenant}\t{secrets.token_hex(6)}\t{secrets.randbits(63)}\t{job}\n"
        for identity in own
    )
    index = "".join(
        f"\\\\x{secrets.token_hex(32)}\t{book}\t{identity}\t{tenant}\n" for identity in own
    )
    started = time.monotonic()
    with connection.transaction():
        for statement, rows in ((_COPY, text), (_COPY_INDEX, index)):
            with connection.cursor().copy(statement) as copy:
                copy.write(rows)
    return time.monotonic() - started
