"""Files of people go into a pool as a whole: each row is somebody, or is told why not (S3-060)."""

from uuid import UUID

import pytest

from models.base import new_id
from models.database import scoped_transaction
from models.jobs import ItemState
from models.scope import client
from pipelines.jobs.kinds import OnError
from pipelines.user_pools.read import active_members, members_csv
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import items_of, table_sizes
from tests.pooling import counts, in_pool, make_pool, work_in
from tests.proof import assert_proven
from tests.seeding import Seeded, seed

MIXED = (
    b"user_id,email,external_id,name\n"
    b",ann@example.com,,Ann\n"
    b",bob@example.com,crm-2,Bob\n"
    b",no address,,\n"
    b",ANN@example.com,,Ann again\n"
    b"x,,,\n"
    b",stranger@example.com,,\n"
    b",,,Nameless\n"
    b",ann@example.com,crm-2,\n"
    b",gone@example.com,,\n"
    b",,crm-2\n"
)
VERDICTS = [
    (3, "failed", "invalid_email", "email"),
    (4, "skipped", "duplicate_in_file", None),
    (5, "failed", "invalid_id", "user_id"),
    (6, "failed", "user_not_found", "email"),
    (7, "failed", "required", None),
    (8, "failed", "identifiers_differ", "email"),
    (9, "skipped", "recipient_inactive", None),
    (10, "failed", "column_count", None),
]


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(house: House, seeded: Seeded) -> UUID:
    return make_pool(house, seeded)


def know(house: House, seeded: Seeded, pool: UUID) -> None:
    """Ann, Bob (with an external id) and somebody who is disabled; the pool stays empty."""
    content = b"email,external_id\nann@example.com,\nbob@example.com,crm-2\ngone@example.com,\n"
    work_in(house, seeded, pool, content, makes=True)
    rows(house, "UPDATE users SET disabled_at = now() WHERE email LIKE 'gone%' RETURNING 1")
    rows(house, "DELETE FROM user_pool_members RETURNING 1")


