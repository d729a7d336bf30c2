"""SEC-13: what each role may do with each table: what the catalogue says, and what is really refused.

A new table must be classified here; until it is, these tests fail.
"""

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from models.tables import CLASSES, metadata
from ops.bootstrap import LOGINS, MAY_BECOME, OWNER, SCOPES, SYSTEM
from tests.conftest import Database

VERBS = {
    "S": "SELECT",
    "I": "INSERT",
    "U": "UPDATE",
    "D": "DELETE",
    "T": "TRUNCATE",
    "R": "REFERENCES",
    "G": "TRIGGER",
    "M": "MAINTAIN",
}
READONLY = "largesse_readonly"
#: In this order: platform, agency, client, system. A dash is no right at all.
AT_WORK = (*SCOPES, SYSTEM)
RIGHTS = {
    # Written once: nobody changes or removes a row, whatever else they may.
    "audit_entries": "S S S S",
    "audit_heads": "- - - SIU",
    "audit_witnesses": "- - - SI",
    "postings": "SI SI SI SI",
    "transfers": "SI SI SI SI",
    # Tenants' own rows, behind their policies; only what has no history is ever deleted.
    "accounts": "SIU SIU SIU SIU",
    "receivables": "SIU S S SIU",
    "alerts": "S S S SIUD",
    "alert_subscriptions": "SIU SIU SIU SIU",
    "approvals": "SIU SIU SIU SIU",
    "agencies": "SIU SIU SIU SIU",
    "books": "SIU SIU SIU SIU",
    "coupons": "SIU SIU SIU SIU",
    "coupon_counts": "SIU SIU SIU SIU",
    "code_index": "SI SI SI SI",
    "coupon_codes": "SI SI SI SIU",
    "coupon_events": "SI SI SI SI",
    "draw_chunks": "SI SI SI SI",
    "draw_members": "SI SI SI SI",
    "draws": "SIU SIU SIU SIU",
    "open_redemptions": "SID SID SID SID",
    "book_deltas": "SI SI SI SID",
    "book_sums": "S S S SIU",
    "coupon_usage_deltas": "SI SI SI SID",
    "coupon_usage_daily": "S S S SIU",
    "campaigns": "SIU SIU SIU SIU",
    "chunks": "SIU SIU SIU SIUD",
    "client_brands": "SIUD SIUD SIUD SIUD",
    "clients": "SIU SIU SIU SIU",
    "client_users": "SIU SIU SIU SIU",
    "deliveries": "SIU SIU SIU SIU",
    "erasures": "SI SI SI SIU",
    "holds": "SIU SIU SIU SIU",
    "issued_daily": "S S S SIU",
    "issued_deltas": "SI SI SI SID",
    "items": "SIU SIU SIU SIUD",
    "job_inputs": "SIUD SIUD SIUD SIUD",
    "jobs": "SIU SIU SIU SIUD",
    "loaded_codes": "SIU SIU SIU S",
    "provider_orders": "SIU SIU SIU SIU",
    "provisions": "SIU SIU SIU SIU",
    "redemption_codes": "SIUD SIUD SIUD SIUD",
    "reward_counts": "SIUD SIUD SIUD SIUD",
    "upload_drafts": "SIU SIU SIU SIUD",
    "user_pool_members": "SIUD SIUD SIUD SIUD",
    "user_pools": "SIU SIU SIU SIU",
    "webhook_deliveries": "SIU SIU SIU SIUD",
    "webhook_endpoints": "SIU SIU SIU SIU",
    # Inventory: tenants look, and take through functions.
    "balance_sheets": "SIU - - SIUD",
    "brand_routes": "SIUD S S SIU",
    "brands": "SIU S S SIU",
    "prices": "SIU S S SIU",
    "card_batches": "SI SI SI SI",
    "card_pools": "SIU SIU SIU SIU",
    "cards": "SIU S S SIU",
    # People and credentials: the system, and by columns who manages them.
    "api_keys": "- - - SIU",
    "authenticators": "D D D SIUD",
    "recovery_codes": "D D D SIUD",
    "sign_in_failures": "D D D SIUD",
    "sign_ins": "- - - SIUD",
    "users": "- - - SIU",
    # Mail and its links: any scope writes a mail down, the system alone does the rest.
    "invitations": "- - - SIUD",
    "outgoing_mails": "I I I SIUD",
    "password_resets": "- - - SIUD",
    "registrations": "- - - SIUD",
    # The engine's own.
    "alert_signals": "I I I SID",
    "alert_notices": "- - - SIUD",
    "check_runs": "S S S SIU",
    "idempotency_keys": "SI SI SI SIUD",
    "key_versions": "- - - SIU",
    "processes": "S S S SIUD",
    "queues": "S S S SIU",
    "resealings": "- - - SIU",
    "schedule_runs": "- - - SID",
    "sms_opt_outs": "- - S SID",
    "tasks": "SIUD SIUD SIUD SIUD",
    "refill_plans": "SI - - SI",
    "vendor_accounts": "SU - SU SIU",
    "vendor_balances": "S - - SID",
    "vendor_call_counts": "SIU - SIU SIUD",
    "vendor_calls": "SIUD - SIUD SIUD",
    "vendor_products": "S S S SIU",
    "vendor_statement_rows": "SID - - S",
    "vendor_statements": "SIU - - S",
    "vendor_tokens": "- - - SIU",
    "webhook_facts": "I I I SID",
    "webhook_sequences": "- - - SIUD",
}
#: Rights on single columns, beside those on the table.
_ENTRY = {"id", "agency_id", "client_id", "actor_id", "actor_role", "on_behalf_of", "action"}
_ENTRY |= {"object_kind", "object_id", "detail", "request_id", "job_id", "address"}
_PERSON = {"id", "email", "email_normalised", "name", "role", "agency_id", "client_id"}
_KEY = {"id", "agency_id", "client_id", "name", "prefix", "scopes", "allowed_cidrs", "replaces"}
_KEY |= {"expires_at", "created_by"}
_SIGN_IN = {"id", "user_id", "kind", "impersonator_id", "expires_at", "last_used_at", "revoked_at"}
_INVITATION = {"id", "agency_id", "client_id", "role", "mail_id", "invited_by", "expires_at"}
_INVITATION |= {"sealed_guest", "ended_at", "user_id", "created_at"}
_MANAGED = {
    ("users", "SELECT"): _PERSON | {"disabled_at", "created_at"},
    ("users", "INSERT"): _PERSON | {"password_hash"},
    ("users", "UPDATE"): {"name", "role", "disabled_at"},
    ("api_keys", "SELECT"): _KEY | {"last_used_at", "revoked_at", "created_at"},
    ("api_keys", "INSERT"): _KEY | {"key_hash"},
    ("api_keys", "UPDATE"): {"expires_at", "revoked_at"},
    ("sign_ins", "SELECT"): _SIGN_IN | {"created_at"},
    ("sign_ins", "UPDATE"): {"revoked_at"},
    ("sign_in_failures", "SELECT"): {"account", "rests_until"},
    ("invitations", "SELECT"): _INVITATION,
    ("invitations", "UPDATE"): {"ended_at", "sealed_guest"},
    ("alerts", "UPDATE"): {"state", "acknowledged_by", "acknowledged_at", "note", "snoozed_until"}
    | {"resolved_by", "resolved_at"},
    ("authenticators", "SELECT"): {"user_id", "confirmed_at"},
    ("recovery_codes", "SELECT"): {"user_id"},
}
COLUMNS = {
    **{(role, "audit_entries", "INSERT"): _ENTRY for role in AT_WORK},
    (SYSTEM, "audit_entries", "UPDATE"): {"sequence", "chain_hash", "address"},
    ("largesse_platform", "refill_plans", "UPDATE"): {"cancelled_at"},
    (SYSTEM, "refill_plans", "UPDATE"): {"cancelled_at", "met_at", "missed_at", "dropped_at"},
    (SYSTEM, "card_batches", "UPDATE"): {"quarantined_at", "keeps_file"},
    **{(role, *place): names for role in SCOPES for place, names in _MANAGED.items()},
}
#: What proves who somebody is: not even who may read everything may read these.
CREDENTIALS = {
    "api_keys": "key_hash",
    "authenticators": "secret_sealed",
    "invitations": "token_hash",
    "outgoing_mails": "sealed_letter",
    "password_resets": "token_hash",
    "recovery_codes": "code_hash",
    "registrations": "token_hash",
    "sign_ins": "token_hash",
    "users": "password_hash",
    "vendor_tokens": "token_sealed",
}
APPENDED_ONLY = ("audit_entries", "postings", "transfers")

