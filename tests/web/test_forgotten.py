"""What is personal and of the past is forgotten after ninety days (SEC-40)."""

import psycopg

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.bootstrap import database_url
from pipelines.access.forget_sign_ins import forget_sign_ins
from pipelines.audit.forget import forget_addresses
from pipelines.wiring import House
from tests.auditing import look, seal_all
from tests.conftest import Database
from tests.driving import rows
from tests.web.conftest import Caller


def test_sec40_what_ended_long_ago_is_forgotten(house: House, database: Database, admin: Caller):
    admin.post("/agencies", {"name": "Acme"})
    seal_all(house)
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE audit_entries SET at = now() - interval '91 days', chain_hash = NULL, "
            "sequence = NULL WHERE action = 'agency.created'"
        )
        connection.execute("DELETE FROM audit_heads")
        connection.execute("UPDATE audit_entries SET chain_hash = NULL, sequence = NULL")
        connection.execute(
            "INSERT INTO sign_ins (id, user_id, kind, token_hash, expires_at, revoked_at) "
            "SELECT gen_random_uuid(), id, 'refresh', sha256(n::text::bytea), "
            "now() + (n || ' days')::interval, NULL FROM users, unnest(ARRAY[-91, -89, 1]) n"
        )
    seal_all(house)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        assert (forget_addresses(session, now), forget_sign_ins(session, now)) == (1, 1)

    left = rows(
        house,
        "SELECT action FROM audit_entries WHERE address IS NULL AND actor_role = 'platform_admin'",
    )
    assert [row.action for row in left] == ["agency.created"]
    assert look(house, database).ok
