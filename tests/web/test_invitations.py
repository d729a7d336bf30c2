"""People are invited by mail, downward only, and choose their own password (SEC-09, console.md 15)."""

from collections.abc import Iterator

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import rows
from tests.posting import a_mail_house, link_to, subjects
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, make_user, signed_in

ANN = "ann@example.com"
PASSWORD = f"correct horse {MARK}"


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


@pytest.fixture
def anybody(app: Flask) -> Caller:
    return Caller(app.test_client())


def invited(caller: Caller, role: str = "client_viewer", **more: str):
    return caller.post("/invitations", {"email": ANN, "role": role, "name": "Ann"} | more)


def accepted(anybody: Caller, token: str, password: str = PASSWORD, **more: str):
    return anybody.post("/invitations/accept", {"token": token, "password": password} | more)


def listed(caller: Caller) -> list[tuple[str | None, str, str | None]]:
    found = caller.get("/invitations").json["data"]
    return [(view["email"], view["state"], view["mail"]) for view in found]


def test_the_mail_names_the_place_or_the_house_itself(
    admin: Caller, client_admin: Caller, house: House, sandbox: Sandbox, seeded: Seeded
):
    invited(client_admin)
    of_a_client = [subjects(house, sandbox, ANN)[0], sandbox.mails(ANN)[0]["text"]]
    invited(admin, role="platform_support")
    of_the_house = [subjects(house, sandbox, ANN)[0], sandbox.mails(ANN)[0]["text"]]
    (place,) = rows(house, "SELECT name FROM clients WHERE id = :id", id=seeded.client_id)

    assert of_a_client[0].endswith(f" invites you to {place.name}")
    assert f"invites you to work with {place.name} on Largesse." in of_a_client[1]
    assert of_the_house[0].endswith(" invites you to Largesse")
    assert "invites you to work on Largesse." in of_the_house[1]


def test_who_is_invited_chooses_a_password_and_has_the_role_in_its_place(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox, seeded: Seeded
):
    made = invited(client_admin)
    _path, token = link_to(house, sandbox, ANN)
    before = listed(client_admin)
    first, again = accepted(anybody, token), accepted(anybody, token)
    signed = anybody.post("/auth/login", {"email": ANN, "password": PASSWORD})

    assert (made.status_code, made.json["state"], made.json["mail"]) == (201, "open", "waiting")
    assert before == [(ANN, "open", "sent")]
    assert first.status_code == 204
    assert (again.status_code, again.json["code"]) == (422, "invalid_invitation")
    assert signed.status_code == 200
    (ann,) = rows(house, "SELECT * FROM users WHERE email = :email", email=ANN)
    assert (ann.role, ann.name) == ("client_viewer", "Ann")
    assert (ann.agency_id, ann.client_id) == (seeded.agency_id, seeded.client_id)
    assert listed(client_admin) == [(None, "accepted", "sent")]
    actions = rows(house, "SELECT action FROM audit_entries WHERE object_kind = 'invitation'")
    assert [row.action for row in actions] == ["invitation.made", "invitation.accepted"]


