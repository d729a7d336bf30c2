"""What a link's holder must know beside it, and what its page says of the card (EC-079)."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.reveal import reveal_token
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.replacing import report
from tests.seeding import ACTOR, Seeded
from tests.web.console.conftest import visitor_of
from web.console.reveal import HEADERS

CODE, PHONE = "ABC-123-XYZ", "+4930901820"
WRONG_CODE = {"redemption_code": "ABC-123-XYY"}


def given(house: House, seeded: Seeded, recipient: dict[str, Any], code: str | None = None) -> str:
    """The link of one card, asked for with nothing to be sent."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "GIFT"))
    ask(house, seeded, recipient, code)
    hasten(house)
    drain(house)
    (row,) = rows(house, "SELECT id FROM provisions")
    return f"/r/{reveal_token(row.id, 1, house.settings.keyring)}"


def ask(
    house: House, seeded: Seeded, recipient: dict[str, Any], code: str | None
) -> AcceptedSingle:
    asked = SingleRequest(
        seeded.campaign_id, seeded.brand_id, 2500, DeliveryMethod.NONE, recipient, code
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_single(
            session,
            asked,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        )


@pytest.mark.parametrize(
    ("recipient", "code", "name", "right", "wrong"),
    [
        ({"reference": "r"}, CODE, "redemption_code", " abc-123-xyz ", "ABC-123-XYY"),
        ({"phone": PHONE}, None, "phone_last4", "1820", "1821"),
        ({"email": "ada@example.com", "phone": PHONE}, CODE, "email", "ADA@example.com", "1820"),
    ],
)
def test_ec079_a_link_opens_with_what_its_recipient_knows(
    house: House,
    seeded: Seeded,
    browser: FlaskClient,
    recipient: dict[str, str],
    code: str | None,
    name: str,
    right: str,
    wrong: str,
):
    """EC-079: a form without the second factor, or with another's, opens nothing."""
    link = given(house, seeded, recipient, code)
    (card,) = rows(house, "SELECT id FROM provisions")
    api, token = f"/api/v1/gift-cards/{card.id}/reveal", {"token": link.removeprefix("/r/")}

    shown = browser.get(link)
    refused = [browser.post(link, data={"open": "1", name: value}) for value in ("", wrong)]
    by_api = [browser.post(api, json=token | {name: value}) for value in ("", wrong)]
    before = rows(house, "SELECT 1 FROM provisions WHERE revealed_at IS NOT NULL")
    opened = browser.post(link, data={"open": "1", name: right})
    also = browser.post(api, json=token | {name: right})

    assert f'name="{name}"' in shown.text
    assert [answer.status_code for answer in refused] == [422, 422]
    assert {(answer.json["code"], answer.json["needs"]) for answer in by_api} == {
        ("not_the_recipient", name)
    }
    assert before == []
    assert (opened.status_code, "GIFT" in opened.text) == (200, True)
    assert "GIFT" in also.json["card_number"]


def test_ec079_what_replaces_a_card_asks_for_the_same_code_and_the_code_leads_to_it(
    house: House, seeded: Seeded, browser: FlaskClient
):
    """EC-079: neither the old link nor the new one opens without the code; it buys no other card."""
    asked = {"phone": PHONE}, CODE
    old = given(house, seeded, *asked)
    (first,) = rows(house, "SELECT * FROM provisions")
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "MORE"))
    job_id = report(house, seeded, first.id)
    hasten(house)
    drain(house)
    (second,) = rows(house, "SELECT * FROM provisions WHERE job_id = :job", job=job_id)
    link = f"/r/{reveal_token(second.id, 1, house.settings.keyring)}"

    gone = [browser.get(old), browser.post(old, data={"open": "1", "redemption_code": CODE})]
    shown = browser.get(link)
    refused = [browser.post(link, data={"open": "1"} | more) for more in ({}, WRONG_CODE)]
    opened = browser.post(link, data={"open": "1", "redemption_code": CODE})
    replay = ask(house, seeded, *asked)

    assert [(page.status_code, "newer gift card" in page.text) for page in gone] == [
        (410, True)
    ] * 2
    assert all(dict(page.headers).items() >= HEADERS.items() for page in gone)
    assert 'name="redemption_code"' in shown.text
    assert [answer.status_code for answer in refused] == [422, 422]
    assert (opened.status_code, "MORE" in opened.text) == (200, True)
    assert (replay.job_id, replay.is_replay) == (job_id, True)
    assert len(rows(house, "SELECT 1 FROM provisions")) == 2


def test_ec067_a_code_whose_replacement_found_no_card_is_spent_anew(house: House, seeded: Seeded):
    """EC-067: its charge is credit again, and its recipient may ask with it again."""
    given(house, seeded, {"phone": PHONE}, CODE)
    (first,) = rows(house, "SELECT * FROM provisions")
    report(house, seeded, first.id)
    hasten(house)
    drain(house)

    again = ask(house, seeded, {"phone": PHONE}, CODE)

    assert not again.is_replay


def test_s4_057_the_page_says_from_whom_how_to_use_it_and_until_when(
    house: House, seeded: Seeded, browser: FlaskClient
):
    link = given(house, seeded, {"reference": "r"}, CODE)

    shown = browser.get(link).text
    opened = browser.post(link, data={"open": "1", "redemption_code": CODE}).text
    again = browser.get(link).text

    assert "A gift from Client" in shown
    assert "Valid until 31 December 2028" in shown
    assert "<details><summary>Show the PIN" in opened
    assert 'src="data:image/svg+xml' in opened
    assert "How to use it" in opened
    assert "You opened this card on" in again


def test_a_card_past_its_last_day_says_so(house: House, seeded: Seeded, browser: FlaskClient):
    link = given(house, seeded, {"reference": "r"}, CODE)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql("UPDATE cards SET expires_on = '2020-01-31'")

    shown = browser.get(link).text

    assert "was valid until 31 January 2020" in shown


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        (Role.PLATFORM_ADMIN, True),
        (Role.AGENCY_ADMIN, True),
        (Role.CLIENT_ADMIN, False),
        (None, False),
    ],
)
def test_s4_055_056_source_and_margin_are_for_those_who_see_costs(
    app: Flask, house: House, seeded: Seeded, role: Role | None, sees: bool
):
    link = given(house, seeded, {"reference": "r"}, CODE)
    looker = app.test_client() if role is None else visitor_of(app, house, role, seeded)

    shown = looker.get(link).text

    assert ("source csv, margin $2.00" in shown) is sees
    assert ("margin" in shown) is sees


def test_s4_056_another_agency_s_admin_sees_no_margin(app: Flask, house: House, seeded: Seeded):
    link = given(house, seeded, {"reference": "r"}, CODE)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        stranger = new_id()
        session.connection().exec_driver_sql(
            "INSERT INTO agencies (id, agency_id, name) VALUES (%(id)s, %(id)s, 'Other')",
            {"id": stranger},
        )
    other = replace(seeded, agency_id=stranger)
    looker = visitor_of(app, house, Role.AGENCY_ADMIN, other)

    assert "margin" not in looker.get(link).text