_GRANTED = """
SELECT c.relname, coalesce(string_agg(v.letter, '' ORDER BY v.place), '-') FROM pg_class c
LEFT JOIN unnest(%(letters)s::text[], %(verbs)s::text[]) WITH ORDINALITY v (letter, verb, place)
    ON has_table_privilege(%(role)s, c.oid, v.verb)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname <> 'alembic_version'
GROUP BY c.relname ORDER BY c.relname
"""
_COLUMNS = """
SELECT r.rolname, c.relname, v.verb, array_agg(a.attname::text)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN pg_roles r CROSS JOIN unnest(%(verbs)s::text[]) v (verb)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND r.rolname = ANY (%(roles)s)
    AND has_column_privilege(r.oid, c.oid, a.attnum, v.verb)
    AND NOT has_table_privilege(r.oid, c.oid, v.verb)
GROUP BY r.rolname, c.relname, v.verb
"""


def granted(database: Database, role: str) -> dict[str, str]:
    """Letters of the verbs a role may use, by table; the verbs of an older server are fewer."""
    values = {"letters": list(VERBS), "verbs": list(VERBS.values()), "role": role}
    with psycopg.connect(database.urls[OWNER]) as connection:
        return dict(connection.execute(_GRANTED, values).fetchall())


def refused(database: Database, login: str, role: str | None, statement: str) -> bool:
    """Whether the server refuses a statement for want of rights; nothing is kept of it."""
    with psycopg.connect(database.urls[login]) as connection:
        return refused_on(connection, role, statement)


