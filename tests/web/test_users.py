"""People are seen and changed by those above them, within one tenant (S1-028, S3-108, SEC-09..10)."""

from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM, agency
from pipelines.access.authenticate import InvalidCredentials, authenticate
from pipelines.access.lockout import FAILURES_MAX
from pipelines.access.manage_users import allow_tries
from pipelines.access.principals import Principal
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, Caller, make_user, signed_in


@pytest.fixture
def stranger(house: House) -> Seeded:
    """Another agency's client."""
    return seed(house, vendor=False)


def role_of(house: House, user_id: UUID) -> str:
    (row,) = rows(house, "SELECT role FROM users WHERE id = :id", id=user_id)
    return str(row.role)


def test_each_sees_their_own_tenant_and_below(
    app: Flask, house: House, admin: Caller, client_admin: Caller, seeded: Seeded, stranger: Seeded
):
    agency_admin = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    make_user(house, "other@example.com", Role.CLIENT_VIEWER, stranger)

    seen = {
        name: sorted(user["role"] for user in caller.get("/auth/admin/users").json["data"])
        for name, caller in (("admin", admin), ("agency", agency_admin), ("client", client_admin))
    }

    assert seen == {
        "admin": ["agency_admin", "client_admin", "client_viewer", "platform_admin"],
        "agency": ["agency_admin", "client_admin"],
        "client": ["client_admin"],
    }


def test_the_list_goes_on_from_page_to_page(house: House, client_admin: Caller, seeded: Seeded):
    for n in range(3):
        make_user(house, f"viewer{n}@example.com", Role.CLIENT_VIEWER, seeded)

    first = client_admin.get("/auth/admin/users?limit=3").json
    rest = client_admin.get(f"/auth/admin/users?limit=3&cursor={first['next_cursor']}").json

    emails = [user["email"] for user in first["data"] + rest["data"]]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert emails[:3] == ["viewer2@example.com", "viewer1@example.com", "viewer0@example.com"]
    assert len(set(emails)) == 4
    assert "password" not in str(first)


@pytest.mark.parametrize("way", ["get", "patch", "post"])
def test_a_stranger_is_not_found_like_nobody(
    client_admin: Caller, house: House, stranger: Seeded, way: str
):
    """SEC-10: the same bytes for a foreign id as for one that is nobody's."""
    theirs = make_user(house, "other@example.com", Role.CLIENT_VIEWER, stranger)
    paths = {
        "get": ("GET", "/users/{}", None),
        "patch": ("PATCH", "/users/{}", {"disabled": True}),
        "post": ("POST", "/users/{}/allow-tries", None),
    }
    method, path, body = paths[way]

    answers = [client_admin.call(method, path.format(i), body) for i in (theirs, uuid4())]

    told = [{**a.json, "request_id": "", "instance": ""} for a in answers]
    assert [a.status_code for a in answers] == [404, 404]
    assert told[0] == told[1]
    assert rows(house, "SELECT 1 FROM users WHERE disabled_at IS NOT NULL") == []


def test_who_is_disabled_is_out_at_once(
    app: Flask, house: House, browser: FlaskClient, client_admin: Caller, seeded: Seeded
):
    user_id = make_user(house, "max@example.com", Role.CAMPAIGN_MANAGER, seeded)
    login = {"email": "max@example.com", "password": PASSWORD}
    tokens = browser.post("/api/v1/auth/login", json=login).json
    theirs = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"})

    before = theirs.get("/auth/me").status_code
    changed = client_admin.call("PATCH", f"/users/{user_id}", {"disabled": True})
    after = theirs.get("/auth/me").status_code

    assert (before, changed.status_code, after) == (200, 200, 401)
    assert changed.json["disabled"] is True
    assert browser.post("/api/v1/auth/login", json=login).status_code == 401
    client_admin.call("PATCH", f"/users/{user_id}", {"disabled": False})
    assert theirs.get("/auth/me").status_code == 401, "an ended sign-in does not come back"
    assert browser.post("/api/v1/auth/login", json=login).status_code == 200


