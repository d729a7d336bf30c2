"""People are invited at the console: sent once, downward only, sent again, ended (SEC-09, S1-100)."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.rate_policies import table
from pipelines.wiring import House
from tests.conftest import Database, Ground
from tests.driving import rows
from tests.posting import a_mail_house, link_to, subjects
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import make_user
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of
from web.app import create_app

ANN = "ann@example.com"
LIST, FORM = "/console/invitations", "/console/invitations/new"
GIVEN = {"email": ANN, "name": "Ann", "role": "client_viewer"}


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


def pressed(bob: Visitor, verb: str) -> int:
    """Press the first button of that kind on the list."""
    form = bob.get(LIST).text.partition(f'/{verb}"')
    path = f"{form[0].rpartition(chr(34))[2]}/{verb}"
    hidden = dict(HIDDEN.findall(form[2].partition("</form>")[0]))
    return bob.client.post(path, data=hidden, headers=SAME_ORIGIN).status_code


def lines(bob: Visitor) -> list[list[str]]:
    """The list's rows: what stands in their cells, without the times."""
    body = bob.get(LIST).text.partition("<tbody>")[2].partition("</tbody>")[0]
    plain = [
        re.sub(r"<time.*?</time>|<svg.*?</svg>|<[^>]+>", "|", row) for row in body.split("<tr>")
    ]
    return [[word for w in row.split("|") if (word := w.strip())] for row in plain[1:]]


def test_an_invitation_is_sent_once_and_the_list_says_how_it_stands(
    house: House, sandbox: Sandbox, bob: Visitor
):
    form = dict(HIDDEN.findall(bob.get(FORM).text.rpartition("<form")[2]))

    answers = [bob.client.post(FORM, data=form | GIVEN, headers=SAME_ORIGIN) for _ in range(2)]
    waiting = lines(bob)
    mails = subjects(house, sandbox, ANN)

    assert f'href="{LIST}"' in bob.get("/console/people").text
    assert [answer.headers["Location"] for answer in answers] == [f"{LIST}?done=sent"] * 2
    assert len(mails) == 1
    (line,) = waiting
    assert line[:2] == [ANN, "Ann"]
    assert {"Client viewer", "Open", "The mail is on its way", "Send again", "End"} <= set(line)
    assert "The mail was sent" in lines(bob)[0]
    assert "on its way" in bob.get(f"{LIST}?done=sent").text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "client_admin@console.example"}, "email"),
        ({"role": "client_admin"}, "role"),
        ({"role": "platform_support"}, "role"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_sec009_what_the_api_refuses_is_said_beside_its_field(
    house: House, bob: Visitor, changed: dict[str, str], field: str
):
    refused = bob.send(FORM, **(GIVEN | changed))

    assert refused.status_code == 422
    assert f'id="{field}-wrong"' in refused.text
    assert 'value="platform_support"' not in refused.text
    assert rows(house, "SELECT 1 FROM invitations") == []


def test_sec009_an_agency_invites_into_its_own_clients_alone(
    app: Flask, house: House, seeded: Seeded
):
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    other = seed(house, vendor=False)

    beyond = boss.send(FORM, **GIVEN, client_id=str(other.client_id))
    within = boss.send(FORM, **GIVEN, client_id=str(seeded.client_id))

    assert str(other.client_id) not in beyond.text
    assert (beyond.status_code, 'id="client_id-wrong"' in beyond.text) == (422, True)
    assert within.status_code == 303
    assert rows(house, "SELECT client_id FROM invitations") == [(seeded.client_id,)]


def test_it_is_sent_again_and_ended_and_only_the_newest_link_lives(
    house: House, sandbox: Sandbox, bob: Visitor, seeded: Seeded
):
    bob.send(FORM, **GIVEN)
    first, _token = link_to(house, sandbox, ANN)

    again = pressed(bob, "again")
    second, _token = link_to(house, sandbox, ANN)
    works = [bob.get(link).status_code for link in (first, second)]
    ended = pressed(bob, "end")

    assert (again, ended) == (303, 303)
    assert (works, bob.get(second).status_code) == ([404, 200], 404)
    made = rows(house, "SELECT role, client_id, ended_at IS NULL AS open FROM invitations")
    assert made == [("client_viewer", seeded.client_id, False)] * 2
    assert [(line[0], "Send again" in line) for line in lines(bob)] == [("Not kept", False)] * 2
    (newest, *_rest) = rows(house, "SELECT id FROM invitations ORDER BY id DESC")
    late = bob.send(f"{LIST}/{newest.id}/again", LIST)
    assert late.headers["Location"] == LIST, "the address is forgotten: nothing is sent"
    assert len(rows(house, "SELECT 1 FROM invitations")) == 2


def test_sec004_who_did_not_prove_themselves_lately_sends_nothing(house: House, bob: Visitor):
    bob.send(FORM, **GIVEN)
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '6 minutes' RETURNING 1")

    asked, again = bob.get(FORM), pressed(bob, "again")

    assert asked.headers["Location"] == f"/console/prove?next={FORM}"
    assert again == 303
    assert len(rows(house, "SELECT 1 FROM invitations")) == 1


def test_sec018_too_many_mails_to_one_address_are_refused_at_both_buttons(
    house: House, seeded: Seeded
):
    strict = replace(house, rates=table({"invite-to": (1, 3600)}, is_production=False))
    bob = visitor_of(create_app(strict), house, Role.CLIENT_ADMIN, seeded)
    bob.send(FORM, **GIVEN)

    more, again = bob.send(FORM, **GIVEN), pressed(bob, "again")

    assert (more.status_code, again) == (429, 429)
    assert "Retry-After" in more.headers
    assert 'id="email-wrong"' in more.text
    assert len(rows(house, "SELECT 1 FROM invitations")) == 1


def test_sec009_who_sent_it_from_above_is_named_by_their_side_and_not_undone(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    ada = visitor_of(app, house, Role.PLATFORM_ADMIN)
    boss = {"email": ANN, "role": "client_admin", "client_id": str(seeded.client_id)}
    ada.send(FORM, **boss)
    (made,) = rows(house, "SELECT id FROM invitations")

    (line,) = lines(bob)
    tried = bob.send(f"{LIST}/{made.id}/end", FORM).status_code

    assert "Platform" in line
    assert "Send again" not in line
    assert tried == 403
    assert rows(house, "SELECT 1 FROM invitations WHERE ended_at IS NULL") == [(1,)]


def test_an_accepted_one_leads_to_the_person(house: House, bob: Visitor, seeded: Seeded):
    bob.send(FORM, **GIVEN)
    ann = make_user(house, ANN, Role.CLIENT_VIEWER, seeded)
    rows(
        house,
        "UPDATE invitations SET ended_at = now(), sealed_guest = NULL, user_id = :ann RETURNING 1",
        ann=ann,
    )

    assert f'href="/console/people/{ann}">The person</a>' in bob.get(LIST).text
    assert "Accepted" in lines(bob)[0]