def refused_on(connection: psycopg.Connection, role: str | None, statement: str) -> bool:
    """As `refused`, on a connection of the login; the role ends with the transaction."""
    try:
        connection.execute("SET TRANSACTION READ WRITE")
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        connection.execute(statement.encode())
    except InsufficientPrivilege:
        return True
    finally:
        connection.rollback()
    return False


def test_sec013_every_table_is_classified() -> None:
    """SEC-13: by hand, so that somebody has thought about it."""
    assert set(RIGHTS) == set(CLASSES)


@pytest.mark.parametrize("role", AT_WORK)
def test_sec013_a_role_has_exactly_these_rights(database: Database, role: str) -> None:
    """SEC-13: no more, and no fewer."""
    place = AT_WORK.index(role)

    assert granted(database, role) == {name: said.split()[place] for name, said in RIGHTS.items()}


@pytest.mark.parametrize("login", ["largesse_web", "largesse_worker"])
def test_sec013_a_login_has_no_right_before_it_takes_a_role(database: Database, login: str) -> None:
    assert set(granted(database, login).values()) == {"-"}


def test_sec013_who_reads_everything_changes_nothing_and_reads_no_credential(
    database: Database,
) -> None:
    found = granted(database, READONLY)

    assert {name for name, letters in found.items() if letters != "S"} == set(CREDENTIALS)
    for table, column in CREDENTIALS.items():
        assert refused(database, READONLY, None, f"SELECT {column} FROM {table}")
        assert refused(database, READONLY, None, f"SELECT * FROM {table}")
        key = "id" if "id" in metadata().tables[table].c else "user_id"
        assert not refused(database, READONLY, None, f"SELECT {key} FROM {table}")


