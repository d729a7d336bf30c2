"""Write, seal, witness and verify audit entries of a small tenant; tamper with them as a superuser."""

from collections.abc import Iterable
from uuid import UUID

import psycopg

from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from ops.bootstrap import database_url
from ops.proof import verify_audit_at
from pipelines.audit.chain import canonical_sql, genesis, link
from pipelines.audit.record import record
from pipelines.audit.seal import seal
from pipelines.audit.verify import Chains
from pipelines.audit.witness import Witness, witness_heads, witness_key
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows

AGENCY, CLIENT, OTHER = (UUID(int=n) for n in (0xA, 0xC, 0xD))
STREAM = f"{AGENCY}/{CLIENT}"


def write(
    house: House,
    count: int,
    *,
    client_id: UUID | None = CLIENT,
    agency_id: UUID | None = AGENCY,
) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for number in range(count):
            record(
                session,
                "campaign.changed",
                object_kind="campaign",
                object_id=UUID(int=number),
                actor_id=UUID(int=7),
                agency_id=agency_id if client_id else None,
                client_id=client_id,
                detail={"name": ["old", f"new {number}"], "größe": 1},
            )


def seal_all(house: House, *, limit: int = 1_000) -> int:
    sealed = 0
    while True:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            done = seal(session, limit=limit)
        sealed += done.entries
        if not done.is_full:
            return sealed


def witness(house: House) -> int:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return len(witness_heads(session, key=witness_key(house.settings.keyring)))


def look(
    house: House,
    database: Database,
    stream: str | None = None,
    told: Iterable[Witness] = (),
) -> Chains:
    key = witness_key(house.settings.keyring)
    url = database.urls["largesse_readonly"]
    return verify_audit_at(url, key=key, stream=stream, witnesses=told)


def as_superuser(database: Database, *statements: str) -> None:
    """As who rules the database: no trigger stops it."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount != 0


def at(sequence: int) -> str:
    return f"client_id = '{CLIENT}' AND sequence = {sequence}"


def forge_tail(house: House, database: Database, first: int) -> None:
    """Change an entry and recompute the chain and its head after it, as its writer would."""
    as_superuser(database, f"UPDATE audit_entries SET detail = '{{}}' WHERE {at(first)}")
    kept = rows(
        house,
        f"SELECT sequence, chain_hash, {canonical_sql('e')} AS canonical FROM audit_entries e "
        "WHERE client_id = :client ORDER BY sequence",
        client=CLIENT,
    )
    last = kept[first - 2].chain_hash if first > 1 else genesis(STREAM)
    for row in kept[first - 1 :]:
        last = link(last, row.canonical)
        as_superuser(
            database,
            f"UPDATE audit_entries SET chain_hash = '\\x{last.hex()}' WHERE {at(row.sequence)}",
        )
    as_superuser(
        database,
        f"UPDATE audit_heads SET hash = '\\x{last.hex()}' WHERE stream = '{STREAM}'",
    )
