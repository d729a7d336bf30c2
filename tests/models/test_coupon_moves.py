"""The database itself holds the moves of a coupon and its past, whoever writes (EC-084, S3-036)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from models.base import new_id
from models.books import CouponState
from ops.bootstrap import database_url
from pipelines.books.coupon_states import MOVES
from pipelines.wiring import House
from tests.booking import make_book
from tests.conftest import Database
from tests.couponing import bring, coupon, put_codes
from tests.seeding import Seeded
from tests.standing import database, house, seeded

__all__ = ["database", "house", "seeded"]

ROOT = Path(__file__).parents[2]
S = CouponState
#: Who may write coupons at all, and the superuser, whom no right and no policy holds back.
WRITERS = ("largesse_client", "largesse_agency", "largesse_platform", "largesse_system", None)
MOVE = """
UPDATE coupons SET state = %(to)s, version = version + 1,
  user_id = CASE WHEN %(to)s = 'unassigned' THEN NULL ELSE coalesce(user_id, %(person)s) END,
  locked_until = CASE WHEN %(to)s = 'locked' THEN now() END
WHERE id = %(coupon)s
"""


@pytest.fixture(scope="module")
def coupons(house: House, seeded: Seeded) -> dict[CouponState, Any]:
    """One coupon in each state, by the product's own moves."""
    book_id = make_book(house, seeded)
    codes = dict(zip(CouponState, put_codes(house, seeded, book_id, len(CouponState)), strict=True))
    for state, code in codes.items():
        bring(house, seeded, code, state, new_id())
    return {state: coupon(house, seeded, code).id for state, code in codes.items()}


@contextmanager
def writing(database: Database, role: str | None, seeded: Seeded) -> Iterator[Connection[Any]]:
    """As one of the product's roles in the coupon's tenant, or as the superuser; then undone."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        for name in ("agency_id", "client_id"):
            value = str(getattr(seeded, name))
            connection.execute("SELECT set_config(%s, %s, true)", (f"app.{name}", value))
        if role is not None:
            connection.execute(f"SET LOCAL ROLE {role}".encode())
        yield connection
        connection.rollback()


def broken(connection: Connection[Any], statement: str, **values: Any) -> str | None:
    """The constraint that refuses the statement, or None; it changes one row otherwise."""
    try:
        with connection.transaction(force_rollback=True):
            assert connection.execute(statement.encode(), values).rowcount == 1
    except psycopg.errors.IntegrityError as error:
        return error.diag.constraint_name
    return None


@pytest.mark.parametrize("role", WRITERS)
def test_ec084_raw_sql_makes_exactly_the_moves_of_the_table(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any], role: str | None
) -> None:
    """EC-084: each state to each other one, whoever writes."""
    with writing(database, role, seeded) as connection:
        found = {
            (old, new): broken(connection, MOVE, to=new.value, coupon=coupons[old], person=new_id())
            for old in S
            for new in S
            if old is not new
        }

    legal = {(old, new) for old, reachable in MOVES.items() for new in reachable}
    assert {pair for pair, constraint in found.items() if constraint is None} == legal
    refused = {pair: constraint for pair, constraint in found.items() if pair not in legal}
    assert set(refused.values()) == {"ck_coupons_moves"}


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("state", [S.REDEEMED, S.VOID])
def test_ec084_what_ended_changes_in_nothing(
    database: Database,
    seeded: Seeded,
    coupons: dict[CouponState, Any],
    role: str | None,
    state: CouponState,
) -> None:
    """Not even a column that means nothing any more."""
    with writing(database, role, seeded) as connection:
        found = [
            broken(
                connection,
                f"UPDATE coupons SET {change}, version = version + 1 WHERE id = %(coupon)s",
                coupon=coupons[state],
            )
            for change in ("draw_key = 1", "redemptions = redemptions + 1", "assigned_at = now()")
        ]

    assert found == ["ck_coupons_past"] * 3


@pytest.mark.parametrize(
    "change",
    [
        "book_id = gen_random_uuid()",
        "id = gen_random_uuid()",
        "agency_id = gen_random_uuid()",
        "client_id = gen_random_uuid()",
        "code = 'ANOTHER-1'",
        "code = NULL",
        "redemptions = redemptions - 1",
        "version = version",
        "version = version + 2",
        "version = version - 1",
    ],
)
def test_ec084_a_coupon_keeps_its_code_its_tenant_and_its_past(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any], change: str
) -> None:
    """Each beside a version that counts up as it should, where it is not the version itself."""
    counted = change if "version" in change else f"{change}, version = version + 1"
    with writing(database, None, seeded) as connection:
        sets = f"UPDATE coupons SET {counted} WHERE id = %(coupon)s"
        found = broken(connection, sets, coupon=coupons[S.ASSIGNED])

    assert found == "ck_coupons_past"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE code_index SET coupon_id = gen_random_uuid()",
        "UPDATE code_index SET blind_index = 'x'",
        "DELETE FROM code_index",
    ],
)
def test_ec084_which_coupon_a_code_is_stays_so(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any], change: str
) -> None:
    """Whoever writes: also the owner of the table."""
    with writing(database, None, seeded) as connection, pytest.raises(psycopg.Error):
        connection.execute(change.encode())


def test_ec084_a_coupon_that_was_redeemed_once_is_never_nobodys_again(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any]
) -> None:
    """Of a coupon with several redemptions: it can be voided, and that is all."""
    redeemed = "redemptions = 1, version = version + 1 WHERE id = %(coupon)s"
    with writing(database, None, seeded) as connection:
        values = {"coupon": coupons[S.ASSIGNED], "person": new_id()}
        connection.execute(f"UPDATE coupons SET {redeemed}".encode(), values)
        back = broken(connection, MOVE, **values, to="unassigned")
        void = broken(connection, MOVE, **values, to="void")

    assert (back, void) == ("ck_coupons_past", None)


@pytest.mark.parametrize("verb", ["UPDATE coupon_events SET reason = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("role", WRITERS[:-1])
def test_s3_014_no_role_of_the_product_changes_history_or_removes_a_coupon(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any], role: str, verb: str
) -> None:
    """S1-015, S3-014: what was done stays written."""
    for table in ("coupon_events", "coupons"):
        with (
            writing(database, role, seeded) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(verb.format(table).encode())


@pytest.mark.parametrize("verb", ["UPDATE coupon_events SET reason = 'x'", "DELETE FROM {}"])
def test_s3_014_not_even_the_superuser_changes_history(
    database: Database, seeded: Seeded, coupons: dict[CouponState, Any], verb: str
) -> None:
    with (
        writing(database, None, seeded) as connection,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        connection.execute(verb.format("coupon_events").encode())


def test_ec084_the_table_of_moves_is_the_drawing_in_the_documents() -> None:
    """docs/states.md draws what `MOVES` says; the trigger was asked above."""
    text = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
    drawing = text.partition("## Coupons")[2].partition("```mermaid")[2].partition("```")[0]
    drawn = {
        tuple(line.partition(":")[0].replace(" ", "").split("-->"))
        for line in drawing.splitlines()
        if "-->" in line and "[*]" not in line
    }

    assert drawn == {(old.value, new.value) for old, reach in MOVES.items() for new in reach}
