"""What row policies do and do not stop, each as the design measured it (SEC-12, security.md section 3).

What a scope sees and writes, what is left on a connection, logins and views: test_tenancy.py.
"""

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.base import TableClass
from models.database import scoped_transaction
from models.scope import agency, client
from models.tables import CLASSES, metadata
from ops.bootstrap import LOGINS, OWNER, database_url
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows
from tests.models.two_tenants import Two

TENANT = sorted(name for name, kind in CLASSES.items() if kind is TableClass.TENANT)
SCOPES = ("largesse_client", "largesse_agency", "largesse_platform", "largesse_system")


#: Whose card it is, and whom nobody's client may see but a function must know of.
SEEN_BY_THE_OWNER = {"provisions", "users", "client_users"}


def enter(connection: psycopg.Connection, role: str, **settings: str) -> None:
    """Take a role and tenant ids for this transaction, as the house does."""
    connection.execute("SELECT set_config('role', %s, true)", [role])
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", [f"app.{name}", value])


def count(connection: psycopg.Connection, table: str) -> int:
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    (number,) = found.fetchone() or (None,)
    assert number is not None
    return number


def test_an_emptied_setting_compares_with_nothing(two: Two, database: Database) -> None:
    """After a transaction the setting is '' and not NULL: no cast fails, and no row is seen."""
    with psycopg.connect(database.urls["largesse_web"]) as connection:
        enter(connection, "largesse_client", client_id="")

        assert {name: count(connection, name) for name in TENANT} == dict.fromkeys(TENANT, 0)


def test_a_setting_survives_no_autocommit_statement(two: Two, database: Database) -> None:
    """Local settings end with their statement there: nothing is seen, nothing is kept."""
    with psycopg.connect(database.urls["largesse_web"], autocommit=True) as connection:
        enter(connection, "largesse_client", client_id=str(two.one.client_id))

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            count(connection, "jobs")


def test_a_savepoint_that_is_rolled_back_restores_the_scope(two: Two, database: Database) -> None:
    one, other = str(two.one.client_id), str(two.other.client_id)
    with psycopg.connect(database.urls["largesse_web"]) as connection:
        enter(connection, "largesse_client", client_id=one)
        before = connection.execute("SELECT id FROM jobs ORDER BY id").fetchall()
        with pytest.raises(ZeroDivisionError), connection.transaction():
            enter(connection, "largesse_client", client_id=other)
            raise ZeroDivisionError

        assert connection.execute("SELECT id FROM jobs ORDER BY id").fetchall() == before


def test_the_product_never_sets_for_a_whole_session(house: House) -> None:
    """A plain SET that is committed leaks to the next user of the pooled connection."""
    bound = house.sessions.kw["bind"]
    with bound.connect() as connection:
        found = connection.execute(
            text(
                "SELECT current_setting('role'), current_setting('app.client_id', true), "
                "current_setting('app.agency_id', true)"
            )
        ).one()

    assert tuple(value or "" for value in found) == ("none", "", "")


def test_the_owner_is_under_the_policies_too(two: Two, database: Database) -> None:
    """FORCE: who owns the tables sees only what its functions need, and only for a scope."""
    with psycopg.connect(database.urls[OWNER]) as connection:
        seen = {name: count(connection, name) for name in TENANT if name not in SEEN_BY_THE_OWNER}

    assert seen == dict.fromkeys(seen, 0)


