"""The one door through which a person without credentials gets an account, and what it refuses."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM, Scope, agency, client
from pipelines.access.users import EmailTaken, NewUser, add_user
from pipelines.wiring import House
from tests.driving import rows
from tests.pooling import make_pool, work_in
from tests.racing import race
from tests.seeding import Seeded, seed
from tests.until import until

ANN = "ann@example.com"
_IMPORT = b"email,external_id,name\nAnn@example.com,crm-7,Ann Lee\n"
_ADOPT = text("""
SELECT adopt_person(:email, :email, 'Ann', 'hash', :role, CAST(:agency AS uuid), CAST(:client AS uuid))
""")

_KNOW = text("""
SELECT know_people(:agency, :client, ARRAY[:id], ARRAY[:email], ARRAY[:email], ARRAY[''],
    CAST(ARRAY[NULL] AS text[]))
""")


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def other(house: House) -> Seeded:
    """The client that imports Ann."""
    return seed(house, vendor=False)


@pytest.fixture
def ann(house: House, other: Seeded) -> UUID:
    """Somebody whom the other client knows, and who has no account."""
    work_in(house, other, make_pool(house, other), _IMPORT, makes=True)
    (row,) = rows(house, "SELECT id FROM users")
    return UUID(str(row.id))


def people(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM users ORDER BY id")


def knowledge(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM client_users ORDER BY client_id, user_id")


def adopt(house: House, scope: Scope, role: Role, tenant: Seeded | None, *, place: int = 2) -> Any:
    """What the function answers; `place` says how much of the tenant is named."""
    ids = (tenant.agency_id, tenant.client_id) if tenant else (None, None)
    named = [*ids[:place], None, None]
    values = {"email": ANN, "role": role.value, "agency": named[0], "client": named[1]}
    with scoped_transaction(house.sessions, scope) as session:
        return session.execute(_ADOPT, values).scalar_one()


def viewer(tenant: Seeded) -> NewUser:
    place = {"agency_id": tenant.agency_id, "client_id": tenant.client_id}
    return NewUser("ANN@example.com", "", Role.CLIENT_VIEWER, "Anna", **place)


def made(house: House, tenant: Seeded) -> bool:
    """Whether the client got Ann as a viewer; False if the address was taken."""
    try:
        with scoped_transaction(house.sessions, client(tenant.client_id)) as session:
            add_user(session, viewer(tenant), password_hash="hash", actor_id=None)
    except EmailTaken:
        return False
    return True


def test_who_is_adopted_stays_the_same_person_and_other_clients_are_told_nothing(
    house: House, seeded: Seeded, other: Seeded, ann: UUID
) -> None:
    before = knowledge(house)

    assert made(house, seeded)

    (row,) = people(house)
    assert (row.id, row.email, row.name, row.role) == (
        ann,
        "ANN@example.com",
        "Anna",
        "client_viewer",
    )
    assert (row.agency_id, row.client_id) == (seeded.agency_id, seeded.client_id)
    assert (row.password_hash, row.proven_at) == ("hash", None)
    kept = {known.client_id: known for known in knowledge(house)}
    assert [kept[other.client_id]] == before
    mine = kept[seeded.client_id]
    assert (mine.user_id, mine.email, mine.name, mine.external_id) == (
        ann,
        "ANN@example.com",
        "Anna",
        None,
    )
    assert rows(house, "SELECT count(*) FROM user_pool_members WHERE user_id = :id", id=ann) == [
        (1,)
    ]


def test_a_client_that_adopts_whom_it_imported_keeps_its_own_id_of_them(
    house: House, other: Seeded, ann: UUID
) -> None:
    assert made(house, other)

    (known,) = knowledge(house)
    assert (known.user_id, known.name, known.external_id) == (ann, "Anna", "crm-7")


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    "change",
    [
        "password_hash = 'theirs'",
        "role = 'platform_support'",
        "agency_id = CAST(:agency AS uuid)",
        "agency_id = CAST(:agency AS uuid), client_id = CAST(:client AS uuid)",
        "disabled_at = now()",
    ],
)
def test_who_has_credentials_a_tenant_or_an_end_is_nobody_s_to_adopt(
    house: House, seeded: Seeded, other: Seeded, change: str
) -> None:
    """Whoever was disabled is not brought back by an invitation or a registration."""
    values = {"agency": other.agency_id, "client": other.client_id}
    wanted = {name: value for name, value in values.items() if f":{name}" in change}
    rows(house, f"UPDATE users SET {change} RETURNING 1", **wanted)
    before = (people(house), knowledge(house))

    assert not made(house, seeded)

    assert adopt(house, SYSTEM, Role.END_USER, None) is None
    assert (people(house), knowledge(house)) == before
    assert rows(house, "SELECT 1 FROM audit_entries WHERE action = 'user.created'") == []


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("scope_of", "role", "place"),
    [
        (lambda one, _two: client(one.client_id), Role.CLIENT_VIEWER, 2),
        (lambda one, _two: client(one.client_id), Role.AGENCY_ADMIN, 1),
        (lambda one, _two: client(one.client_id), Role.PLATFORM_ADMIN, 0),
        (lambda one, _two: agency(one.agency_id), Role.AGENCY_ADMIN, 1),
        (lambda one, _two: agency(one.agency_id), Role.PLATFORM_ADMIN, 0),
        (lambda _one, two: client(two.client_id), Role.AGENCY_ADMIN, 1),
        (lambda _one, two: client(two.client_id), Role.END_USER, 0),
    ],
)
def test_sec010_nobody_is_adopted_into_another_tenant_or_above(
    house: House,
    seeded: Seeded,
    other: Seeded,
    scope_of: Callable[[Seeded, Seeded], Scope],
    role: Role,
    place: int,
) -> None:
    before = (people(house), knowledge(house))

    with pytest.raises(ProgrammingError, match="not one in scope"):
        adopt(house, scope_of(seeded, other), role, other, place=place)

    assert (people(house), knowledge(house)) == before


@pytest.mark.parametrize("scope", [PLATFORM, SYSTEM])
def test_an_address_that_nobody_has_is_not_made_by_the_door(
    house: House, seeded: Seeded, scope: Scope
) -> None:
    assert adopt(house, scope, Role.CLIENT_VIEWER, seeded) is None
    assert (people(house), knowledge(house)) == ([], [])


def test_of_two_clients_that_adopt_at_once_one_gets_the_person(
    house: House, seeded: Seeded, other: Seeded, ann: UUID
) -> None:
    turns = [seeded, other] * 3

    won = race(6, lambda: made(house, turns.pop()))

    (row,) = people(house)
    assert (won, row.id, row.role) == (1, ann, "client_viewer")
    assert row.client_id in {seeded.client_id, other.client_id}
    assert rows(house, "SELECT count(*) FROM audit_entries WHERE action = 'user.created'") == [(1,)]


def test_an_adoption_beside_an_import_of_the_addresses_leaves_one_person_each(
    house: House, seeded: Seeded, other: Seeded
) -> None:
    """Whoever is first makes the row; an import makes no account less."""
    addresses = [f"p{number}@example.com" for number in range(8)]
    start = threading.Barrier(2)

    def imported(address: str) -> None:
        values = {"agency": other.agency_id, "client": other.client_id, "id": new_id()}
        start.wait(timeout=30)
        with scoped_transaction(house.sessions, client(other.client_id)) as session:
            session.execute(_KNOW, values | {"email": address})

    def added(address: str) -> None:
        person = replace(viewer(seeded), email=address)
        start.wait(timeout=30)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            add_user(session, person, password_hash="hash", actor_id=None)

    with ThreadPoolExecutor(2) as both:
        for work in [
            both.submit(lambda one=one: [one(address) for address in addresses])
            for one in (imported, added)
        ]:
            work.result()

    found = rows(house, "SELECT role, client_id, count(*) AS n FROM users GROUP BY 1, 2")
    assert found == [("client_viewer", seeded.client_id, 8)]
    known = rows(house, "SELECT client_id, count(*) AS n FROM client_users GROUP BY 1")
    assert {row.client_id: row.n for row in known} == {seeded.client_id: 8, other.client_id: 8}


def test_whoever_is_added_while_an_import_makes_them_waits_and_is_that_person(
    house: House, seeded: Seeded, other: Seeded
) -> None:
    imported = new_id()
    values = {"agency": other.agency_id, "client": other.client_id, "id": imported, "email": ANN}
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"

    with ThreadPoolExecutor(1) as beside:
        with scoped_transaction(house.sessions, client(other.client_id)) as session:
            session.execute(_KNOW, values)
            adding = beside.submit(made, house, seeded)
            until(lambda: session.execute(text(waiting)).first())
        won = adding.result()

    (row,) = people(house)
    assert (won, row.id, row.client_id) == (True, imported, seeded.client_id)
