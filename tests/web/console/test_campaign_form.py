"""Campaigns are made and changed in the console by whoever manages them (S4-049, S4-061, S4-128)."""

from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from itertools import product
from uuid import UUID, uuid4

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.tenants.accounts import open_for_currency
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import signed_in
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

NEW = "/console/campaigns/new"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def made(house: House, name: str) -> list[object]:
    return rows(house, "SELECT * FROM campaigns WHERE name = :name", name=name)


def test_s4_049_a_campaign_is_made_once_and_is_the_same_as_one_made_over_http(
    app: Flask, house: House, seeded: Seeded, mia: Visitor
) -> None:
    api = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    asked = mia.get(NEW).text
    form = hidden(asked) | {"name": "  Summer  ", "time_zone": "Europe/Berlin"}

    sent = [mia.client.post(NEW, data=form, headers=SAME_ORIGIN) for _ in range(2)]
    (campaign,) = made(house, "Summer")
    told = api.post("/campaigns", {"name": "Winter", "time_zone": "Europe/Berlin"})
    (other,) = made(house, "Winter")

    assert 'name="client_id"' not in asked
    assert "budget of its own" in asked
    assert 'name="budget"' not in asked
    assert {answer.headers["Location"] for answer in sent} == {
        f"/console/campaigns/{campaign.id}?done=created"
    }
    assert told.status_code == 201
    facts = ("client_id", "agency_id", "time_zone", "state", "budget_mode", "version")
    assert [getattr(campaign, name) for name in facts] == [getattr(other, name) for name in facts]
    assert campaign.client_id == seeded.client_id
    entries = rows(house, "SELECT object_id FROM audit_entries WHERE action = 'campaign.created'")
    assert {entry.object_id for entry in entries} == {campaign.id, other.id}
    page = mia.get(sent[0].headers["Location"]).text
    assert "The campaign is made and accepts jobs." in page
    assert "Europe/Berlin" in page


def test_s4_061_who_may_give_it_a_budget_is_led_there(
    house: House, seeded: Seeded, bob: Visitor, mia: Visitor
) -> None:
    rows(house, "UPDATE clients SET time_zone = 'Asia/Tokyo' RETURNING 1")
    led = bob.send(NEW, name="Own", budget="isolated")
    not_led = mia.send(NEW, name="Hers", budget="isolated")

    (own,), (hers,) = made(house, "Own"), made(house, "Hers")
    assert led.headers["Location"] == f"/console/campaigns/{own.id}/budget?made=yes"
    assert not_led.headers["Location"] == f"/console/campaigns/{hers.id}?done=created"
    page = bob.get(led.headers["Location"]).text
    assert "The campaign is made. Now give it its budget" in page
    assert "Give it a budget of its own" in page
    assert "The campaign is made" not in bob.get(f"/console/campaigns/{own.id}/budget").text
    assert own.budget_mode == hers.budget_mode == "shared"
    # Nobody chose a zone, so it is the client's.
    assert own.time_zone == "Asia/Tokyo"