def test_a_role_changes_at_once_and_is_audited(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    user_id = UUID(viewer.get("/auth/me").json["id"])

    before = "provision" in viewer.get("/auth/me").json["permissions"]
    client_admin.call("PATCH", f"/users/{user_id}", {"role": "campaign_manager", "name": "Max"})
    after = "provision" in viewer.get("/auth/me").json["permissions"]

    assert (before, after) == (False, True)
    (told,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user.changed'")
    assert told.detail == {"role": ["client_viewer", "campaign_manager"], "name": "changed"}
    assert (told.object_id, told.client_id) == (user_id, seeded.client_id)


@pytest.mark.parametrize(
    ("changed", "to", "code"),
    [
        (Role.CLIENT_VIEWER, "client_admin", "not_yours_to_manage"),
        (Role.CLIENT_VIEWER, "platform_admin", "role_of_another_tier"),
        (Role.CLIENT_VIEWER, "agency_viewer", "role_of_another_tier"),
        (Role.CLIENT_ADMIN, "client_viewer", "not_yours_to_manage"),
    ],
)
def test_nobody_is_raised_to_or_above_who_raises_them(
    client_admin: Caller, house: House, seeded: Seeded, changed: Role, to: str, code: str
):
    user_id = make_user(house, "max@example.com", changed, seeded)

    answer = client_admin.call("PATCH", f"/users/{user_id}", {"role": to})

    assert answer.json["code"] == code
    assert role_of(house, user_id) == changed.value


def test_nobody_changes_themselves(client_admin: Caller, admin: Caller, house: House):
    for caller in (client_admin, admin):
        own = caller.get("/auth/me").json

        answer = caller.call("PATCH", f"/users/{own['id']}", {"disabled": True})

        assert (answer.status_code, answer.json["code"]) == (403, "not_yours_to_manage")
    assert rows(house, "SELECT 1 FROM users WHERE disabled_at IS NOT NULL") == []


def test_unknown_fields_and_roles_are_refused(client_admin: Caller, house: House, seeded: Seeded):
    """EC-030: nobody moves to another tenant by naming it."""
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)
    bodies = (
        {"client_id": str(uuid4())},
        {"password_hash": "x"},
        {"role": "storefront_key"},
        {"role": "king"},
        {"disabled": "yes"},
    )

    answers = [client_admin.call("PATCH", f"/users/{user_id}", body) for body in bodies]

    assert [answer.status_code for answer in answers] == [422] * len(bodies)
    assert role_of(house, user_id) == "client_viewer"


def test_who_must_wait_is_let_in_again_by_somebody_above(
    house: House, client_admin: Caller, seeded: Seeded
):
    """The way out of a rest that has no end (SEC-03)."""
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)
    for _try in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            authenticate(
                house.sessions, house.settings.keyring, "max@example.com", "wrong", code=None
            )

    resting = client_admin.get(f"/users/{user_id}").json["rests_until"]
    allowed = client_admin.post(f"/users/{user_id}/allow-tries")

    assert resting is not None
    assert (allowed.status_code, allowed.json["rests_until"]) == (200, None)
    assert (
        authenticate(
            house.sessions, house.settings.keyring, "max@example.com", PASSWORD, code=None
        ).user_id
        == user_id
    )
    assert len(rows(house, "SELECT 1 FROM audit_entries WHERE action = 'user.tries_allowed'")) == 1


NEW = {"email": "New@Example.com", "role": "campaign_manager", "password": "ochre ladder piano 7"}


def test_a_new_person_signs_in_with_what_they_were_given_and_changes_it(
    house: House, browser: FlaskClient, client_admin: Caller, seeded: Seeded
):
    """S1-025, S3-105: made by somebody above."""
    made = client_admin.post("/users", NEW)
    given = {"email": NEW["email"], "password": NEW["password"]}
    tokens = browser.post("/api/v1/auth/login", json=given).json
    theirs = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"})
    own = {"current_password": NEW["password"], "new_password": "quiet amber harbour 3"}
    elsewhere = browser.post("/api/v1/auth/login", json=given).json["refresh_token"]

    changed = theirs.post("/auth/password", own)

    assert (made.status_code, made.json["client_id"]) == (201, str(seeded.client_id))
    assert changed.status_code == 204
    assert theirs.get("/auth/me").status_code == 200, "who changed it stays signed in"
    spent = browser.post("/api/v1/auth/refresh", json={"refresh_token": elsewhere})
    assert spent.status_code == 401, "and nobody else does"
    assert browser.post("/api/v1/auth/login", json=given).status_code == 401
    assert authenticate(
        house.sessions, house.settings.keyring, NEW["email"], own["new_password"], code=None
    )


def test_a_wrong_current_password_or_a_poor_new_one_changes_nothing(
    house: House, browser: FlaskClient, client_admin: Caller
):
    client_admin.post("/users", NEW)
    given = {"email": NEW["email"], "password": NEW["password"]}
    tokens = browser.post("/api/v1/auth/login", json=given).json
    theirs = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"})

    wrong = theirs.post(
        "/auth/password",
        {"current_password": "not this one", "new_password": "quiet amber harbour 3"},
    )
    poor = theirs.post(
        "/auth/password", {"current_password": NEW["password"], "new_password": "short"}
    )

    assert (wrong.status_code, wrong.json["code"]) == (422, "wrong_password")
    assert (poor.status_code, poor.json["errors"][0]["pointer"]) == (422, "/new_password")
    assert authenticate(
        house.sessions, house.settings.keyring, NEW["email"], NEW["password"], code=None
    )


