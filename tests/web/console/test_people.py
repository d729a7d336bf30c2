"""The people of a tenant at the console: found, made, given roles, disabled and let in again."""

import re
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.authenticate import InvalidCredentials, authenticate
from pipelines.access.lockout import FAILURES_MAX
from pipelines.access.permissions import GRANTS, Permission
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, make_user, signed_in
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of
from tests.web.factors import enrol
from web.console.role_words import ACTIONS, ROLES, WHO

NEW_PASSWORD = "ochre ladder piano 7"


@pytest.fixture
def max_id(house: House, seeded: Seeded) -> UUID:
    return make_user(house, "max@example.com", Role.CAMPAIGN_MANAGER, seeded)


def press(bob: Visitor, page: str, path: str, **fields: str) -> int:
    """Send a form other than the page's last one."""
    token = bob.get(page).text.partition('csrf_token" value="')[2][:64]
    sent = bob.client.post(path, data={"csrf_token": token} | fields, headers=SAME_ORIGIN)
    return sent.status_code


def signs_in(house: House, email: str, password: str) -> UUID:
    return authenticate(house.sessions, house.settings.keyring, email, password, code=None).user_id


def listed(bob: Visitor, query: str = "") -> list[str]:
    page = bob.get(f"/console/people{query}").text
    return re.findall(r'<span class="sub">([^<]+@[^<]+)</span></th>', page)


def test_the_list_is_of_those_who_work_here_and_is_narrowed(
    house: House, bob: Visitor, seeded: Seeded, max_id: UUID
):
    make_user(house, "end@example.com", Role.END_USER, seeded)
    make_user(house, "other@example.com", Role.CLIENT_VIEWER, seed(house, vendor=False))
    own = "client_admin@console.example"

    assert listed(bob) == ["max@example.com", own]
    assert listed(bob, "?role=campaign_manager") == ["max@example.com"]
    assert listed(bob, "?q=MAX%40exam") == ["max@example.com"]
    assert listed(bob, "?state=disabled") == []
    assert listed(bob, "?role=end_user&q=end") == ["end@example.com"]
    assert listed(bob, "?role=king&state=asleep&before=x") == ["max@example.com", own]


def test_each_emptiness_says_what_to_do(bob: Visitor):
    assert "Nobody fits" in bob.get("/console/people?q=nobody").text
    assert "No end users here" in bob.get("/console/people?role=end_user").text


def test_a_person_is_made_once_and_signs_in(house: House, bob: Visitor, seeded: Seeded):
    page = bob.get("/console/people/new").text
    form = page.rpartition("<form")[2]
    sent = {
        "csrf_token": re.findall(r'csrf_token" value="(\w+)"', form)[0],
        "form_name": re.findall(r'form_name" value="([\w-]+)"', form)[0],
        "email": "New@Example.com",
        "name": "Nell",
        "role": "client_viewer",
        "password": NEW_PASSWORD,
    }

    answers = [
        bob.client.post("/console/people/new", data=sent, headers=SAME_ORIGIN) for _ in range(2)
    ]

    (made,) = rows(house, "SELECT id, client_id, name FROM users WHERE role = 'client_viewer'")
    home = f"/console/people/{made.id}"
    assert [answer.headers["Location"] for answer in answers] == [home, home]
    assert (made.client_id, made.name) == (seeded.client_id, "Nell")
    assert signs_in(house, "new@example.com", NEW_PASSWORD) == made.id
    assert "Nell" in bob.get(home).text
    assert NEW_PASSWORD not in bob.get(home).text


