"""Partners as their managers run them: made, changed, their secrets, a token explained, their claims (S0)."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import key, put_codes
from tests.driving import rows
from tests.partnering import SITE, Partner, make_partner, present, told, visit
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

BODY = {"name": "Corner shop", "time_zone": "Europe/Vienna", "origins": [SITE]}


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def faults(answer: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def test_s029_a_partner_is_made_with_its_offers_and_no_secret(
    house: House, seeded: Seeded, client_admin: Caller
) -> None:
    book = make_book(house, seeded)
    offers = [{"book_id": str(book), "title": "Ten off"}]

    made = client_admin.post("/vendors", BODY | {"offers": offers}, **key())

    assert made.status_code == 201
    assert {name: made.json[name] for name in BODY} == BODY
    assert (made.json["state"], made.json["last_token_at"]) == ("active", None)
    assert [offer["title"] for offer in made.json["offers"]] == ["Ten off"]
    secret = client_admin.get(f"/vendors/{made.json['id']}/partner-secret").json
    assert (secret["configured"], secret["last4"]) == (False, None)


def test_a_name_is_enough_for_a_partner(client_admin: Caller) -> None:
    made = client_admin.post("/vendors", {"name": "Plain"})

    assert (made.json["time_zone"], made.json["origins"], made.json["offers"]) == ("UTC", [], [])


def test_the_same_key_makes_one_partner(house: House, client_admin: Caller) -> None:
    name = key()

    first, again = (client_admin.post("/vendors", BODY, **name) for _ in range(2))

    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(house, "SELECT count(*) AS n FROM partners")[0].n == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"time_zone": "Mars/Olympus"}, ("/time_zone", "unknown_time_zone")),
        ({"time_zone": "EST5EDT"}, ("/time_zone", "unknown_time_zone")),
        ({"origins": [SITE, "https://x.example/"]}, ("/origins/1", "invalid_origin")),
        ({"origins": [SITE, SITE]}, ("/origins/1", "invalid_origin")),
        (
            {"offers": [{"book_id": str(uuid4()), "title": "x"}]},
            ("/offers/0/book_id", "book_not_found"),
        ),
        ({"offers": [{"book_id": str(uuid4())}]}, ("/offers/0/title", "required")),
        ({"name": ""}, ("/name", "required")),
        ({"name": 7}, ("/name", "type")),
    ],
)
def test_each_fault_of_a_partner_says_where_it_is_and_changes_nothing(
    house: House, client_admin: Caller, change: dict[str, Any], fault: tuple[str, str]
) -> None:
    answer = client_admin.post("/vendors", BODY | change)

    assert answer.status_code == 422
    assert fault[0] in [pointer for pointer, _code in faults(answer)]
    assert rows(house, "SELECT count(*) AS n FROM partners")[0].n == 0


def test_a_book_of_another_client_is_no_offer(house: House, client_admin: Caller) -> None:
    theirs = make_book(house, seed(house, vendor=False))
    offers = [{"book_id": str(theirs), "title": "Not mine"}]

    answer = client_admin.post("/vendors", BODY | {"offers": offers})

    assert faults(answer) == [("/offers/0/book_id", "book_not_found")]
    assert rows(house, "SELECT count(*) AS n FROM partners")[0].n == 0


def test_what_is_as_it_was_already_is_no_change(
    house: House, seeded: Seeded, client_admin: Caller
) -> None:
    book = make_book(house, seeded)
    partner = make_partner(house, seeded, book)
    before = client_admin.get(f"/vendors/{partner.id}").json
    same = [{"book_id": str(book), "title": before["offers"][0]["title"]}]

    after = client_admin.call(
        "PATCH", f"/vendors/{partner.id}", {"offers": same, "name": before["name"]}
    )

    assert after.json == before
    told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'partner.changed'"
    assert rows(house, told)[0].n == 0


def test_a_book_is_offered_once(house: House, seeded: Seeded, client_admin: Caller) -> None:
    book = make_book(house, seeded)
    twice = [{"book_id": str(book), "title": title} for title in ("a", "b")]

    answer = client_admin.post("/vendors", BODY | {"offers": twice})

    assert faults(answer) == [("/offers/1/book_id", "duplicate_book")]


def test_a_change_writes_what_it_names_and_keeps_the_ids_of_offers(
    house: House, seeded: Seeded, client_admin: Caller
) -> None:
    books = [make_book(house, seeded) for _ in range(3)]
    partner = make_partner(house, seeded, *books[:2])
    before = client_admin.get(f"/vendors/{partner.id}").json
    wanted = [
        {"book_id": str(books[2]), "title": "New"},
        {"book_id": str(books[0]), "title": "Old, renamed"},
    ]

    after = client_admin.call("PATCH", f"/vendors/{partner.id}", {"offers": wanted})

    assert after.status_code == 200
    assert [offer["title"] for offer in after.json["offers"]] == ["New", "Old, renamed"]
    assert after.json["offers"][1]["id"] == before["offers"][0]["id"]
    assert after.json["name"] == before["name"]
    assert after.json["version"] == before["version"] + 1


def test_a_change_of_what_another_has_changed_meanwhile_is_refused(
    partner: Partner, client_admin: Caller
) -> None:
    stale = {"If_Match": '"1"'}
    first = client_admin.call("PATCH", f"/vendors/{partner.id}", {"name": "A"}, **stale)

    answer = client_admin.call("PATCH", f"/vendors/{partner.id}", {"name": "B"}, **stale)

    assert first.status_code == 200
    assert told(answer) == (412, "precondition_failed")


def test_lists_show_who_is_at_work(
    house: House, seeded: Seeded, partner: Partner, client_admin: Caller
) -> None:
    off = make_partner(house, seeded, name="Off")
    client_admin.call("PATCH", f"/vendors/{off.id}", {"state": "disabled"})

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client_admin.get(f"/vendors{query}").json["data"]]

    assert ids("") == [str(off.id), str(partner.id)]
    assert ids("?state=active") == [str(partner.id)]
    assert ids("?state=disabled") == [str(off.id)]
    assert ids(f"?client_id={uuid4()}") == []


def test_s010_a_secret_is_shown_once_and_then_by_its_last_four_characters(
    app: Flask, house: House, client_admin: Caller
) -> None:
    made = client_admin.post("/vendors", BODY).json
    path, name = f"/vendors/{made['id']}/partner-secret", key()

    drawn = client_admin.post(path, {}, **name)

    secret = drawn.json["partner_secret"]
    assert drawn.status_code == 201
    partner = Partner(UUID(made["id"]), secret, house)
    assert present(app, partner.token()).status_code == 201
    again = client_admin.post(path, {}, **name)
    assert again.json["partner_secret"] is None
    seen = client_admin.get(path)
    assert seen.json["last4"] == secret[-4:]
    assert secret not in seen.text + again.text
    assert client_admin.get(f"/vendors/{made['id']}").json["last_token_at"] is not None


def test_ec106_a_secret_is_replaced_once_until_the_old_one_has_ended(
    partner: Partner, client_admin: Caller
) -> None:
    path = f"/vendors/{partner.id}/partner-secret"

    first = client_admin.post(path, {"overlap_seconds": 600})

    assert [old["last4"] for old in first.json["old"]] == [partner.secret[-4:]]
    assert told(client_admin.post(path, {"overlap_seconds": 600})) == (409, "rotation_under_way")
    ended = client_admin.post(path, {"overlap_seconds": 0})
    assert (ended.status_code, ended.json["old"]) == (201, [])


@pytest.mark.parametrize("seconds", [-1, 30 * 24 * 3600 + 1, "1", 1.5, True])
def test_an_overlap_is_seconds_up_to_a_month(
    partner: Partner, client_admin: Caller, seconds: Any
) -> None:
    path = f"/vendors/{partner.id}/partner-secret"

    answer = client_admin.post(path, {"overlap_seconds": seconds})

    assert answer.status_code == 422
    assert client_admin.get(path).json["last4"] == partner.secret[-4:]


def test_what_is_done_to_a_partner_is_audited_without_its_secret(
    house: House, client_admin: Caller
) -> None:
    made = client_admin.post("/vendors", BODY).json
    secret = client_admin.post(f"/vendors/{made['id']}/partner-secret").json["partner_secret"]
    client_admin.post(f"/vendors/{made['id']}/partner-secret", {"overlap_seconds": 0})
    client_admin.call("PATCH", f"/vendors/{made['id']}", {"name": "Else", "state": "disabled"})

    entries = rows(
        house,
        "SELECT action, CAST(detail AS text) AS detail FROM audit_entries "
        "WHERE object_kind = 'partner' ORDER BY id",
    )

    assert [entry.action for entry in entries] == [
        "partner.created",
        "partner.secret_drawn",
        "partner.secret_rotated",
        "partner.changed",
        "partner.disabled",
    ]
    assert not any(secret in entry.detail for entry in entries)


def test_claims_are_read_and_taken_as_a_file(
    app: Flask, house: House, seeded: Seeded, client_admin: Caller
) -> None:
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 2)
    partner = make_partner(house, seeded, book)
    for user in ("=1+1", "user-2"):
        assert visit(app, partner, user).post("/claims", {}).status_code == 201
    path = f"/vendors/{partner.id}/claims"

    listed = client_admin.get(path).json["data"]

    assert [row["external_id"] for row in listed] == ["user-2", "=1+1"]
    month = listed[0]["month"]
    assert len(client_admin.get(f"{path}?month={month}").json["data"]) == 2
    assert client_admin.get(f"{path}?month=2020-01").json["data"] == []
    assert len(client_admin.get(f"{path}?external_id=user-2").json["data"]) == 1
    assert client_admin.get(f"{path}?month=soon").status_code == 422
    file = client_admin.get(f"{path}.csv?month={month}").text
    assert len(file.splitlines()) == 3
    assert '"\'=1+1"' in file


def test_sec010_nobody_else_sees_or_changes_a_partner(
    app: Flask, house: House, partner: Partner, client_admin: Caller
) -> None:
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    path = f"/vendors/{partner.id}"
    asked = [
        stranger.get(path),
        stranger.call("PATCH", path, {"name": "Mine"}),
        stranger.get(f"{path}/partner-secret"),
        stranger.post(f"{path}/partner-secret", {}),
        stranger.post(f"{path}/check-token", {"token": "x"}),
        stranger.get(f"{path}/claims"),
        stranger.get(f"{path}/claims.csv"),
    ]

    assert [told(answer) for answer in asked] == [(404, "not_found")] * len(asked)
    assert stranger.get("/vendors").json["data"] == []


def test_a_claim_is_told_to_the_clients_endpoints(app: Flask, house: House, seeded: Seeded) -> None:
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 1)
    partner = make_partner(house, seeded, book)
    claim = visit(app, partner).post("/claims", {}).json["claim"]

    (fact,) = rows(
        house, "SELECT type, object_id, data FROM webhook_facts WHERE type LIKE 'coupon%'"
    )

    assert (fact.type, str(fact.object_id)) == ("coupon.claimed", claim["id"])
    assert fact.data["partner_id"] == str(partner.id)
    assert set(fact.data) == {"partner_id", "book_id", "coupon_id", "user_id"}
