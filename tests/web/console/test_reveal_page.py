"""EC-079: only a person's click, with the recipient's address, opens a card."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.provisioning.reveal import reveal_token
from pipelines.sealing import Purpose
from pipelines.wiring import House
from tests.canary import MARK
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded

OPEN = {"open": "1", "email": "person0@example.com"}


@pytest.fixture
def link(house: House, seeded: Seeded) -> str:
    """The link of a card sent to person0@example.com."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "GIFT"))
    submit(house, seeded, recipients_csv(1), delivery_method="email")
    drain(house)
    (row,) = rows(house, "SELECT id FROM provisions")
    return f"/r/{reveal_token(row.id, 1, house.settings.keyring)}"


def revealed(house: House) -> Any:
    return rows(house, "SELECT revealed_at IS NOT NULL AS yes FROM provisions")[0].yes


def test_looking_never_opens_the_card(house: House, browser: FlaskClient, link: str):
    pages = [
        browser.get(link),
        browser.head(link),
        browser.get(link, headers={"User-Agent": "SafeLinks scanner"}),
        browser.post(link),
        browser.post(link, data={"open": "1"}),
        browser.post(link, data={"email": "person0@example.com"}),
    ]

    assert [page.status_code for page in pages] == [200, 200, 200, 422, 422, 422]
    assert "$25.00" in pages[0].text
    assert not any("GIFT" in page.text for page in pages)
    assert revealed(house) is False


def test_the_recipient_opens_the_card_and_it_is_audited(
    house: House, browser: FlaskClient, link: str
):
    answer = browser.post(link, data=OPEN | {"email": " Person0@EXAMPLE.com "})

    assert answer.status_code == 200
    assert 'data-value="GIFT' in answer.text
    assert answer.text.partition('"number-label" data-value="')[2].count(" ") > 2
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert revealed(house) is True
    assert rows(house, "SELECT count(*) FROM audit_entries WHERE action = 'card.revealed'") == [
        (1,)
    ]


def test_a_card_that_is_a_link_is_shown_as_one(house: House, browser: FlaskClient, link: str):
    address = f"https://reward.example/{MARK}"
    (card,) = rows(house, "SELECT id FROM cards")
    sealed = house.settings.keyring.seal(
        Purpose.CODES, address, table="cards", row_id=card.id, column="sealed_number"
    )
    with scoped_transaction(house.sessions, PLATFORM) as session:
        values = {"number": sealed, "card": card.id}
        session.execute(text("UPDATE cards SET sealed_number = :number WHERE id = :card"), values)

    answer = browser.post(link, data=OPEN)

    assert f'<a href="{address}" rel="noreferrer noopener">' in answer.text
    assert "Card number" not in answer.text
    assert "Follow the link to your card." in answer.text


def test_another_address_opens_nothing_and_the_tries_are_counted(
    house: House, browser: FlaskClient, link: str
):
    tries = [browser.post(link, data=OPEN | {"email": "eve@example.com"}) for _ in range(10)]

    limited = browser.post(link, data=OPEN)

    assert {answer.status_code for answer in tries} == {422}
    assert limited.status_code == 429
    assert limited.headers["Retry-After"] == "3600"
    assert revealed(house) is False


def test_the_api_asks_the_holder_of_a_link_the_same_and_counts_with_the_page(
    house: House, browser: FlaskClient, link: str
):
    """A forwarded link opens nothing at either door; what is left out is no try."""
    (card,) = rows(house, "SELECT id FROM provisions")

    def ask(**body: str | None):
        named = {"token": link.removeprefix("/r/")} | body
        return browser.post(f"/api/v1/gift-cards/{card.id}/reveal", json=named)

    silent = [ask(), ask(email=None), ask(email=" ")]
    wrong = [ask(email="eve@example.com"), ask(email="no address")]
    untold = [(answer.status_code, answer.json["code"]) for answer in silent + wrong]
    opened = ask(email=" Person0@EXAMPLE.com ")
    eve = {"email": "eve@example.com"}
    tries = [(browser.post(link, data=OPEN | eve), ask(**eve)) for _try in range(4)]
    limited = [ask(email="person0@example.com"), browser.post(link, data=OPEN)]

    assert untold == [(422, "not_the_recipient")] * 5
    assert len({answer.json["detail"] for answer in silent + wrong}) == 1
    assert (opened.status_code, opened.json["card_number"][:4]) == (200, "GIFT")
    assert {answer.status_code for pair in tries for answer in pair} == {422}
    assert [answer.status_code for answer in limited] == [429, 429]
    refused = "SELECT count(*) FROM audit_entries WHERE action = 'card.reveal_refused'"
    assert rows(house, refused) == [(10,)]


def test_a_card_is_opened_five_times_an_hour_at_most(browser: FlaskClient, link: str):
    answers = [browser.post(link, data=OPEN).status_code for _ in range(6)]

    assert answers == [200, 200, 200, 200, 200, 429]


def test_a_form_of_another_site_opens_nothing(house: House, browser: FlaskClient, link: str):
    answer = browser.post(link, data=OPEN, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert revealed(house) is False


def test_wrong_links_all_look_the_same(browser: FlaskClient, link: str):
    wrong = [
        browser.get(path)
        for path in ("/r/abc", f"{link[:-1]}{'A' if link[-1] != 'A' else 'B'}x", "/r/" + "a" * 200)
    ]

    assert [page.status_code for page in wrong] == [404, 404, 404]
    assert len({page.text for page in wrong}) == 1


def test_a_card_without_an_address_opens_with_a_click(
    house: House, seeded: Seeded, browser: FlaskClient
):
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "GIFT"))
    listed = [{"reference": "order 7", "email": None, "name": None, "phone": None}]
    submit(house, seeded, listed, delivery_method="none")
    drain(house)
    (row,) = rows(house, "SELECT id FROM provisions")
    link = f"/r/{reveal_token(row.id, 1, house.settings.keyring)}"

    by_token = browser.post(
        f"/api/v1/gift-cards/{row.id}/reveal", json={"token": link.removeprefix("/r/")}
    )

    assert 'type="email"' not in browser.get(link).text
    assert "GIFT" in browser.post(link, data={"open": "1"}).text
    assert "GIFT" in by_token.json["card_number"]