def test_sec013_rights_on_columns_are_these_alone(database: Database) -> None:
    values = {"verbs": ["SELECT", "INSERT", "UPDATE"], "roles": list(AT_WORK)}
    with psycopg.connect(database.urls[OWNER]) as connection:
        found = connection.execute(_COLUMNS, values).fetchall()

    assert {(role, table, verb): set(names) for role, table, verb, names in found} == COLUMNS


def _forbidden(letters: str, table: str, column: str) -> list[str]:
    """Statements of the verbs that are not among the letters."""
    statements = {
        "S": f"SELECT FROM {table}",
        "U": f"UPDATE {table} SET {column} = {column}",
        "D": f"DELETE FROM {table}",
        "T": f"TRUNCATE {table}",
    }
    return [statement for letter, statement in statements.items() if letter not in letters]


@pytest.mark.parametrize("login", ["largesse_web", "largesse_worker", SYSTEM])
def test_sec013_each_forbidden_verb_is_refused_in_each_role(database: Database, login: str) -> None:
    """SEC-13: as the processes connect, in every role that they may take."""
    roles = [role for role in AT_WORK if role in MAY_BECOME[login] or role == login]
    columns = _first_columns(database)
    forbidden = [
        (role, statement)
        for role in roles
        for table, said in RIGHTS.items()
        for statement in _forbidden(said.split()[AT_WORK.index(role)], table, columns[table])
        if not (statement.startswith("SELECT") and (role, table, "SELECT") in COLUMNS)
    ]
    with psycopg.connect(database.urls[login]) as connection:
        done = [each for each in forbidden if not refused_on(connection, *each)]

    assert done == []


def _first_columns(database: Database) -> dict[str, str]:
    """A column of each table that no right on single columns names."""
    with psycopg.connect(database.urls[OWNER]) as connection:
        return dict(
            connection.execute(
                "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a "
                "ON a.attrelid = c.oid AND a.attnum = 1 "
                "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            ).fetchall()
        )


@pytest.mark.parametrize("table", APPENDED_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_sec013_not_even_the_owner_changes_what_is_written_once(
    database: Database, table: str, verb: str
) -> None:
    """SEC-13: the owner has the right, and a trigger; row security hides the rows besides."""
    statement = verb.format(table)
    with psycopg.connect(database.urls[OWNER]) as connection:
        if verb.startswith("TRUNCATE"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement.encode())
        else:
            assert connection.execute(statement.encode()).rowcount == 0
        connection.rollback()


@pytest.mark.parametrize("login", sorted(set(LOGINS) - {OWNER}))
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE jobs ADD COLUMN mine integer",
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE transfers DISABLE TRIGGER transfers_immutable",
        "CREATE POLICY mine ON jobs USING (true)",
        "DROP POLICY client ON jobs",
        "DROP TABLE audit_entries",
        "CREATE INDEX mine ON jobs (id)",
        "SET ROLE largesse_owner",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION largesse_owner",
        "SET session_replication_role = replica",
        "GRANT largesse_owner TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "CREATE ROLE mine",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT rolpassword FROM pg_authid",
        "SELECT admit_key_versions(ARRAY[9])",
        "SELECT pg_reload_conf()",
    ],
)
def test_sec013_no_login_has_a_way_up(database: Database, login: str, statement: str) -> None:
    """SEC-13: no DDL, no other role, no file, no password."""
    assert refused(database, login, None, statement), statement


def test_sec013_a_duty_s_login_takes_no_role_of_the_web(database: Database) -> None:
    """SEC-13: the reader becomes nobody else."""
    for role in AT_WORK:
        assert refused(database, READONLY, None, f"SET ROLE {role}")
