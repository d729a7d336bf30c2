"""Somebody of the platform looks through a person's eyes: briefly, read-only, told (SEC-30)."""

from uuid import UUID, uuid4

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.permissions import GRANTS, LOOKING, Permission
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in

WHY = {"reason": "Row 41,307 is missing", "ticket": "T-1"}
NOBODY = UUID(int=9)


@pytest.fixture
def support(app: Flask, house: House) -> Caller:
    return signed_in(app, house, Role.PLATFORM_SUPPORT)


def identity(caller: Caller) -> str:
    return str(caller.get("/auth/me").json["id"])


def look_as(app: Flask, support: Caller, person: Caller) -> Caller:
    begun = support.post(f"/users/{identity(person)}/impersonate", WHY)
    assert begun.status_code == 201, begun.json
    token = begun.json["access_token"]
    return Caller(app.test_client(), {"Authorization": f"Bearer {token}"})


def test_the_look_sees_what_the_person_sees(
    app: Flask, support: Caller, client_admin: Caller, seeded: Seeded
):
    look = look_as(app, support, client_admin)

    me = look.get("/auth/me").json
    assert (me["id"], me["seen_by"]) == (identity(client_admin), identity(support))
    assert look.get("/campaigns").json == client_admin.get("/campaigns").json
    assert look.get("/credit/accounts").json == client_admin.get("/credit/accounts").json


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/password"),
        ("POST", "/auth/totp/enrol"),
        ("POST", "/auth/totp/verify"),
        ("POST", "/auth/step-up"),
        ("DELETE", "/auth/totp"),
        ("GET", "/auth/sessions"),
        ("POST", "/api-keys"),
        ("POST", "/credit/allocations"),
        ("POST", "/credit/recalls"),
        ("POST", f"/approvals/{NOBODY}/approve"),
        ("POST", f"/gift-cards/{NOBODY}/reveal"),
        ("POST", "/gift-cards/provision"),
        ("POST", "/users"),
        ("POST", f"/users/{NOBODY}/impersonate"),
    ],
)
def test_sec030_it_changes_nothing_and_opens_nothing(
    app: Flask, house: House, support: Caller, client_admin: Caller, method: str, path: str
):
    look = look_as(app, support, client_admin)
    body = {"token": None} if path.endswith("/reveal") else {}

    refused = look.call(method, path, body)

    assert (refused.status_code, refused.json["code"]) == (403, "impersonation_forbidden")


def test_no_route_that_is_not_a_look_lets_it_in(app: Flask, support: Caller, client_admin: Caller):
    look = look_as(app, support, client_admin)
    wrong = []
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        if not rule.rule.startswith("/api/") or not isinstance(permission, Permission):
            continue
        if rule.endpoint == "auth.logout":
            continue
        path = rule.rule.removeprefix("/api/v1")
        for name in rule.arguments:
            path = path.replace(f"<uuid:{name}>", str(uuid4()))
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        answer = look.call(method, path)
        both = GRANTS[Role.CLIENT_ADMIN] & GRANTS[Role.PLATFORM_SUPPORT] & LOOKING
        if (answer.status_code == 403) == (permission in both):
            wrong.append((method, rule.rule, answer.status_code))

    assert wrong == []
    assert {name for name in LOOKING if not name.endswith("_read")} == {
        Permission.OWN_ACCOUNT,
        Permission.OWN_JOBS,
    }


def test_it_ends_after_half_an_hour_when_told_and_with_either_person(
    app: Flask, house: House, support: Caller, admin: Caller, client_admin: Caller
):
    late = look_as(app, support, client_admin)
    rows(
        house,
        "UPDATE sign_ins SET expires_at = expires_at - interval '30 minutes'"
        " WHERE kind = 'impersonation' RETURNING 1",
    )
    assert late.get("/auth/me").status_code == 401

    told = look_as(app, support, client_admin)
    assert told.post("/auth/logout").status_code == 204
    assert told.get("/auth/me").status_code == 401
    assert client_admin.get("/auth/me").status_code == 200

    of_the_person = look_as(app, support, client_admin)
    assert client_admin.call("DELETE", "/auth/sessions").status_code == 204
    assert of_the_person.get("/auth/me").status_code == 401

    of_support = look_as(app, support, client_admin)
    assert admin.post(f"/users/{identity(support)}/sign-out").status_code == 204
    assert of_support.get("/auth/me").status_code == 401


def test_a_demoted_supporter_sees_nothing_more(
    app: Flask, house: House, support: Caller, client_admin: Caller
):
    look = look_as(app, support, client_admin)
    rows(house, "UPDATE users SET role = 'end_user' WHERE role = 'platform_support' RETURNING 1")

    assert look.get("/jobs").json["code"] == "impersonation_forbidden"


def test_the_persons_own_log_tells_of_it(
    app: Flask, house: House, support: Caller, client_admin: Caller, seeded: Seeded
):
    look_as(app, support, client_admin).post("/auth/logout")

    told = rows(
        house,
        "SELECT action, actor_id, client_id, detail FROM audit_entries"
        " WHERE action LIKE 'impersonation.%' ORDER BY at, id",
    )
    assert [row.action for row in told] == ["impersonation.began", "impersonation.ended"]
    assert {row.client_id for row in told} == {seeded.client_id}
    assert {str(row.actor_id) for row in told} == {identity(support)}
    assert (told[0].detail["reason"], told[0].detail["ticket"]) == (WHY["reason"], WHY["ticket"])


def test_it_wants_a_reason_a_fresh_proof_and_somebody_of_a_tenant(
    house: House, support: Caller, admin: Caller, client_admin: Caller
):
    path = f"/users/{identity(client_admin)}/impersonate"

    assert support.post(path, {"reason": "", "ticket": ""}).status_code == 422
    of_platform = support.post(f"/users/{identity(admin)}/impersonate", WHY)
    assert of_platform.json["code"] == "not_to_be_impersonated"
    assert support.post(f"/users/{uuid4()}/impersonate", WHY).status_code == 404
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1")
    assert support.post(path, WHY).json["code"] == "step_up_required"


def test_nobody_of_a_tenant_looks_as_anybody(app: Flask, house: House, seeded: Seeded):
    boss = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)

    assert boss.post(f"/users/{identity(viewer)}/impersonate", WHY).status_code == 403
