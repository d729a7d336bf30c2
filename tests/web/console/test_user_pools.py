"""Pools of people in the console: made, changed, put away and back, listed (S1-016, S1-039, S3-059)."""

from html import unescape

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.pooling import make_pool
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

NEW = "/console/user-pools/new"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns of a client, and its pools."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def test_s1_039_an_empty_list_teaches_what_random_and_equal_are(mia: Visitor) -> None:
    page = mia.get("/console/user-pools").text

    assert "No pool yet" in page
    assert "draws somebody of the pool for every coupon" in page
    assert "gives everybody the same number" in page
    assert ">Pools</a>" in page
    assert "No pool is like this" in mia.get("/console/user-pools?find=beta").text


def test_s1_016_a_pool_is_made_once_and_shown_with_its_description(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    """S1-016, S3-059, EC-035"""
    form = hidden(mia.get(NEW).text) | {"name": " Beta Testers ", "description": "Try it\r\nfirst"}

    sent = [mia.client.post(NEW, data=form, headers=SAME_ORIGIN) for _ in range(2)]

    (pool,) = rows(house, "SELECT * FROM user_pools")
    assert (pool.name, pool.description) == ("Beta Testers", "Try it\nfirst")
    assert {answer.headers["Location"] for answer in sent} == {
        f"/console/user-pools/{pool.id}?done=created"
    }
    page = mia.get(sent[0].headers["Location"]).text
    assert "The pool is made and empty." in page
    assert "Nobody is in the pool yet" in page
    assert "Try it" in page
    assert "Distribute coupons" not in page
    listed = mia.get("/console/user-pools?find=testers").text
    assert "Beta Testers" in listed
    assert "Nobody in it" in listed


def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_pool(house, seeded, "Beta Testers")

    nameless = mia.send(NEW, name=" ", description="Kept")
    long = mia.send(NEW, name="A", description="x" * 1001)
    taken = mia.send(NEW, name="Beta Testers", description="Kept")

    assert [one.status_code for one in (nameless, long, taken)] == [422, 422, 409]
    assert 'href="#name"' in nameless.text
    assert ">Kept</textarea>" in nameless.text
    assert 'href="#description"' in long.text
    assert 'value="Beta Testers"' in taken.text
    assert rows(house, "SELECT count(*) FROM user_pools") == [(1,)]


def test_settings_are_written_unless_somebody_was_faster(
    house: House, seeded: Seeded, mia: Visitor, bob: Visitor
) -> None:
    path = f"/console/user-pools/{make_pool(house, seeded)}/settings"
    shown = hidden(mia.get(path).text)

    first = bob.send(path, name="Testers", description="His")
    late = mia.client.post(
        path, data=shown | {"name": "Hers", "description": ""}, headers=SAME_ORIGIN
    )
    left_alone = late.text.partition("<textarea")[2].partition(">")[2].partition("<")[0]
    again = mia.client.post(
        path,
        data=hidden(late.text) | {"name": "Hers", "description": left_alone},
        headers=SAME_ORIGIN,
    )

    assert (first.status_code, late.status_code, again.status_code) == (303, 409, 303)
    assert "somebody changed the pool meanwhile" in late.text
    assert "Testers" in late.text
    assert 'value="Hers"' in late.text
    assert rows(house, "SELECT name, description FROM user_pools") == [("Hers", "His")]


def test_a_pool_is_put_away_and_taken_back(house: House, seeded: Seeded, mia: Visitor) -> None:
    pool = make_pool(house, seeded)
    home = f"/console/user-pools/{pool}"

    away = mia.send(f"{home}/archive", home)
    put_away = mia.get(away.headers["Location"]).text
    lists = [mia.get(f"/console/user-pools{query}").text for query in ("", "?state=archived")]
    refused = mia.send(f"{home}/add", people="a@x.example", create_missing="1")
    back = mia.send(f"{home}/restore", home)

    assert "The pool is put away." in put_away
    assert "Take back into use" in put_away
    assert [f'href="{home}"' in text for text in lists] == [False, True]
    assert refused.status_code == 409
    assert "Take it back into use" in refused.text
    assert back.headers["Location"] == f"{home}?done=restored"
    assert rows(house, "SELECT archived_at, members FROM user_pools") == [(None, 0)]


def test_an_agency_chooses_among_its_own_clients(app: Flask, house: House, seeded: Seeded) -> None:
    foreign = seed(house, vendor=False)
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    page = agency.get(NEW).text

    refused = [
        agency.send(NEW, name="P", client_id=given) for given in (str(foreign.client_id), "x")
    ]
    made = agency.send(NEW, name="P", client_id=str(seeded.client_id))

    assert str(seeded.client_id) in page
    assert str(foreign.client_id) not in page
    assert [answer.status_code for answer in refused] == [422, 422]
    assert made.status_code == 303
    assert rows(house, "SELECT client_id FROM user_pools") == [(seeded.client_id,)]
    assert "Client" in agency.get("/console/user-pools").text


def test_who_may_only_read_sees_no_forms(app: Flask, house: House, seeded: Seeded) -> None:
    pool = make_pool(house, seeded)
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    page = viewer.get(f"/console/user-pools/{pool}").text

    assert "Beta Testers" in page
    assert "Put away" not in page
    assert "/add" not in page
    assert viewer.get(NEW).status_code == 403
    assert "New pool" not in viewer.get("/console/user-pools").text


def test_the_list_goes_on_by_cursor(house: House, seeded: Seeded, mia: Visitor) -> None:
    for number in range(51):
        make_pool(house, seeded, f"Pool {number:02}")

    first = mia.get("/console/user-pools?find=pool").text
    older = unescape(first.partition('rel="next" href="')[2].partition('"')[0])
    second = mia.get(older).text

    assert first.count("Nobody in it") == 50
    assert "find=pool" in older
    assert second.count("Nobody in it") == 1
    assert "Pool 00" in second
