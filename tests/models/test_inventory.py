"""Cards belong to the platform: a tenant reaches them through its provisions and named doors."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, Scope, ScopeRole, agency, client
from ops.bootstrap import ROLES
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import rows
from tests.models.two_tenants import Two

DOORS = {
    "claim_cards",
    "count_available_cards",
    "stocked_sources",
    "has_dearer_cards",
    "keep_vendor_card",
    "return_cards",
    "mark_defective",
    "know_people",
    "know_partner_user",
    "adopt_person",
}
#: It takes what its caller's own scope has marked in the same transaction.
IN_EVERY_SCOPE = {"mark_defective", "know_people", "adopt_person"}
#: Whoever accepts an invitation, or registers, has no tenant's scope yet.
OF_THE_SYSTEM = {"adopt_person"}
#: Run by triggers alone: nobody but the owner may call them.
OF_TRIGGERS = {"admit_key_versions", "admit_inserted", "admit_changed", "know_client_users"}
_CLAIM = text(
    "SELECT card_id FROM claim_cards(CAST(:client AS uuid), :brand, 2500, 'USD', 'csv', "
    "CAST('2026-01-01' AS date), 1, false)"
)
_COUNT = text(
    "SELECT cards FROM count_available_cards(CAST(:client AS uuid), ARRAY[CAST(:brand AS uuid)], "
    "'{2500}', 'USD', CAST('2026-01-01' AS date))"
)
_STOCKED = text(
    "SELECT source FROM stocked_sources(CAST(:client AS uuid), ARRAY[CAST(:brand AS uuid)], "
    "'{2500}', 'USD', CAST('2026-01-01' AS date))"
)
_KEEP = text(
    "SELECT keep_vendor_card(:id, :order, 'issued', ''::bytea, NULL, NULL, :index, '1234', NULL, "
    "2500, 'USD', NULL, NULL, :brand, CAST(:client AS uuid))"
)


def in_scope(house: House, scope: Scope, statement: Any, **values: Any) -> list[Any]:
    """What a statement answers in this scope; what it did is undone."""
    with scoped_transaction(house.sessions, scope) as session:
        trial = session.begin_nested()
        answer = list(session.execute(statement, values).scalars())
        trial.rollback()
        return answer


def card_states(house: House) -> dict[str, int]:
    found = rows(house, "SELECT state, count(*) AS n FROM cards GROUP BY state")
    return {row.state: row.n for row in found}


@pytest.mark.parametrize(
    "scope_of",
    [lambda t: client(t.client_id), lambda t: agency(t.agency_id)],
    ids=["client", "agency"],
)
def test_a_tenant_sees_the_cards_it_was_given_and_no_other(
    two: Two, house: House, scope_of: Callable[[Any], Scope]
) -> None:
    given = {
        row.card_id
        for row in rows(
            house,
            "SELECT card_id FROM provisions WHERE client_id = :client",
            client=two.one.client_id,
        )
    }

    seen = in_scope(house, scope_of(two.one), text("SELECT id FROM cards"))

    assert len(given) == 3
    assert set(seen) == given
    assert card_states(house) == {"issued": 6, "available": 4}


def test_a_tenant_cannot_write_cards(two: Two, house: House) -> None:
    for scope in (client(two.one.client_id), agency(two.one.agency_id)):
        for statement in ("UPDATE cards SET state = 'void'", "DELETE FROM cards"):
            with pytest.raises(ProgrammingError, match="permission denied"):
                in_scope(house, scope, text(statement + " RETURNING id"))


def test_pools_of_the_platform_are_not_listed_to_tenants(two: Two, house: House) -> None:
    pools = text("SELECT id FROM card_pools")

    assert in_scope(house, client(two.one.client_id), pools) == []
    assert in_scope(house, agency(two.one.agency_id), pools) == []
    assert len(in_scope(house, PLATFORM, pools)) == 4


def test_a_client_claims_for_itself_only(two: Two, house: House) -> None:
    mine, brand = client(two.one.client_id), two.one.brand_id
    for other in (two.other.client_id, None):
        with pytest.raises(ProgrammingError, match="in the scope of their client only"):
            in_scope(house, mine, _CLAIM, client=other, brand=brand)

    assert card_states(house) == {"issued": 6, "available": 4}
    assert len(in_scope(house, mine, _CLAIM, client=two.one.client_id, brand=brand)) == 1


def test_a_client_counts_stock_for_itself_only(two: Two, house: House) -> None:
    mine, brand = client(two.one.client_id), two.one.brand_id

    assert in_scope(house, mine, _COUNT, client=two.one.client_id, brand=brand) == [2]
    assert in_scope(house, mine, _COUNT, client=two.other.client_id, brand=brand) == []


def test_a_client_looks_for_stock_for_itself_only(two: Two, house: House) -> None:
    mine, brand = client(two.one.client_id), two.one.brand_id
    for other in (two.other.client_id, None):
        with pytest.raises(ProgrammingError, match="in the scope of their client only"):
            in_scope(house, mine, _STOCKED, client=other, brand=brand)

    assert in_scope(house, mine, _STOCKED, client=two.one.client_id, brand=brand) == ["csv"]


def test_a_client_keeps_vendor_cards_for_itself_only(two: Two, house: House) -> None:
    mine, brand = client(two.one.client_id), two.one.brand_id
    order = text("SELECT id FROM provider_orders WHERE client_id = :client")
    orders = {
        tenant.client_id: in_scope(house, SYSTEM, order, client=tenant.client_id)[0]
        for tenant in (two.one, two.other)
    }
    values = {"brand": brand, "index": b"i" * 32, "order": orders[two.one.client_id]}

    with pytest.raises(ProgrammingError, match="in the scope of its client only"):
        in_scope(house, mine, _KEEP, id=new_id(), client=two.other.client_id, **values)

    foreign = values | {"order": orders[two.other.client_id]}
    with pytest.raises(ProgrammingError, match="for an order of its client only"):
        in_scope(house, mine, _KEEP, id=new_id(), client=two.one.client_id, **foreign)

    with scoped_transaction(house.sessions, mine) as session:
        trial = session.begin_nested()
        keep = [
            session.execute(_KEEP, values | {"id": new_id(), "client": two.one.client_id}).scalar()
            for _ in range(2)
        ]
        trial.rollback()
    assert keep == [True, False]


def test_a_client_role_without_a_client_claims_nothing(two: Two, database: Database) -> None:
    """Nobody's name is not a name: NULL must not open the platform's stock."""
    claim = "SELECT card_id FROM claim_cards(NULL, %s, 2500, 'USD', 'csv', '2026-01-01', 1, false)"
    with psycopg.connect(database.urls["largesse_worker"]) as connection:
        connection.execute(f"SET ROLE {ScopeRole.CLIENT}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(claim, [two.one.brand_id])


def test_only_a_client_scope_may_go_through_the_doors(house: House) -> None:
    found = rows(
        house,
        "SELECT p.proname, r.rolname, p.proconfig, "
        "has_function_privilege(r.oid, p.oid, 'EXECUTE') AS may "
        "FROM pg_proc p, pg_roles r WHERE p.prosecdef AND r.rolname = ANY(:roles) "
        "AND p.pronamespace = 'public'::regnamespace",
        roles=list(ROLES),
    )

    may = {(row.proname, row.rolname) for row in found if row.may}
    assert {row.proname for row in found} == DOORS | OF_TRIGGERS
    assert may == {
        (door, who) for door in DOORS for who in ("largesse_client", "largesse_owner")
    } | {
        (door, who) for door in IN_EVERY_SCOPE for who in ("largesse_agency", "largesse_platform")
    } | {(own, "largesse_owner") for own in OF_TRIGGERS} | {
        (door, "largesse_system") for door in OF_THE_SYSTEM
    }
    assert {row.proconfig[0] for row in found} == {"search_path=public, pg_temp"}


def test_the_public_may_execute_no_door(house: House) -> None:
    grants: list[UUID] = rows(
        house,
        "SELECT p.proname FROM pg_proc p, aclexplode(p.proacl) a "
        "WHERE p.prosecdef AND a.grantee = 0 AND p.pronamespace = 'public'::regnamespace",
    )
    without = rows(
        house,
        "SELECT proname FROM pg_proc WHERE prosecdef AND proacl IS NULL "
        "AND pronamespace = 'public'::regnamespace",
    )

    assert (grants, without) == ([], [])