def test_whom_another_client_has_imported_is_made_like_anybody(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    """And comes with the id that the other client knows them by."""
    other = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False), name="other.")
    pool = other.post("/pools", {"name": "Beta Testers"}).json["id"]
    other.post(f"/pools/{pool}/users", {"emails": ["a@example.com"], "create_missing": True})
    (member,) = other.get(f"/pools/{pool}/users").json["data"]
    given = {"email": "a@example.com", "role": "client_viewer", "password": NEW_PASSWORD}

    made = bob.send("/console/people/new", name="Nell", **given)

    assert made.headers["Location"] == f"/console/people/{member['user_id']}"
    (row,) = rows(house, "SELECT client_id, role FROM users WHERE email = 'a@example.com'")
    assert row == (seeded.client_id, "client_viewer")
    assert other.get(f"/pools/{pool}/users").json["data"] == [member]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "max@example.com"}, "email"),
        ({"role": "client_admin"}, "role"),
        ({"role": "king"}, "role"),
        ({"password": "short"}, "password"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_rest_is_kept(
    house: House, bob: Visitor, max_id: UUID, changed: dict[str, str], field: str
):
    people = len(rows(house, "SELECT 1 FROM users"))
    given = {"email": "a@example.com", "role": "client_viewer", "password": NEW_PASSWORD}

    answer = bob.send("/console/people/new", **({"name": "Nell"} | given | changed))

    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}-wrong"' in answer.text
    assert NEW_PASSWORD not in answer.text
    assert len(rows(house, "SELECT 1 FROM users")) == people


def test_the_platform_says_where_a_person_belongs(app: Flask, house: House, seeded: Seeded):
    ada = visitor_of(app, house, Role.PLATFORM_ADMIN)
    other = seed(house, vendor=False)
    given = {"email": "a@example.com", "password": NEW_PASSWORD}

    nowhere = ada.send("/console/people/new", role="client_viewer", **given)
    ada.send("/console/people/new", role="client_viewer", client_id=str(other.client_id), **given)
    (made,) = rows(house, "SELECT id, client_id FROM users WHERE email = 'a@example.com'")

    assert (nowhere.status_code, '<a href="#client_id">' in nowhere.text) == (422, True)
    assert made.client_id == other.client_id
    assert "Look as this person" in ada.get(f"/console/people/{made.id}").text


