"""People and keys behind the second wall: rows by policy, credentials by column (SEC-05, SEC-12)."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.people import _PLACE, Role
from models.scope import PLATFORM, SYSTEM, Scope, agency, client
from ops.bootstrap import database_url
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows
from tests.models.two_tenants import Two
from tests.seeding import Seeded

TENANTS: list[Callable[[Seeded], Scope]] = [
    lambda tenant: client(tenant.client_id),
    lambda tenant: agency(tenant.agency_id),
]
SCOPES = pytest.mark.parametrize("scope_of", TENANTS, ids=["client", "agency"])

_MAKE_USER = """
INSERT INTO users (id, email, email_normalised, password_hash, role, agency_id, client_id)
VALUES (CAST(:id AS uuid), 'x', CAST(:id AS text), 'hash', :role, :agency, :client)
"""
_MAKE_KEY = """
INSERT INTO api_keys (id, agency_id, client_id, name, prefix, key_hash, scopes, expires_at,
    created_by)
VALUES (CAST(:id AS uuid), :agency, :client, 'x', CAST(:id AS text), decode('00', 'hex'), '{}',
    now(), CAST(:id AS uuid))
"""


def refusal(sessions: Sessions, scope: Scope, statement: str, **values: object) -> str:
    """By what a statement is refused in a scope; empty if it is not, and then it is undone."""
    try:
        with scoped_transaction(sessions, scope) as session:
            session.execute(text(statement), values)
            session.rollback()
    except (ProgrammingError, IntegrityError) as error:
        if isinstance(error.orig, psycopg.errors.CheckViolation):
            return str(error.orig.diag.constraint_name)
        return "row" if "row-level security" in str(error.orig) else type(error.orig).__name__
    return ""


@SCOPES
@pytest.mark.parametrize("table", ["users", "api_keys", "sign_ins"])
def test_a_forgotten_where_reads_and_changes_nobody_elses(
    two: Two, house: House, scope_of: Callable[[Seeded], Scope], table: str
) -> None:
    set_clause = {
        "users": "name = 'changed'",
        "api_keys": "revoked_at = now()",
        "sign_ins": "revoked_at = now()",
    }[table]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        everybody = session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()

    with scoped_transaction(house.sessions, scope_of(two.one)) as session:
        seen = session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        changed = session.execute(text(f"UPDATE {table} SET {set_clause}")).rowcount
        session.rollback()

    assert everybody >= 2 * seen
    assert (seen, changed) == (1, 1)


@SCOPES
def test_nobody_is_written_into_another_tenant_or_moved_there(
    two: Two, house: House, scope_of: Callable[[Seeded], Scope]
) -> None:
    scope, theirs = scope_of(two.one), two.other
    place = {"agency": theirs.agency_id, "client": theirs.client_id}
    for statement in (_MAKE_USER, _MAKE_KEY):
        values = {"id": str(new_id()), "role": "client_admin"} | place
        assert refusal(house.sessions, scope, statement, **values) == "row"
    for table in ("users", "api_keys"):
        moved = f"UPDATE {table} SET client_id = :client"
        assert refusal(house.sessions, scope, moved, client=theirs.client_id) == (
            "InsufficientPrivilege"
        )


@SCOPES
@pytest.mark.parametrize("role", ["platform_admin", "agency_admin", "storefront_key"])
def test_nobody_above_is_made_from_within_a_tenant(
    two: Two, house: House, scope_of: Callable[[Seeded], Scope], role: str
) -> None:
    """The policy compares the tenant, the constraint the role: together they leave no way up."""
    scope, mine = scope_of(two.one), two.one
    for client_id in (mine.client_id, None):
        for agency_id in (mine.agency_id, None):
            if (role, agency_id, client_id) == ("agency_admin", mine.agency_id, None):
                continue
            values = {"id": str(new_id()), "agency": agency_id, "client": client_id, "role": role}
            assert refusal(house.sessions, scope, _MAKE_USER, **values) in {
                "row",
                "ck_users_place",
            }
    raised = "UPDATE users SET role = :role WHERE client_id = :client"
    asked = {"role": role, "client": mine.client_id}
    assert refusal(house.sessions, scope, raised, **asked) == "ck_users_place"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("users", "password_hash"),
        ("users", "*"),
        ("api_keys", "key_hash"),
        ("api_keys", "*"),
        ("sign_ins", "token_hash"),
        ("sign_ins", "*"),
    ],
)
def test_sec012_what_proves_who_somebody_is_is_read_by_the_system_alone(
    two: Two, house: House, table: str, column: str
) -> None:
    statement = f"SELECT {column} FROM {table}"
    scopes = {
        "client": client(two.one.client_id),
        "agency": agency(two.one.agency_id),
        "platform": PLATFORM,
        "system": SYSTEM,
    }

    refused = {name: refusal(house.sessions, scope, statement) for name, scope in scopes.items()}

    assert refused.pop("system") == ""
    assert set(refused.values()) == {"InsufficientPrivilege"}


@pytest.mark.parametrize("table", ["users", "api_keys", "sign_ins"])
def test_nobody_deletes_people_or_keys_or_writes_what_they_prove(
    two: Two, house: House, table: str
) -> None:
    hashed = {"users": "password_hash", "api_keys": "key_hash", "sign_ins": "token_hash"}[table]
    for scope in (client(two.one.client_id), agency(two.one.agency_id), PLATFORM):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {hashed} = NULL"):
            assert refusal(house.sessions, scope, statement) == "InsufficientPrivilege"


def test_people_of_the_platform_are_nobodys_below(two: Two, house: House) -> None:
    values = {"id": str(new_id()), "role": "platform_admin", "agency": None, "client": None}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(_MAKE_USER), values)
    look = "SELECT count(*) FROM users WHERE id = CAST(:id AS uuid)"

    seen = {}
    scopes = (PLATFORM, agency(two.one.agency_id), client(two.one.client_id))
    for name, scope in zip(("platform", "agency", "client"), scopes, strict=True):
        with scoped_transaction(house.sessions, scope) as session:
            seen[name] = session.execute(text(look), {"id": values["id"]}).scalar_one()

    assert seen == {"platform": 1, "agency": 0, "client": 0}


_MANY = """
INSERT INTO users (id, email, email_normalised, name, role, agency_id, client_id)
SELECT gen_random_uuid(), :mark || n, :mark || n, 'End', 'end_user', :agency, :client
FROM generate_series(1, 20000) n
"""
#: Pages of 8 KB that a page of fifty may touch, where the table has hundreds.
BLOCKS_MAX = 130
LISTS = {
    "staff": "role <> 'end_user'",
    "end users": "role = 'end_user'",
    "staff of a role": "role <> 'end_user' AND role = 'client_viewer'",
    "disabled end users": "role = 'end_user' AND disabled_at IS NOT NULL",
}


@pytest.fixture(scope="module")
def crowd(two: Two, house: House, database: Database) -> None:
    """Both tenants with many end users, after the planner has looked at them."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for tenant in (two.one, two.other):
            place = {"agency": tenant.agency_id, "client": tenant.client_id}
            session.execute(text(_MANY), place | {"mark": str(new_id())})
    url = database_url(database.admin_url, database.name)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ANALYZE users")


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_people_reads_no_more_however_many_there_are(
    two: Two, house: House, name: str
) -> None:
    """Decision 0031: an index for each list, by tenant and id."""
    explained = (
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id, email FROM users "
        f"WHERE {LISTS[name]} ORDER BY id DESC LIMIT 51"
    )
    scopes = {"client": client(two.one.client_id), "agency": agency(two.one.agency_id)}

    read = {}
    for kind, scope in (scopes | {"platform": PLATFORM}).items():
        with scoped_transaction(house.sessions, scope) as session:
            plan = session.execute(text(explained)).scalar_one()[0]["Plan"]
            read[kind] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    assert {kind: blocks for kind, blocks in read.items() if blocks > BLOCKS_MAX} == {}


def test_every_role_has_its_place() -> None:
    """The constraint of the database names each role that a person may have."""

    assert {role for role in Role if f"'{role.value}'" not in _PLACE} == {Role.STOREFRONT_KEY}


def test_a_second_factor_is_taken_away_within_the_tenant_and_never_read(
    two: Two, house: House
) -> None:
    made = (
        "INSERT INTO authenticators (user_id, secret_sealed, confirmed_at) "
        "SELECT id, decode('01', 'hex'), now() FROM users WHERE role = 'client_admin' "
        "ON CONFLICT DO NOTHING"
    )
    rows(house, f"{made} RETURNING 1")
    scope = client(two.one.client_id)

    with scoped_transaction(house.sessions, scope) as session:
        gone = session.execute(text("DELETE FROM authenticators")).rowcount
        session.rollback()

    assert gone == 1
    for column in ("secret_sealed", "pending_sealed", "last_step"):
        refused = refusal(house.sessions, scope, f"SELECT {column} FROM authenticators")
        assert refused == "InsufficientPrivilege"
    codes = refusal(house.sessions, scope, "SELECT code_hash FROM recovery_codes")
    assert codes == "InsufficientPrivilege"