def test_a_repeat_makes_nobody_twice(client_admin: Caller, house: House):
    first = client_admin.post("/users", NEW, Idempotency_Key="new-1")
    again = client_admin.post("/users", NEW, Idempotency_Key="new-1")
    other = client_admin.post("/users", NEW)

    assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")
    other_word = client_admin.post(
        "/users", NEW | {"password": "quiet amber harbour 3"}, Idempotency_Key="new-1"
    )
    other_name = client_admin.post("/users", NEW | {"name": "Max"}, Idempotency_Key="new-1")
    assert other_word.headers["Idempotent-Replayed"] == "true", "no digest of a password is kept"
    assert other_name.json["code"] == "idempotency_key_reuse"
    assert (other.status_code, other.json["code"]) == (409, "email_taken")
    assert len(rows(house, "SELECT 1 FROM users WHERE email = 'New@example.com'")) == 1


def test_each_makes_people_below_them_and_in_their_place(
    app: Flask, house: House, admin: Caller, seeded: Seeded, stranger: Seeded
):
    agency_admin = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    client_admin = signed_in(app, house, Role.CLIENT_ADMIN, seeded)

    def made(caller: Caller, n: int, **changed: object) -> tuple[int, str | None]:
        answer = caller.post("/users", NEW | {"email": f"n{n}@example.com"} | changed)
        return answer.status_code, answer.json.get("code")

    assert made(client_admin, 1, role="client_admin") == (403, "not_yours_to_manage")
    assert made(client_admin, 2, client_id=str(stranger.client_id)) == (404, "not_found")
    assert made(agency_admin, 3, client_id=str(stranger.client_id)) == (404, "not_found")
    assert made(agency_admin, 4, role="client_admin") == (201, None)
    assert made(agency_admin, 5, role="agency_admin") == (403, "not_yours_to_manage")
    assert made(agency_admin, 6, role="agency_viewer") == (201, None)
    assert made(admin, 7, role="agency_admin") == (422, "tenant_required")
    assert made(admin, 8, role="agency_admin", agency_id=str(seeded.agency_id)) == (201, None)
    assert made(admin, 9, role="platform_admin") == (201, None)
    nobody = str(uuid4())
    assert made(admin, 11, role="agency_admin", agency_id=nobody) == (404, "not_found")
    elsewhere = {"role": "agency_viewer", "agency_id": str(stranger.agency_id)}
    assert made(agency_admin, 12, **elsewhere) == (404, "not_found")
    for n, (role, tenant) in enumerate(
        (
            ("platform_admin", "agency_id"),
            ("platform_support", "client_id"),
            ("agency_viewer", "client_id"),
            ("client_viewer", "agency_id"),
        )
    ):
        answer = made(admin, 20 + n, role=role, **{tenant: str(seeded.agency_id)})
        assert answer == (422, "tenant_not_of_role")
    assert made(admin, 10, role="client_admin") == (422, "client_required")


def test_a_new_person_is_refused_with_the_field_that_is_wrong(client_admin: Caller, house: House):
    wrong = (
        ({"email": "no address"}, "/email"),
        ({"email": "a@b\u0000.example"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"role": "end_user"}, "/role"),
        ({"is_admin": True}, "/is_admin"),
    )
    before = len(rows(house, "SELECT 1 FROM users"))

    answers = [client_admin.post("/users", NEW | changed) for changed, _pointer in wrong]

    assert [answer.status_code for answer in answers] == [422] * len(wrong)
    assert [answer.json["errors"][0]["pointer"] for answer in answers] == [p for _c, p in wrong]
    assert len(rows(house, "SELECT 1 FROM users")) == before


def test_people_are_managed_in_the_managers_own_scope_only(house: House, seeded: Seeded):
    """A wider scope would make everybody the caller's: that is a mistake in our code, and loud."""
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)
    caller = Principal(uuid4(), Role.CLIENT_ADMIN, seeded.agency_id, seeded.client_id)

    for scope in (SYSTEM, PLATFORM, agency(seeded.agency_id)):
        with (
            pytest.raises(RuntimeError, match="in the scope of who manages them"),
            scoped_transaction(house.sessions, scope) as session,
        ):
            allow_tries(session, caller, user_id)
