"""What the database itself forbids: rewriting the ledger, one-sided transfers, impossible amounts."""

from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM
from ops.bootstrap import MAY_BECOME, database_url
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows
from tests.seeding import seed

LEDGER = ("transfers", "postings")
VERBS = ("UPDATE {} SET amount = amount + 1", "DELETE FROM {}", "TRUNCATE {} CASCADE")
#: Every way to come to the ledger but as its owner or a superuser.
DOORS = [
    (login, role)
    for login in ("largesse_web", "largesse_worker", "largesse_system", "largesse_readonly")
    for role in (None, *MAY_BECOME.get(login, ()))
]
_TRANSFER = text("""
INSERT INTO transfers (id, kind, client_ref, amount, currency)
VALUES (:id, 'adjustment', :ref, :amount, 'USD')
""")
_POSTING = text("""
INSERT INTO postings (transfer_id, account_id, amount, currency, balance_after)
VALUES (:transfer, :account, :amount, 'USD', 0)
""")


def ledger(house: House) -> list[tuple[object, ...]]:
    found = rows(house, "SELECT transfer_id, account_id, amount FROM postings ORDER BY id")
    return [tuple(row) for row in found]


def attempt(url: str, role: str | None, verb: str, table: str) -> str:
    """What the database says to one forbidden statement: the name of its error."""
    with psycopg.connect(url) as connection:
        # The reader's own guard off: its grants alone must hold.
        connection.execute("SET TRANSACTION READ WRITE")
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        try:
            connection.execute(sql.SQL(verb).format(sql.Identifier(table)))
        except psycopg.Error as error:
            return type(error).__name__
        return f"{connection.info.transaction_status.name}: allowed"


def write_transfer(house: House, amount: int, sides: list[tuple[UUID, int]]) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        identity = new_id()
        session.execute(_TRANSFER, {"id": identity, "ref": identity.hex, "amount": amount})
        for account, side in sides:
            values = {"transfer": identity, "account": account, "amount": side}
            session.execute(_POSTING, values)


def test_ec073_no_login_and_no_scope_may_change_the_ledger(
    house: House, database: Database
) -> None:
    """EC-073: UPDATE, DELETE and TRUNCATE are not granted to anybody."""
    seed(house)
    before = ledger(house)

    answers = {
        (login, role, verb, table): attempt(database.urls[login], role, verb, table)
        for login, role in DOORS
        for verb in VERBS
        for table in LEDGER
    }

    assert {door for door, answer in answers.items() if answer != "InsufficientPrivilege"} == set()
    assert len(answers) == 15 * 3 * 2
    assert ledger(house) == before


@pytest.mark.parametrize("table", LEDGER)
def test_ec073_even_a_superuser_is_stopped_by_the_trigger(
    house: House, database: Database, table: str
) -> None:
    """EC-073: the trigger stands behind the grants."""
    seed(house)
    before = ledger(house)

    superuser = database_url(database.admin_url, database.name)
    answers = [attempt(superuser, None, verb, table) for verb in VERBS]

    assert answers == ["RestrictViolation"] * 3
    assert ledger(house) == before


@pytest.mark.parametrize("table", LEDGER)
def test_ec073_the_owner_of_the_tables_reaches_no_row(
    house: House, database: Database, table: str
) -> None:
    seed(house)

    with psycopg.connect(database.urls["largesse_owner"]) as connection:
        name = sql.Identifier(table)
        changed = connection.execute(sql.SQL(VERBS[0]).format(name)).rowcount
        removed = connection.execute(sql.SQL(VERBS[1]).format(name)).rowcount
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(sql.SQL(VERBS[2]).format(name))

    assert (changed, removed) == (0, 0)


@pytest.mark.parametrize(
    "sides",
    [
        lambda s: [],
        lambda s: [(s.agency_account, 100)],
        lambda s: [(s.agency_account, -100), (s.client_account, 99)],
        lambda s: [(s.agency_account, -50), (s.client_account, 50)],
    ],
    ids=["no postings", "one side", "not zero", "not its amount"],
)
def test_postings_that_do_not_balance_are_refused_at_commit(house: House, sides) -> None:
    seeded = seed(house)
    before = ledger(house)

    with pytest.raises(IntegrityError, match="postings of a transfer must sum to zero"):
        write_transfer(house, 100, sides(seeded))

    assert ledger(house) == before


def test_a_later_posting_cannot_unbalance_an_old_transfer(house: House) -> None:
    seeded = seed(house)
    old = rows(house, "SELECT id FROM transfers LIMIT 1")[0].id

    with (
        pytest.raises(IntegrityError, match="postings of a transfer must sum to zero"),
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        session.execute(_POSTING, {"transfer": old, "account": seeded.client_account, "amount": 1})


def test_a_transfer_is_reversed_once(house: House) -> None:
    seeded = seed(house)
    old = rows(house, "SELECT id FROM transfers LIMIT 1")[0].id
    reverse = text("""
        WITH t AS (INSERT INTO transfers (id, kind, client_ref, amount, currency, reverses_id)
            VALUES (:id, 'reversal', :ref, 5, 'USD', :old) RETURNING id)
        INSERT INTO postings (transfer_id, account_id, amount, currency, balance_after)
        SELECT t.id, s.account, s.amount, 'USD', 0
        FROM t, (VALUES (CAST(:a AS uuid), 5), (CAST(:b AS uuid), -5)) AS s (account, amount)
    """)

    def write() -> None:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            identity = new_id()
            values = {"id": identity, "ref": identity.hex, "old": old}
            sides = {"a": seeded.agency_account, "b": seeded.client_account}
            session.execute(reverse, values | sides)

    write()
    with pytest.raises(IntegrityError, match="uq_transfers_reverses_id"):
        write()


MONEY = {
    ("accounts", "balance"),
    ("accounts", "held"),
    ("transfers", "amount"),
    ("postings", "amount"),
    ("postings", "balance_after"),
    ("holds", "amount"),
    ("holds", "captured"),
    ("holds", "voided"),
    ("items", "charge_minor"),
    ("items", "denomination_minor"),
    ("provisions", "charge_minor"),
    ("provisions", "face_value_minor"),
}


def test_ec056_money_columns_hold_whole_numbers_only(house: House) -> None:
    """EC-056: no CHECK has to think of NaN, because the type has none."""
    found = rows(
        house,
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = 'public'::regnamespace AND a.atttypid = 'bigint'::regtype",
    )
    inexact = rows(
        house,
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = 'public'::regnamespace "
        "AND a.atttypid IN ('numeric'::regtype, 'real'::regtype, 'double precision'::regtype) "
        "AND c.relname <> 'processes'",  # a rate of work, no money
    )

    assert MONEY - {tuple(row) for row in found} == set()
    assert inexact == []


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("'NaN'::numeric", "cannot convert NaN to bigint"),
        ("'Infinity'::numeric", "cannot convert infinity to bigint"),
        ("1e999::numeric", "bigint out of range"),
        ("'NaN'", "invalid input syntax for type bigint"),
    ],
)
def test_ec056_what_is_no_amount_cannot_be_stored(house: House, amount: str, message: str) -> None:
    seeded = seed(house)

    with (
        pytest.raises(DBAPIError, match=message),
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        session.execute(
            text(f"UPDATE accounts SET balance = {amount} WHERE id = :id"),
            {"id": seeded.client_account},
        )