def test_nothing_of_the_product_runs_as_a_superuser(house: House, database: Database) -> None:
    """A superuser looks past every policy, FORCE or not: shown here, and kept from every login."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        assert count(connection, "jobs") > 0
    strong = rows(
        house,
        "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolbypassrls OR rolcreaterole "
        "OR rolcreatedb OR rolreplication) AND rolname LIKE 'largesse%'",
    )

    assert strong == []
    assert set(database.urls) == set(LOGINS)


def test_copy_into_a_tenant_table_is_refused(two: Two, house: House) -> None:
    """COPY does not look at policies, so it may not: rows go through a temporary table."""
    with (
        pytest.raises(psycopg.errors.FeatureNotSupported, match="row-level security"),
        scoped_transaction(house.sessions, client(two.one.client_id)) as session,
        session.connection().connection.cursor() as cursor,
        cursor.copy("COPY items (job_id) FROM STDIN") as copy,
    ):
        copy.write("")


@pytest.mark.parametrize("role", ["largesse_client", "largesse_agency"])
def test_policies_cannot_be_switched_off(two: Two, database: Database, role: str) -> None:
    with psycopg.connect(database.urls["largesse_web"]) as connection:
        enter(connection, role, client_id=str(two.one.client_id))
        connection.execute("SET LOCAL row_security = off")

        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            count(connection, "jobs")


def test_no_role_may_truncate_or_leave_its_table_s_triggers_out(house: House) -> None:
    """TRUNCATE looks at no policy."""
    found = rows(
        house,
        "SELECT r.rolname, c.relname FROM pg_roles r, pg_class c "
        "WHERE r.rolname = ANY(:roles) AND c.relnamespace = 'public'::regnamespace "
        "AND c.relkind IN ('r', 'p') AND (has_table_privilege(r.oid, c.oid, 'TRUNCATE') "
        "OR has_table_privilege(r.oid, c.oid, 'TRIGGER') "
        "OR has_table_privilege(r.oid, c.oid, 'REFERENCES'))",
        roles=[*SCOPES, *(login for login in LOGINS if login != OWNER)],
    )

    assert found == []


#: What would hang under another client's row if its foreign key named the id alone.
HUNG = {
    "chunks": """INSERT INTO chunks (job_id, number, state, agency_id, client_id)
        SELECT id, 99, 'closed', :agency, :client FROM foreign_jobs""",
    "items": """INSERT INTO items (job_id, position, chunk_number, agency_id, client_id)
        SELECT id, 99, 1, :agency, :client FROM foreign_jobs""",
    "job_inputs": """INSERT INTO job_inputs (job_id, part, id, sealed, content, agency_id, client_id)
        SELECT id, 99, id, false, '', :agency, :client FROM foreign_jobs""",
    "provider_orders": """INSERT INTO provider_orders (id, agency_id, client_id, job_id, position,
            brand_id, vendor, product, face_value_minor, currency, state)
        SELECT id, :agency, :client, id, 1, id, 'reloadly', '1', 1, 'USD', 'refused'
        FROM foreign_jobs""",
    "provisions": """INSERT INTO provisions (id, agency_id, client_id, campaign_id, job_id, position,
            card_id, brand_id, source, currency, face_value_minor, charge_minor, transfer_id, last4,
            delivery_method)
        SELECT id, :agency, :client, id, id, 98, :card, id, 'csv', 'USD', 1, 1, id, '0000', 'none'
        FROM foreign_jobs""",
    "deliveries": """INSERT INTO deliveries (id, agency_id, client_id, job_id, position, channel,
            good_until)
        SELECT id, :agency, :client, id, 2, 'email', now() FROM foreign_jobs""",
    "webhook_deliveries": """INSERT INTO webhook_deliveries (id, agency_id, client_id, endpoint_id,
            event_id, type, object_kind, object_id, sequence, data, happened_at, next_at)
        SELECT id, :agency, :client, id, id, 'job.finished', 'job', id, 1, '{}', now(), now()
        FROM foreign_webhook_endpoints""",
    "holds": """INSERT INTO holds (id, agency_id, client_id, account_id, job_id, round, currency,
            amount)
        SELECT id, :agency, :client, id, id, 9, 'USD', 1 FROM foreign_accounts""",
    "postings": """INSERT INTO postings (transfer_id, account_id, agency_id, client_id, amount,
            currency, balance_after)
        SELECT (SELECT id FROM transfers LIMIT 1), id, :agency, :client, 1, 'USD', 1
        FROM foreign_accounts""",
    "jobs": """INSERT INTO jobs (id, kind, spec, retain_until, campaign_id, agency_id, client_id)
        SELECT id, 'provisioning', '{}', now(), id, :agency, :client FROM foreign_campaigns""",
    "loaded_codes": """INSERT INTO loaded_codes (campaign_id, blind_index, brand_id,
            denomination_minor, loaded_by, agency_id, client_id)
        SELECT f.id, 'x', b.id, 1, f.id, :agency, :client
        FROM foreign_campaigns, (SELECT id FROM brands LIMIT 1) b""",
    "coupons": """INSERT INTO coupons (book_id, id, draw_key, load_job_id, agency_id, client_id)
        SELECT id, id, 1, id, :agency, :client FROM foreign_books""",
    "code_index": """INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
        SELECT 'x', id, id, :agency, :client FROM foreign_books""",
    "coupon_counts": """INSERT INTO coupon_counts (book_id, user_id, agency_id, client_id)
        SELECT id, id, :agency, :client FROM foreign_books""",
    "redemption_codes": """INSERT INTO redemption_codes (campaign_id, blind_index, job_id,
            agency_id, client_id)
        SELECT id, 'x', id, :agency, :client FROM foreign_campaigns""",
}


_BARE_ITEM = """INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state)
    SELECT id, 98, 1, agency_id, client_id, 'cancelled' FROM jobs WHERE id = :job
    ON CONFLICT DO NOTHING RETURNING 1"""


_FREE_CARD = """SELECT id FROM cards c
    WHERE NOT EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id) LIMIT 1"""


@pytest.mark.parametrize("who", ["client", "client for a foreign agency", "agency"])
@pytest.mark.parametrize("table", HUNG)
def test_a_child_cannot_be_hung_under_a_foreign_parent(
    two: Two, house: House, table: str, who: str
) -> None:
    """Foreign keys ignore policies, and a key with a NULL in it is not asked."""
    one, other = two.one, two.other
    parents = {
        name: rows(
            house, f"SELECT id FROM {name} WHERE client_id = :it LIMIT 1", it=other.client_id
        )[0].id
        for name in ("jobs", "accounts", "campaigns", "books", "webhook_endpoints")
    }
    # An item that nobody has a card for, in the other's job, and a card that nobody has.
    rows(house, _BARE_ITEM, job=parents["jobs"])
    (free,) = rows(house, _FREE_CARD)
    statement = HUNG[table]
    for name in parents:
        statement = statement.replace(f"foreign_{name}", f"(SELECT CAST(:{name} AS uuid) AS id) f")
    scope = agency(one.agency_id) if who == "agency" else client(one.client_id)
    tenant = {
        "card": free.id,
        "agency": one.agency_id if who != "client for a foreign agency" else other.agency_id,
        "client": one.client_id if who != "agency" else None,
    }
    with (
        pytest.raises(IntegrityError) as refused,
        scoped_transaction(house.sessions, scope) as session,
    ):
        session.execute(text(statement), parents | tenant)

    cause = refused.value.orig
    if who == "agency":
        assert isinstance(
            cause, pg.ForeignKeyViolation | pg.CheckViolation | pg.NotNullViolation
        ), cause
    else:
        assert isinstance(cause, pg.ForeignKeyViolation)
        assert "agency_id" in (cause.diag.constraint_name or "")


#: Foreign keys between tenant tables whose two ends may be of different tenants.
ACROSS = {
    "open_redemptions.book_id": "names the coupon that the same transaction has locked",
    "accounts.parent_id": "credit flows down from the tenant above",
    "transfers.reverses_id": "the product names the movement it takes back, never a caller",
    "receivables.transfer_id": "the platform names the movement that is taken back",
    "top_ups.transfer_id": "written by the system when its payment has come",
    "postings.transfer_id": "a movement has two sides, which may be of two tenants",
    "clients.agency_id": "names the tenant itself",
    "client_users.user_id": "a person is one row, whoever knows them",
    "invitations.user_id": "written by the system when an invitation is taken up",
    "upload_drafts.user_id": "written from the credential; an agency's person may make a client's",
}


def test_every_foreign_key_between_tenants_tables_names_the_tenant() -> None:
    tables = metadata().tables
    alone = set()
    for name in TENANT:
        keys = tables[name].foreign_key_constraints
        inside = [key for key in keys if key.referred_table.name in TENANT]
        named = {c for key in inside if "client_id" in key.column_keys for c in key.column_keys}
        alone |= {
            f"{name}.{key.column_keys[0]}"
            for key in inside
            if "client_id" not in key.column_keys and not named & set(key.column_keys)
        }

    assert alone == set(ACROSS)


#: Unique by a value that no caller chooses -> why it tells nothing.
DRAWN = {"widget_sessions(token_hash)": "the digest of 256 bits that we drew"}


def test_what_is_unique_tells_nothing_of_other_tenants(two: Two, house: House) -> None:
    """A unique value across tenants would answer whether somebody else has it."""
    tables = metadata().tables
    across = {
        f"{name}({', '.join(sorted(column.name for column in index.columns))})"
        for name in TENANT
        for index in tables[name].indexes
        if index.unique
        # A job and a partner are of one tenant, as the keys that name them say.
        and not {c.name for c in index.columns}
        & {"client_id", "agency_id", "job_id", "partner_id", "id"}
        # Ids of ours are drawn, not chosen by callers; so are the places in a deck.
        and not all(c.name.endswith("_id") or c.name == "draw_key" for c in index.columns)
        and not {"assigned_job_id"} & {c.name for c in index.columns}
    }

    assert across == set(DRAWN)


def test_an_error_of_a_tenant_table_shows_no_value(two: Two, house: House) -> None:
    (job,) = rows(
        house,
        "SELECT id FROM jobs WHERE client_id = :client ORDER BY id LIMIT 1",
        client=two.one.client_id,
    )
    with (
        pytest.raises(IntegrityError) as refused,
        scoped_transaction(house.sessions, client(two.one.client_id)) as session,
    ):
        session.execute(
            text(
                "INSERT INTO chunks (job_id, number, state, agency_id, client_id) "
                "SELECT job_id, number, state, agency_id, client_id FROM chunks "
                "WHERE job_id = :job LIMIT 1"
            ),
            {"job": job.id},
        )

    assert refused.value.orig.diag.message_detail is None
    assert str(job.id) not in str(refused.value)


def test_a_caller_who_runs_sql_could_change_the_scope_s_id_but_not_its_role(
    two: Two, database: Database
) -> None:
    """Policies guard against our forgotten WHERE, not against SQL of others: SEC-22 does."""
    with psycopg.connect(database.urls["largesse_web"]) as connection:
        enter(connection, "largesse_client", client_id=str(two.one.client_id))
        enter(connection, "largesse_client", client_id=str(two.other.client_id))
        assert count(connection, "jobs") > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET LOCAL ROLE largesse_owner")
