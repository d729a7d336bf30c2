"""Pools of people: made, changed, listed, with people added, removed and looked up (S1-016, S1-017)."""

from uuid import UUID, uuid4

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(manager: Caller) -> str:
    return manager.post("/pools", {"name": "Beta Testers"}).json["id"]


def members(caller: Caller, pool: str, query: str = "") -> list[dict]:
    return caller.get(f"/pools/{pool}/users{query}").json["data"]


def add(caller: Caller, pool: str, **body) -> dict:
    return caller.post(f"/pools/{pool}/users", body).json


def test_s3_124_a_pool_is_made_with_its_description(
    manager: Caller, house: House, seeded: Seeded
) -> None:
    """S3-124, S3-059"""
    made = manager.post("/pools", {"name": " VIP ", "description": "Bought for 500 and more"})

    assert made.status_code == 201
    assert made.headers["ETag"] == '"1"'
    assert {name: made.json[name] for name in ("name", "description", "members", "archived")} == {
        "name": "VIP",
        "description": "Bought for 500 and more",
        "members": 0,
        "archived": False,
    }
    assert made.json["client_id"] == str(seeded.client_id)
    assert manager.get(f"/pools/{made.json['id']}").json == made.json
    (told,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user_pool.created'")
    assert (str(told.object_id), told.detail) == (made.json["id"], {"name": "VIP"})


def test_a_second_pool_of_a_name_is_refused_until_the_first_is_put_away(
    manager: Caller, house: House, pool: str
) -> None:
    before = table_sizes(house)
    taken = manager.post("/pools", {"name": "BETA testers"})
    after = table_sizes(house)
    manager.call("PATCH", f"/pools/{pool}", {"archived": True})
    free = manager.post("/pools", {"name": "BETA testers"})
    back = manager.call("PATCH", f"/pools/{pool}", {"archived": False})

    assert (taken.status_code, taken.json["code"]) == (409, "name_taken")
    assert after == before
    assert free.status_code == 201
    assert (back.status_code, back.json["code"]) == (409, "name_taken")


def test_s3_125_pools_are_listed_newest_first_and_found_by_words(
    app: Flask, house: House, manager: Caller, seeded: Seeded
) -> None:
    """S3-125: a page at a time, and no other tenant's."""
    other = seed(house, vendor=False)
    stranger = signed_in(app, house, Role.CAMPAIGN_MANAGER, other)
    stranger.post("/pools", {"name": "Summer of theirs"})
    for name in ("Summer 2026", "Winter 2026", "Late summer"):
        made = manager.post("/pools", {"name": name}).json["id"]
    manager.call("PATCH", f"/pools/{made}", {"archived": True})

    def names(query: str) -> list[str]:
        return [pool["name"] for pool in manager.get(f"/pools?{query}").json["data"]]

    first = manager.get("/pools?limit=1").json
    assert names("") == ["Winter 2026", "Summer 2026"]
    assert names("q=2026+SUM") == ["Summer 2026"]
    assert names("q=%25") == []
    assert names("archived=true") == ["Late summer"]
    assert names(f"limit=1&cursor={first['next_cursor']}") == ["Summer 2026"]


def test_a_pool_is_changed_by_who_has_read_it_last(
    manager: Caller, house: House, pool: str
) -> None:
    """People who come and go between reading and changing are no conflict."""
    add(manager, pool, emails=["a@x.de"], create_missing=True)
    changed = manager.call("PATCH", f"/pools/{pool}", {"description": "Early"}, If_Match='"1"')
    stale = manager.call("PATCH", f"/pools/{pool}", {"name": "Mine", "version": 1})
    empty = manager.call("PATCH", f"/pools/{pool}", {"version": 2})

    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert changed.json["members_version"] == 2
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")
    assert (empty.status_code, empty.json["errors"][0]["code"]) == (422, "required")
    kept = manager.get(f"/pools/{pool}").json
    assert (kept["name"], kept["description"]) == ("Beta Testers", "Early")
    (told,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'user_pool.changed'")
    assert told.detail == {"description": ["", "Early"]}


def test_s3_126_people_are_added_by_address_id_and_external_id(
    manager: Caller, house: House, seeded: Seeded, pool: str
) -> None:
    """S3-126, S3-060, S3-044: the address leads to the id; each person is in the pool once."""
    alice = make_user(house, "Alice@example.com", Role.END_USER, seeded)
    bob = make_user(house, "bob@example.com", Role.END_USER, seeded)

    made = add(manager, pool, external_ids=["crm-7"], create_missing=True)
    body = {"user_ids": [str(bob)], "emails": ["ALICE@example.com"], "external_ids": ["crm-7"]}
    done = add(manager, pool, **body)
    again = add(manager, pool, **body)

    nothing = {"new_people": 0, "duplicates": 0, "inactive": 0, "unknown": []}
    assert made == nothing | {"added": 1, "new_people": 1, "already_members": 0}
    assert done == nothing | {"added": 2, "already_members": 1}
    assert again == nothing | {"added": 0, "already_members": 3}
    found = {person["email"]: person for person in members(manager, pool)}
    assert set(found) == {"Alice@example.com", "bob@example.com", None}
    assert found["Alice@example.com"]["user_id"] == str(alice)
    assert found[None]["external_id"] == "crm-7"
    assert manager.get(f"/pools/{pool}").json["members"] == 3
    told = rows(
        house,
        "SELECT detail FROM audit_entries WHERE action = 'user_pool.members_added' ORDER BY at",
    )
    assert [entry.detail for entry in told] == [
        {"added": 1, "new_people": 1},
        {"added": 2, "new_people": 0},
    ]


def test_s3_045_an_unknown_address_is_user_not_found_and_nobody_is_added(
    manager: Caller, house: House, seeded: Seeded, pool: str
) -> None:
    """S3-045: the words of the notes; each entry is named."""
    make_user(house, "alice@example.com", Role.END_USER, seeded)
    before = table_sizes(house)

    body = {"emails": ["alice@example.com", "nobody@example.com"], "user_ids": [str(uuid4())]}
    refused = manager.post(f"/pools/{pool}/users", body)

    assert refused.status_code == 422
    assert (refused.json["code"], refused.json["detail"]) == ("user_not_found", "User not found")
    assert refused.json["errors"] == [
        {"code": "user_not_found", "detail": "User not found", "pointer": pointer}
        for pointer in ("/user_ids/0", "/emails/1")
    ]
    assert table_sizes(house) == before


def test_s3_060_with_skip_the_others_are_added_and_each_left_out_is_told(
    manager: Caller, house: House, seeded: Seeded, pool: str
) -> None:
    """EC-099: duplicates are collapsed and counted, the disabled left out."""
    make_user(house, "alice@example.com", Role.END_USER, seeded)
    gone = make_user(house, "gone@example.com", Role.END_USER, seeded)
    rows(house, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING 1", id=gone)

    done = add(
        manager,
        pool,
        emails=["alice@example.com", "no address", "x@y.de", "Alice@Example.com"],
        user_ids=[str(gone)],
        on_error="skip",
    )

    assert {name: done[name] for name in ("added", "duplicates", "inactive")} == {
        "added": 1,
        "duplicates": 1,
        "inactive": 1,
    }
    assert [(entry["pointer"], entry["code"]) for entry in done["unknown"]] == [
        ("/emails/1", "invalid_email"),
        ("/emails/2", "user_not_found"),
    ]
    assert [person["email"] for person in members(manager, pool)] == ["alice@example.com"]


def test_who_sees_a_person_may_make_them_known_by_id_and_nobody_else_may(
    app: Flask, house: House, admin: Caller, manager: Caller, seeded: Seeded, pool: str
) -> None:
    """The platform sees everybody, an agency its own people."""
    other = seed(house, vendor=False)
    far = make_user(house, "far@example.com", Role.END_USER, other)
    near = make_user(house, "near@example.com", Role.AGENCY_VIEWER, seeded)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    before = table_sizes(house)

    codes = [
        caller.post(f"/pools/{pool}/users", {"user_ids": [str(who)]}).status_code
        for caller, who in ((manager, far), (manager, near), (agency, far))
    ]
    unchanged = table_sizes(house)
    done = [
        add(caller, pool, user_ids=[str(who)])["added"]
        for caller, who in ((agency, near), (admin, far))
    ]

    assert (codes, done) == ([422, 422, 422], [1, 1])
    assert unchanged == before
    assert [p["email"] for p in members(manager, pool)] == ["far@example.com", "near@example.com"]


def test_an_agency_makes_people_for_its_client_and_for_no_other(
    app: Flask, house: House, seeded: Seeded, pool: str
) -> None:
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    stranger = signed_in(app, house, Role.AGENCY_ADMIN, seed(house, vendor=False))
    body = {"emails": ["a@x.de"], "create_missing": True}

    refused = stranger.post(f"/pools/{pool}/users", body)
    before = rows(house, "SELECT count(*) FROM client_users WHERE email = 'a@x.de'")
    done = agency.post(f"/pools/{pool}/users", body)

    assert refused.status_code == 404
    assert before == [(0,)]
    assert done.json["added"] == 1


def test_an_archived_pool_takes_nobody_and_lets_people_go(
    manager: Caller, house: House, pool: str
) -> None:
    add(manager, pool, emails=["a@x.de", "b@x.de"], create_missing=True)
    manager.call("PATCH", f"/pools/{pool}", {"archived": True})
    before = table_sizes(house)

    refused = manager.post(f"/pools/{pool}/users", {"emails": ["c@x.de"], "create_missing": True})
    unchanged = table_sizes(house)
    gone = manager.post(f"/pools/{pool}/users/remove", {"emails": ["a@x.de"]})

    assert (refused.status_code, refused.json["code"]) == (409, "pool_archived")
    assert unchanged == before
    assert gone.json["removed"] == 1


def test_s3_060_people_are_removed_one_by_one_and_many_at_once(
    manager: Caller, house: House, pool: str
) -> None:
    """S3-060, S3-128: who is not in the pool is 404, or told beside those who went."""
    names = [f"p{n}@x.de" for n in range(4)]
    add(manager, pool, emails=names, external_ids=["crm-1"], create_missing=True)
    first = members(manager, pool)[0]["user_id"]

    gone = manager.call("DELETE", f"/pools/{pool}/users/{first}")
    again = manager.call("DELETE", f"/pools/{pool}/users/{first}")
    many = manager.post(
        f"/pools/{pool}/users/remove",
        {"emails": ["P1@x.de", "stranger@x.de"], "external_ids": ["crm-1", "crm-2"]},
    )

    assert (gone.status_code, again.status_code) == (204, 404)
    assert many.json["removed"] == 2
    assert [(entry["pointer"], entry["code"]) for entry in many.json["unknown"]] == [
        ("/emails/1", "not_a_member"),
        ("/external_ids/1", "not_a_member"),
    ]
    assert [person["email"] for person in members(manager, pool)] == ["p2@x.de", "p3@x.de"]
    assert manager.get(f"/pools/{pool}").json["members"] == 2
    told = rows(
        house,
        "SELECT detail FROM audit_entries WHERE action = 'user_pool.members_removed' ORDER BY at",
    )
    assert [entry.detail for entry in told] == [{"removed": 1}, {"removed": 2}]


def test_s3_063_members_are_paged_by_id_and_found_by_address_or_external_id(
    manager: Caller, pool: str
) -> None:
    """S3-063"""
    names = [f"p{n}@x.de" for n in range(5)] + ["q%_@x.de"]
    add(manager, pool, emails=names, external_ids=["crm-1"], create_missing=True)

    first = manager.get(f"/pools/{pool}/users?limit=3").json
    rest = manager.get(f"/pools/{pool}/users?limit=100&cursor={first['next_cursor']}").json

    ids = [UUID(person["user_id"]) for person in first["data"] + rest["data"]]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert (len(ids), ids) == (7, sorted(set(ids)))

    def found(q: str) -> list[str | None]:
        return [person["email"] for person in members(manager, pool, f"?q={q}")]

    assert found("P3@X.de") == ["p3@x.de"]
    assert found("p") == names[:5]
    assert found("q%25") == ["q%_@x.de"]
    assert (found("crm-1"), found("crm"), found("%25")) == ([None], [], [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"emails": []}, "required"),
        ({"emails": ["a@x.de"] * 1001}, "use_csv_upload"),
        ({"emails": ["a@x.de"], "on_error": "hope"}, "choice"),
        ({"emails": [7]}, "type"),
        ({"user_ids": ["x"]}, "type"),
        ({"emails": ["a@x.de"], "names": ["A"]}, "unknown_field"),
    ],
)
def test_a_body_that_is_none_adds_nobody(
    manager: Caller, house: House, pool: str, body: dict, code: str
) -> None:
    before = table_sizes(house)

    refused = manager.post(f"/pools/{pool}/users", body)

    assert refused.status_code == 422
    assert refused.json["errors"][0]["code"] == code
    assert table_sizes(house) == before