def test_an_invitation_lives_seven_days(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    invited(client_admin)
    _path, token = link_to(house, sandbox, ANN)
    (lives,) = rows(house, "SELECT expires_at - created_at AS days FROM invitations")
    rows(house, "UPDATE invitations SET expires_at = now() RETURNING 1")

    assert round(lives.days.total_seconds()) == 7 * 24 * 3600
    assert accepted(anybody, token).json["code"] == "invalid_invitation"
    assert [state for _email, state, _mail in listed(client_admin)] == ["expired"]


def test_a_newer_invitation_of_the_same_tenant_ends_the_older(
    client_admin: Caller, admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    invited(client_admin)
    _path, older = link_to(house, sandbox, ANN)
    invited(client_admin, "campaign_manager")
    _path, newer = link_to(house, sandbox, ANN)
    invited(admin, "platform_support")
    _path, of_platform = link_to(house, sandbox, ANN)

    assert accepted(anybody, older).status_code == 422
    assert accepted(anybody, newer).status_code == 204
    taken = accepted(anybody, of_platform)
    assert (taken.status_code, taken.json["code"]) == (409, "email_taken")
    assert listed(client_admin) == [(None, "accepted", "sent"), (None, "ended", "sent")]


def test_a_withdrawn_invitation_is_dead_at_once(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    made = invited(client_admin)
    _path, token = link_to(house, sandbox, ANN)

    gone = client_admin.call("DELETE", f"/invitations/{made.json['id']}")
    again = client_admin.call("DELETE", f"/invitations/{made.json['id']}")

    assert (gone.status_code, again.status_code) == (204, 204)
    assert accepted(anybody, token).status_code == 422
    assert listed(client_admin) == [(None, "ended", "sent")]
    actions = rows(house, "SELECT action FROM audit_entries WHERE object_kind = 'invitation'")
    assert [row.action for row in actions] == ["invitation.made", "invitation.withdrawn"]


def test_sec009_nobody_invites_upward_or_beside(client_admin: Caller, house: House):
    refused = [invited(client_admin, role) for role in ("client_admin", "platform_support")]

    assert [answer.status_code for answer in refused] == [403, 403]
    assert [answer.json["code"] for answer in refused] == ["not_yours_to_manage"] * 2
    assert rows(house, "SELECT 1 FROM invitations") == []
    assert rows(house, "SELECT 1 FROM outgoing_mails") == []


def test_sec009_another_tenants_invitation_is_not_there(
    app: Flask, admin: Caller, client_admin: Caller, house: House
):
    stranger = seed(house, vendor=False)
    theirs = signed_in(app, house, Role.CLIENT_ADMIN, stranger)
    made = invited(client_admin).json["id"]

    assert listed(theirs) == []
    assert theirs.call("DELETE", f"/invitations/{made}").status_code == 404
    assert [state for _email, state, _mail in listed(client_admin)] == ["open"]
    outside = invited(client_admin, client_id=str(stranger.client_id))
    assert outside.status_code == 404


def test_sec009_an_agency_sees_and_ends_those_of_its_clients_and_no_viewer_does(
    app: Flask, client_admin: Caller, house: House, seeded: Seeded
):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    viewer = signed_in(app, house, Role.AGENCY_VIEWER, seeded)
    made = invited(client_admin).json["id"]

    assert [email for email, _state, _mail in listed(agency)] == [ANN]
    assert viewer.get("/invitations").status_code == 403
    assert agency.call("DELETE", f"/invitations/{made}").status_code == 204


def test_sec009_who_lost_the_right_to_invite_invited_nobody(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    invited(client_admin)
    _path, token = link_to(house, sandbox, ANN)

    rows(house, "UPDATE users SET role = 'client_viewer' WHERE role = 'client_admin' RETURNING 1")
    demoted = accepted(anybody, token)
    rows(house, "UPDATE users SET role = 'client_admin', disabled_at = now() RETURNING 1")
    disabled = accepted(anybody, token)

    assert (demoted.status_code, disabled.status_code) == (422, 422)
    assert rows(house, "SELECT 1 FROM users WHERE email = :email", email=ANN) == []


def test_who_has_an_account_is_not_invited(client_admin: Caller, house: House):
    make_user(house, ANN, Role.PLATFORM_ADMIN)

    refused = invited(client_admin)

    assert (refused.status_code, refused.json["code"]) == (409, "email_taken")


def test_a_mail_that_bounced_is_told_to_who_invited(
    client_admin: Caller, house: House, sandbox: Sandbox
):
    sandbox.arm_mail(refuse_recipient={"always": True})
    invited(client_admin)

    assert subjects(house, sandbox, ANN) == []
    assert listed(client_admin) == [(ANN, "open", "bounced")]


def test_a_password_that_will_not_do_leaves_the_invitation_good(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    invited(client_admin)
    _path, token = link_to(house, sandbox, ANN)

    short = accepted(anybody, token, "short")

    assert (short.status_code, short.json["errors"][0]["pointer"]) == (422, "/password")
    assert accepted(anybody, token, name="Ann Archer").status_code == 204
    (ann,) = rows(house, "SELECT name FROM users WHERE email = :email", email=ANN)
    assert ann.name == "Ann Archer"


def test_ec035_an_invitation_with_a_key_is_mailed_once(
    client_admin: Caller, house: House, sandbox: Sandbox
):
    body = {"email": ANN, "role": "client_viewer"}

    first = client_admin.post("/invitations", body, Idempotency_Key="k")
    again = client_admin.post("/invitations", body, Idempotency_Key="k")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(subjects(house, sandbox, ANN)) == 1


def test_address_and_name_are_sealed_and_erased_at_the_end(
    client_admin: Caller, anybody: Caller, house: House, sandbox: Sandbox
):
    invited(client_admin)
    (before,) = rows(house, "SELECT sealed_guest FROM invitations")
    _path, token = link_to(house, sandbox, ANN)
    accepted(anybody, token)
    (after,) = rows(house, "SELECT sealed_guest FROM invitations")

    assert b"ann@" not in bytes(before.sealed_guest)
    assert after.sealed_guest is None
