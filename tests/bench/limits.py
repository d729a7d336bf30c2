"""The bare limits: the same effects in plain SQL, without jobs, locks, retries or accounts kept."""

import csv
import io
import secrets
import time
from uuid import UUID

import psycopg

from models.base import new_id
from ops.bootstrap import database_url
from pipelines.sealing import Keyring, Purpose
from tests.chaos.stand import Stand
from tests.seeding import Seeded

#: Claim, provide, mark, pay: everything a pool job does to the tables, in one statement.
_ALL_AT_ONCE = """
WITH chosen AS (
    SELECT id, row_number() OVER () AS n FROM (
        SELECT id FROM cards WHERE state = 'available' AND brand_id = %(brand)s
          AND denomination_minor = 2500 AND currency = 'USD' AND source = 'csv'
        ORDER BY expires_on, id LIMIT %(items)s FOR NO KEY UPDATE SKIP LOCKED) c
), claimed AS (
    UPDATE cards SET state = 'issued' FROM chosen WHERE cards.id = chosen.id
    RETURNING cards.id, chosen.n, cards.last4, cards.cost_minor
), served AS (
    UPDATE items SET state = 'succeeded', source = 'csv', attempts = 1, result_id = claimed.id
    FROM claimed WHERE items.job_id = %(job)s AND items.position = claimed.n
    RETURNING items.position, claimed.id AS card_id, claimed.last4, claimed.cost_minor,
              items.person_key
), provided AS (
    INSERT INTO provisions (id, agency_id, client_id, campaign_id, job_id, position, card_id,
        brand_id, source, currency, face_value_minor, charge_minor, cost_minor, cost_currency,
        transfer_id, person_key, last4, delivery_method)
    SELECT gen_random_uuid(), %(agency)s, %(client)s, %(campaign)s, %(job)s, position, card_id,
        %(brand)s, 'csv', 'USD', 2500, 2500, cost_minor, 'USD', %(transfer)s, person_key, last4,
        'none' FROM served RETURNING charge_minor
), total AS (SELECT sum(charge_minor) AS amount FROM provided
), moved AS (
    UPDATE accounts SET balance = balance + CASE WHEN kind = 'credit' THEN -total.amount
                                            ELSE total.amount END
    FROM total WHERE owner_id = %(client)s AND kind IN ('credit', 'spent')
    RETURNING accounts.id, kind, balance
), written AS (
    INSERT INTO transfers (id, agency_id, client_id, kind, client_ref, amount, currency)
    SELECT %(transfer)s, %(agency)s, %(client)s, 'adjustment', %(ref)s, amount, 'USD' FROM total
    RETURNING id
)
INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount, currency,
                      balance_after)
SELECT written.id, moved.id, %(agency)s, %(client)s,
       CASE WHEN kind = 'credit' THEN -total.amount ELSE total.amount END, 'USD', balance
FROM moved, total, written
"""


def superuser(ground: Stand) -> str:
    """The bare limits run as the superuser: no policies, no rights to check."""
    return database_url(ground.servers.admin_url, ground.house.sessions.kw["bind"].url.database)


def parse_and_store(connection: psycopg.Connection, seeded: Seeded, content: bytes) -> UUID:
    """Parse a CSV, COPY it to a staging table, INSERT ... SELECT the items: no checks at all."""
    job_id = new_id()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (id, kind, agency_id, client_id, campaign_id, spec, total, "
            "currency, retain_until) VALUES (%s, 'bench', %s, %s, %s, '{}', %s, 'USD', now())",
            (job_id, seeded.agency_id, seeded.client_id, seeded.campaign_id, len(rows)),
        )
        cursor.execute(
            "INSERT INTO chunks (job_id, number, agency_id, client_id) SELECT %s, n, %s, %s "
            "FROM generate_series(1, %s) n",
            (job_id, seeded.agency_id, seeded.client_id, len(rows) // 500 + 1),
        )
        cursor.execute(
            "CREATE TEMP TABLE bare (position int, reference text, email text, name text, "
            "person_key bytea) ON COMMIT DROP"
        )
        with cursor.copy("COPY bare FROM STDIN") as copy:
            for position, row in enumerate(rows, start=1):
                key = row["email"].encode().ljust(32)[:32]
                copy.write_row((position, row["reference"], row["email"], row["name"], key))
        cursor.execute(
            "INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, reference, "
            "email, name, person_key, brand_id, denomination_minor, charge_minor) "
            "SELECT %s, position, (position - 1) / 500 + 1, %s, %s, reference, email, name, "
            "person_key, %s, 2500, 2500 FROM bare",
            (job_id, seeded.agency_id, seeded.client_id, seeded.brand_id),
        )
    return job_id


def provide_at_once(
    connection: psycopg.Connection, seeded: Seeded, job_id: UUID, items: int
) -> float:
    """Give `items` stored items their cards in one bare statement; seconds."""
    started = time.monotonic()
    with connection.transaction():
        connection.execute(
            _ALL_AT_ONCE,
            {
                "brand": seeded.brand_id,
                "items": items,
                "job": job_id,
                "agency": seeded.agency_id,
                "client": seeded.client_id,
                "campaign": seeded.campaign_id,
                "transfer": new_id(),
                "ref": f"bench:{secrets.token_hex(8)}",
            },
        )
    return time.monotonic() - started


def copy_sealed_cards(
    connection: psycopg.Connection, seeded: Seeded, content: bytes, keyring: Keyring
) -> tuple[float, float]:
    """Seal the cards of a file and COPY them; (seconds in all, seconds of the COPY alone)."""
    started = time.monotonic()
    columns = []
    for row in csv.DictReader(io.StringIO(content.decode())):
        identity, number = new_id(), row["card_number"]
        sealed = keyring.seal(
            Purpose.CODES, number, table="cards", row_id=identity, column="sealed_number"
        )
        pin = keyring.seal(
            Purpose.PINS, row["pin"], table="cards", row_id=identity, column="sealed_pin"
        )
        index = keyring.blind_index(number, scope=seeded.brand_id.bytes)
        columns.append((identity, sealed, pin, index, number[-4:], row["expires_on"]))
    sealed_at = time.monotonic()
    with (
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(
            "COPY cards (id, pool_id, brand_id, denomination_minor, currency, source, "
            "sealed_number, sealed_pin, blind_index, last4, expires_on) FROM STDIN"
        ) as copy,
    ):
        for identity, sealed, pin, index, last4, expires_on in columns:
            copy.write_row(
                (
                    identity,
                    seeded.csv_pool,
                    seeded.brand_id,
                    2500,
                    "USD",
                    "csv",
                    sealed,
                    pin,
                    index,
                    last4,
                    expires_on,
                )
            )
    ended = time.monotonic()
    return ended - started, ended - sealed_at