def test_s3_060_with_skip_the_good_rows_go_in_and_each_other_is_told(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    """EC-099: the sum of the counts is that of the rows; what a row said is kept to mend it."""
    know(house, seeded, pool)

    job = work_in(house, seeded, pool, MIXED, on_error=OnError.SKIP)

    assert job["state"] == "partially_succeeded"
    assert counts(job) == {"total": 10, "succeeded": 2, "failed": 6, "skipped": 2}
    assert sum(job["counts"][state] for state in ItemState) == job["counts"]["total"]
    assert items_of(house, job["id"], "position", "state", "code", "field") == VERDICTS
    told = items_of(house, job["id"], "detail", "email", "reference", "name")
    assert told[0][1] == "no address"
    assert told[1] == ("The same person stands in row 1.", "ANN@example.com", None, "Ann again")
    assert told[3][0] == "User not found"
    assert in_pool(house, pool) == ["ann@example.com", "bob@example.com"]
    assert rows(house, "SELECT count(*) FROM job_inputs") == [(0,)]
    assert_proven(house)


def test_s3_060_with_abort_one_wrong_row_adds_and_makes_nobody(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    know(house, seeded, pool)
    before = table_sizes(house)

    job = work_in(house, seeded, pool, MIXED, makes=True)

    assert job["state"] == "failed"
    assert job["error"] == {
        "status": 422,
        "code": "rows_refused",
        "detail": "5 of 10 rows have errors and nobody was added.",
    }
    assert counts(job) == {"total": 10, "failed": 5, "skipped": 2, "cancelled": 3}
    after = table_sizes(house)
    kept = ("users", "client_users", "user_pool_members")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert_proven(house)


def test_s3_060_whoever_is_not_known_is_made_once_however_often_they_stand_there(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    """And nobody is made whom no client knows."""
    content = (
        b"email,external_id,name\n"
        b",crm-1,One\n"
        b"one@example.com,crm-1,The first\n"
        b"ONE@example.com,,\n"
        b"two@example.com,,Two\n"
        b",crm-3,\n"
    )

    job = work_in(house, seeded, pool, content, makes=True)

    assert counts(job) == {"total": 5, "succeeded": 3, "skipped": 2}
    found = rows(
        house,
        "SELECT c.email, c.external_id, c.name, u.role, u.password_hash, u.client_id "
        "FROM client_users c JOIN users u ON u.id = c.user_id ORDER BY c.external_id, c.email",
    )
    assert [tuple(row) for row in found] == [
        ("one@example.com", "crm-1", "The first", "end_user", None, None),
        (None, "crm-3", "", "end_user", None, None),
        ("two@example.com", None, "Two", "end_user", None, None),
    ]
    assert rows(house, "SELECT count(*) FROM users") == [(3,)]
    assert rows(house, "SELECT members, members_version, version FROM user_pools") == [(3, 2, 1)]
    assert_proven(house)


def test_a_known_address_is_given_the_external_id_that_stands_beside_it(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    know(house, seeded, pool)
    content = b"email,external_id\nann@example.com,crm-1\nbob@example.com,crm-9\n"

    job = work_in(house, seeded, pool, content, makes=True, on_error=OnError.SKIP)

    found = rows(house, "SELECT email, external_id FROM client_users ORDER BY email")
    assert [tuple(row) for row in found][:2] == [
        ("ann@example.com", "crm-1"),
        ("bob@example.com", "crm-2"),
    ]
    assert items_of(house, job["id"], "position", "code") == [(2, "identifiers_differ")]
    assert in_pool(house, pool) == ["ann@example.com"]


@pytest.mark.parametrize(
    "content",
    [
        b"email,external_id\na@x.de,1\na@x.de,2\n",
        b"email,external_id\na@x.de,1\nb@x.de,1\n",
    ],
)
def test_rows_that_make_one_person_two_are_told_before_anybody_is_made(
    house: House, seeded: Seeded, pool: UUID, content: bytes
) -> None:
    job = work_in(house, seeded, pool, content, makes=True)

    assert (job["state"], counts(job)) == ("failed", {"total": 2, "failed": 1, "cancelled": 1})
    assert items_of(house, job["id"], "position", "code") == [(2, "identifiers_differ")]
    assert rows(house, "SELECT count(*) FROM users") == [(0,)]


def test_the_same_file_again_adds_nobody_and_says_so(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    content = b"email\na@x.de\nb@x.de\n"
    work_in(house, seeded, pool, content, makes=True)
    again = work_in(house, seeded, pool, content, makes=True)

    assert (again["state"], counts(again)) == ("failed", {"total": 2, "skipped": 2})
    assert again["error"] is None
    assert {row[0] for row in items_of(house, again["id"], "code")} == {"already_member"}
    assert in_pool(house, pool) == ["a@x.de", "b@x.de"]


def test_a_list_of_members_goes_into_another_pool_as_it_is(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    """S3-060: the export is an import, ids and all."""
    content = b'email,external_id,name\na@x.de,=1+1,"=cmd"\n,crm-2,\n'
    work_in(house, seeded, pool, content, makes=True)
    other = make_pool(house, seeded, "Others")
    scope = client(seeded.client_id)
    exported = b"".join(members_csv(house.sessions, scope, pool))

    job = work_in(house, seeded, other, exported)

    assert counts(job) == {"total": 2, "succeeded": 2}
    assert b'"\'=1+1","\'=cmd"' in exported
    with scoped_transaction(house.sessions, scope) as session:
        assert active_members(session, other) == active_members(session, pool)


def test_another_client_s_people_are_nobody_in_a_file(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    """SEC-10: by id, by address and by external id alike."""
    other = seed(house, vendor=False)
    theirs = make_pool(house, other, "Theirs")
    work_in(house, other, theirs, b"email,external_id\na@x.de,crm-1\n", makes=True)
    (person,) = rows(house, "SELECT user_id FROM client_users")

    content = f"user_id,email,external_id\n{person.user_id},,\n,a@x.de,\n,,crm-1\n{new_id()},,\n"
    job = work_in(house, seeded, pool, content.encode(), on_error=OnError.SKIP)

    told = items_of(house, job["id"], "code", "detail")
    assert told == [("user_not_found", "User not found")] * 4
    assert in_pool(house, pool) == []
