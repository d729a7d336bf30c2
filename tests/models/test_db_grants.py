"""SEC-13: what each role may do with each table, asked of the catalogue; a new table must be classified.

The database is asked twice: what it says that it grants, and whether it really refuses.
"""

import psycopg
import pytest
from psycopg import sql

from models.tables import CLASSES
from ops.bootstrap import LOGINS, OWNER, SCOPES, SYSTEM
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
TENANTS = SCOPES
#: Roles that work takes on; `largesse_web` and `largesse_worker` have no rights of their own.
AT_WORK = (*SCOPES, SYSTEM)
WITHOUT_RIGHTS = ("largesse_web", "largesse_worker")
READONLY = "largesse_readonly"

READ = {"SELECT"}
APPEND = READ | {"INSERT"}
CHANGE = APPEND | {"UPDATE"}
ALL = CHANGE | {"DELETE"}
NOTHING: set[str] = set()

#: What is written once and stays (SEC-13, SEC-29): a trigger holds it beside the missing right.
APPENDED_ONLY = {"transfers", "postings", "audit_entries"}


def _same(verbs: set[str], system: set[str] | None = None) -> dict[str, set[str]]:
    """The same for platform, agency and client; the system may have more."""
    return dict.fromkeys(TENANTS, verbs) | {SYSTEM: verbs if system is None else system}


def _by(platform: set[str], tenants: set[str], system: set[str]) -> dict[str, set[str]]:
    return {
        "largesse_platform": platform,
        "largesse_agency": tenants,
        "largesse_client": tenants,
        SYSTEM: system,
    }


_KEPT = _same(CHANGE)
_INTERNAL = _by(NOTHING, NOTHING, ALL)
_IDENTITY = _by(NOTHING, NOTHING, CHANGE)
#: Rights on whole tables; single columns are in COLUMNS.
RIGHTS: dict[str, dict[str, set[str]]] = {
    **dict.fromkeys(APPENDED_ONLY, _same(APPEND)),
    **dict.fromkeys(
        ["agencies", "clients", "campaigns", "provisions", "provider_orders", "accounts", "holds"],
        _KEPT,
    ),
    **dict.fromkeys(["jobs", "chunks", "items"], _same(CHANGE, ALL)),
    **dict.fromkeys(["client_brands", "redemption_codes", "job_inputs"], _same(ALL)),
    "upload_drafts": _same(ALL),
    "tasks": _same(ALL),
    "idempotency_keys": _same(APPEND, ALL),
    "card_pools": _KEPT,
    "cards": _by(CHANGE, READ, CHANGE),
    "brands": _by(CHANGE, READ, CHANGE),
    "brand_routes": _by(ALL, READ, CHANGE),
    "users": _IDENTITY,
    "api_keys": _IDENTITY,
    "sign_ins": _INTERNAL,
    "sign_in_failures": _INTERNAL,
    "schedule_runs": _by(NOTHING, NOTHING, APPEND | {"DELETE"}),
    "processes": _INTERNAL,
    "key_versions": _IDENTITY,
    "resealings": _IDENTITY,
    "vendor_accounts": {
        "largesse_platform": {"SELECT", "UPDATE"},
        "largesse_agency": NOTHING,
        "largesse_client": {"SELECT", "UPDATE"},
        SYSTEM: CHANGE,
    },
    "queues": {},
}
#: Columns of credentials that nobody reads who could not prove with them who he is.
CREDENTIALS = {
    ("users", "password_hash"),
    ("sign_ins", "token_hash"),
    ("api_keys", "key_hash"),
}

_GRANTED = """
SELECT table_name, grantee, array_agg(privilege_type::text) AS verbs
FROM information_schema.role_table_grants
WHERE table_schema = 'public' AND grantee LIKE 'largesse%' AND grantee <> 'largesse_owner'
GROUP BY table_name, grantee
"""


@pytest.fixture(scope="module")
def granted(database: Database) -> dict[tuple[str, str], set[str]]:
    """What the database says."""
    statement = sql.SQL(
        "SELECT c.relname, r.rolname, v.verb FROM pg_class c, pg_roles r, unnest({}) v (verb) "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND r.rolname = ANY({}) AND has_table_privilege(r.oid, c.oid, v.verb)"
    ).format(sql.Literal(list(VERBS)), sql.Literal([*AT_WORK, *WITHOUT_RIGHTS, READONLY]))
    found: dict[tuple[str, str], set[str]] = {}
    with psycopg.connect(database.urls[OWNER]) as connection:
        for table, role, verb in connection.execute(statement):
            found.setdefault((table, role), set()).add(verb)
    return found