def test_s4_061_the_currency_that_has_credit_is_offered_first(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """S4-061: a currency without credit, though first by its name, is not what a budget is of."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        open_for_currency(session, "CHF")

    page = bob.get(bob.send(NEW, name="Own", budget="isolated").headers["Location"]).text

    assert 0 < page.index('<option value="USD"') < page.index('<option value="CHF"')


def test_an_agency_chooses_among_its_own_clients(app: Flask, house: House, seeded: Seeded) -> None:
    foreign = seed(house, vendor=False)
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    platform = visitor_of(app, house, Role.PLATFORM_ADMIN)
    before = rows(house, "SELECT count(*) FROM campaigns")
    asked = agency.get(NEW).text

    refused = [
        agency.send(NEW, name="Spring", client_id=client)
        for client in (str(foreign.client_id), str(uuid4()), "x")
    ]
    refused.append(platform.send(NEW, name="Spring", client_id=""))
    after = rows(house, "SELECT count(*) FROM campaigns")
    agency.send(NEW, name="Spring", client_id=str(seeded.client_id))
    taken = agency.send(NEW, name="Spring", client_id=str(seeded.client_id))
    platform.send(NEW, name="Spring", client_id=str(foreign.client_id))

    assert str(seeded.client_id) in asked
    assert str(foreign.client_id) not in asked
    for answer in refused:
        assert answer.status_code == 422
        assert "Choose the client whose campaign this is." in answer.text
    assert after == before
    assert taken.status_code == 409
    assert 'id="name-wrong">The name is taken here.' in taken.text
    owners = {one.client_id for one in made(house, "Spring")}
    assert owners == {seeded.client_id, foreign.client_id}


WRONG = (
    ("name", "", "Give a name of at most 200 ordinary characters."),
    ("name", "x" * 201, "Give a name of at most 200 ordinary characters."),
    ("name", "two\nlines", "Give a name of at most 200 ordinary characters."),
    ("time_zone", "Europe/Atlantis", "Choose a time zone."),
)


def test_what_cannot_be_is_told_at_its_field_and_changes_nothing(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    before = rows(house, "SELECT id, name, time_zone, version FROM campaigns")
    settings = f"/console/campaigns/{seeded.campaign_id}/settings"

    for path, (field, value, words) in product((NEW, settings), WRONG):
        answer = mia.send(path, **{"name": "Good", "time_zone": "UTC", field: value})

        assert answer.status_code == 422
        assert words in answer.text.partition(f'id="{field}-wrong"')[2].partition("</span>")[0]
        assert f'href="#{field}"' in answer.text
    assert rows(house, "SELECT id, name, time_zone, version FROM campaigns") == before


def test_s4_049_name_and_zone_are_changed_and_a_stale_form_is_told_what_is_different(
    house: House, seeded: Seeded, bob: Visitor, mia: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}/settings"
    stale = hidden(mia.get(path).text)
    first = bob.send(path, name="Bob's", time_zone="Europe/Paris", max_rewards="9")
    typed = stale | {"name": "Mia's", "time_zone": "UTC"}

    refused = mia.client.post(path, data=typed, headers=SAME_ORIGIN)
    (between,) = rows(house, "SELECT name, time_zone, version FROM campaigns")
    told = unescape(refused.text)
    again = mia.client.post(path, data=typed | hidden(refused.text), headers=SAME_ORIGIN)
    (after,) = rows(house, "SELECT name, time_zone, version FROM campaigns")

    assert first.headers["Location"] == f"/console/campaigns/{seeded.campaign_id}?done=changed"
    assert refused.status_code == 409
    assert "and is “Bob's” now." in told
    assert "and is “Europe/Paris” now." in told
    assert 'value="Mia\'s"' in told
    assert 'name="max_rewards" value="9"' in told
    assert tuple(between) == ("Bob's", "Europe/Paris", 2)
    assert again.status_code == 303
    assert tuple(after) == ("Mia's", "UTC", 3)
    assert again.headers["Location"] == f"/console/campaigns/{seeded.campaign_id}?done=changed"


def test_a_form_that_is_older_than_a_pause_says_that_the_fields_are_as_they_were(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}/settings"
    form = hidden(mia.get(path).text) | {"name": "New", "time_zone": "UTC"}
    rows(house, "UPDATE campaigns SET state = 'paused', version = version + 1 RETURNING 1")

    refused = mia.client.post(path, data=form, headers=SAME_ORIGIN)
    odd = mia.client.post(path, data=form | {"version": "x"}, headers=SAME_ORIGIN)

    assert (refused.status_code, odd.status_code) == (409, 409)
    assert "Its state or its budget changed; what stands here did not." in refused.text


def conditions(house: House) -> tuple[object, ...]:
    (row,) = rows(
        house, "SELECT starts_at, ends_at, max_rewards, max_rewards_per_recipient FROM campaigns"
    )
    return tuple(row)


def test_s4_128_conditions_are_set_in_the_campaigns_zone_shown_and_lifted(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}/settings"
    common = {"name": "Spring", "time_zone": "Europe/Berlin"}
    window = {"starts_at": "2027-03-01T09:00", "ends_at": "2027-04-01T00:00"}

    mia.send(path, **common, **window, max_rewards="500", max_rewards_per_recipient="2")
    set_to = conditions(house)
    seen = mia.get(path.removesuffix("/settings")).text
    shown = mia.get(path).text
    mia.send(path, **common, **window, max_rewards="", max_rewards_per_recipient="2")
    lifted = conditions(house)
    mia.send(path, **common | {"time_zone": "UTC"}, **window, max_rewards_per_recipient="2")

    assert set_to == (
        datetime(2027, 3, 1, 8, tzinfo=UTC),
        datetime(2027, 3, 31, 22, tzinfo=UTC),
        500,
        2,
    )
    assert "1 Mar 2027, 09:00 (Europe/Berlin)" in seen
    for value in window.values():
        assert f'value="{value}"' in shown
    assert "0 are given or on their way." in shown
    assert lifted == (*set_to[:2], None, 2)
    # The form says that its times are of the zone above them.
    assert conditions(house)[0] == datetime(2027, 3, 1, 9, tzinfo=UTC)


WRONG_CONDITIONS = (
    ("starts_at", "soon", "Give a date and a time such as"),
    ("starts_at", "0027-03-01T09:00", "Give a time of the years 2000 to 2099."),
    ("ends_at", "9999-12-31T23:59", "Give a time of the years 2000 to 2099."),
    ("starts_at", "2027-03-28T02:30", "The clocks of the time zone pass over this time."),
    ("ends_at", "2027-01-01T00:00", "The end must be after the start."),
    ("max_rewards", "0", "Give a whole number from 1 to 2,147,483,647, or nothing."),
    ("max_rewards_per_recipient", "2147483648", "Give a whole number from 1"),
)


def test_s4_128_a_condition_that_cannot_be_is_told_and_one_left_alone_keeps_its_seconds(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}/settings"
    typed = {"name": "Spring", "time_zone": "Europe/Berlin", "starts_at": "2027-02-01T00:00"}

    for field, value, words in WRONG_CONDITIONS:
        answer = mia.send(path, **typed | {field: value})

        assert answer.status_code == 422
        assert words in answer.text.partition(f'id="{field}-wrong"')[2].partition("</span>")[0]
        assert f'name="{field}" value="{value}"' in answer.text
    assert conditions(house) == (None,) * 4
    assert made(house, "Spring") == []
    rows(house, "UPDATE campaigns SET starts_at = '2027-03-01 08:00:17+00' RETURNING 1")
    before = conditions(house)
    mia.send(path, name="Renamed", time_zone="UTC", starts_at="2027-03-01T08:00")
    assert made(house, "Renamed") != []
    assert conditions(house) == before


def test_a_time_that_was_kept_before_years_had_bounds_breaks_no_page(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    home = f"/console/campaigns/{seeded.campaign_id}"
    rows(
        house,
        "UPDATE campaigns SET starts_at = '0001-01-01 00:00+00', ends_at = '9999-12-31 23:59:59+00',"
        " time_zone = 'Europe/Berlin' RETURNING 1",
    )
    before = conditions(house)

    pages = [mia.get(home), mia.get(f"{home}/settings"), mia.get("/console/campaigns")]
    shown = {"starts_at": "1999-12-31T01:00", "ends_at": "2100-01-02T01:00"}
    mia.send(f"{home}/settings", name="Renamed", time_zone="Europe/Berlin", **shown)

    assert [page.status_code for page in pages] == [200] * 3
    assert "2 Jan 2100, 01:00 (Europe/Berlin)" in pages[0].text
    assert made(house, "Renamed") != []
    assert conditions(house) == before


def test_only_who_manages_campaigns_is_offered_the_forms(
    app: Flask, house: House, seeded: Seeded, mia: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}"
    foreign = seed(house, vendor=False)
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    for visitor, may in ((mia, True), (viewer, False)):
        assert (NEW in visitor.get("/console/campaigns").text) is may
        assert (f"{path}/settings" in visitor.get(path).text) is may
        for page in (NEW, f"{path}/settings"):
            assert visitor.get(page).status_code == (200 if may else 403)
    assert mia.get(f"/console/campaigns/{foreign.campaign_id}/settings").status_code == 404
    stranger = mia.send(
        f"/console/campaigns/{foreign.campaign_id}/settings", NEW, name="Mine", time_zone="UTC"
    )
    assert stranger.status_code == 404


def test_who_has_no_campaign_yet_is_taught_what_it_is_for(
    house: House, app: Flask, seeded: Seeded
) -> None:
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    fresh = agency.post("/clients", {"name": "Fresh"}).json["id"]
    there = replace(seeded, client_id=UUID(fresh))
    manager, viewer = (
        visitor_of(app, house, role, there) for role in (Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER)
    )

    for page in (manager.get("/console/campaigns").text, manager.get("/console/jobs/new").text):
        assert page.count(f'href="{NEW}"') == 1
    assert "Whoever manages campaigns here can make one." in viewer.get("/console/campaigns").text