def test_a_role_is_changed_and_holds_on_the_next_click(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    """SEC-09: an open console session has no role of its own."""
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    (found,) = rows(house, "SELECT id FROM users WHERE role = 'client_viewer'")
    home = f"/console/people/{found.id}"

    before = viewer.get("/console/jobs/new").status_code
    changed = press(bob, home, f"{home}/role", role="campaign_manager")
    after = viewer.get("/console/jobs/new").status_code
    nothing = press(bob, home, f"{home}/role", role="")

    assert (before, changed, after, nothing) == (403, 303, 200, 422)


def test_who_is_disabled_is_out_at_the_next_click_for_a_reason(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    (found,) = rows(house, "SELECT id FROM users WHERE role = 'client_viewer'")
    home = f"/console/people/{found.id}"

    question = bob.get(f"{home}/disable").text
    unsaid = bob.send(f"{home}/disable", reason=" ")
    before = viewer.get("/console/").status_code
    done = bob.send(f"{home}/disable", reason="left the company")
    after = viewer.get("/console/")

    assert "is signed out everywhere at once (1 place now)" in question
    assert (unsaid.status_code, '<a href="#reason">' in unsaid.text) == (422, True)
    assert (before, done.status_code, after.status_code) == (200, 303, 303)
    assert "/console/sign-in" in after.headers["Location"]
    (told,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'user.changed'")
    assert told.detail == {"disabled": [False, True], "reason": "left the company"}
    assert "Disabled since" in bob.get(home).text
    assert bob.get(f"{home}/disable").status_code == 303, "nothing is left to ask"
    assert press(bob, home, f"{home}/enable") == 303
    assert viewer.get("/console/").status_code == 303, "an ended session does not come back"


def test_who_is_signed_out_may_come_again_and_it_is_audited(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    (found,) = rows(house, "SELECT id FROM users WHERE role = 'client_viewer'")
    home = f"/console/people/{found.id}"

    before, done = viewer.get("/console/").status_code, press(bob, home, f"{home}/sign-out")

    assert (before, done, viewer.get("/console/").status_code) == (200, 303, 303)
    assert signs_in(house, "client_viewer@console.example", PASSWORD) == found.id
    told = rows(house, "SELECT object_id FROM audit_entries WHERE action = 'user.signed_out'")
    assert told == [(found.id,)]


def test_sec004_a_lost_second_factor_is_taken_away_by_who_proved_themselves(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    person = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    found = UUID(person.get("/auth/me").json["id"])
    home, reset = f"/console/people/{found}", f"/console/people/{found}/reset-second-factor"
    without = bob.get(reset)
    enrol(house, person)
    shown, question = bob.get(home).text, bob.get(reset)
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '6 minutes' RETURNING 1")
    unproven = [bob.get(reset), bob.send(reset, "/console/people/new")]
    kept = rows(house, "SELECT 1 FROM authenticators")
    rows(house, "UPDATE sign_ins SET proven_at = now() RETURNING 1")

    done = bob.send(reset)

    assert (without.headers["Location"], question.status_code) == (home, 200)
    assert (reset in shown, "<dd>Set up</dd>" in shown) == (True, True)
    assert all(page.headers["Location"].startswith("/console/prove") for page in unproven)
    assert (len(kept), done.headers["Location"]) == (1, home)
    assert rows(house, "SELECT 1 FROM authenticators") == []
    assert reset not in bob.get(home).text
    assert person.get("/auth/me").status_code == 401
    (told,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user.second_factor_reset'")
    assert told.object_id == found


def test_who_rests_is_let_try_again(house: House, bob: Visitor, max_id: UUID):
    for _try in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            signs_in(house, "max@example.com", "wrong")
    home = f"/console/people/{max_id}"

    resting = bob.get(home).text
    press(bob, home, f"{home}/allow-tries")

    assert "After too many wrong passwords" in resting
    assert "After too many wrong passwords" not in bob.get(home).text
    assert signs_in(house, "max@example.com", PASSWORD) == max_id


def test_nobody_changes_themselves_or_those_above(app: Flask, house: House, bob: Visitor):
    (own,) = rows(house, "SELECT id FROM users WHERE role = 'client_admin'")
    home = f"/console/people/{own.id}"

    page = bob.get(home).text
    tried = press(bob, home, f"{home}/role", role="client_viewer")

    assert "This is you" in page
    verbs = ("disable", "role", "sign-out", "reset-second-factor")
    assert [f"{home}/{verb}" in page for verb in verbs] == [False] * 4
    assert (tried, bob.get(f"{home}/disable").status_code) == (403, 303)
    assert [press(bob, home, f"{home}/{verb}") for verb in verbs[2:]] == [403, 403]


def test_a_stranger_is_not_there(house: House, bob: Visitor):
    theirs = make_user(house, "o@example.com", Role.CLIENT_VIEWER, seed(house, vendor=False))
    home = f"/console/people/{theirs}"

    answers = [bob.get(home).status_code, bob.get(f"{home}/disable").status_code]
    answers += [press(bob, "/console/", f"{home}/{verb}") for verb in ("enable", "allow-tries")]
    answers.append(press(bob, "/console/", f"{home}/disable", reason="x"))

    assert answers == [404] * 5


def test_the_roles_are_said_as_the_guards_read_them(bob: Visitor):
    page = bob.get("/console/roles").text

    line = page.partition('<th scope="row">Issue cards</th>')[2].partition("</tr>")[0]
    said = [cell == "Yes" for cell in re.findall(r">(Yes|No)</span>", line)]
    assert said == [Permission.PROVISION in GRANTS[role] for role in ROLES]
    assert page.count('<th scope="row">') == len(Permission)


def test_every_role_and_permission_has_words():
    assert set(ACTIONS) == set(Permission)
    assert set(ROLES) == set(WHO) == set(Role)
    assert len(set(ACTIONS.values())) == len(Permission)


def test_people_are_in_the_navigation_of_those_who_manage_them(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    manager = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    for path in ("/console/people", "/console/api-keys"):
        assert f'href="{path}"' in bob.get("/console/").text
        assert f'href="{path}"' not in manager.get("/console/").text
        assert manager.get(path).status_code == 403
