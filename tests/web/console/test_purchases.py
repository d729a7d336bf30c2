"""Purchases in the console: listed, filtered, and one with what waits (S2-013, EC-006, EC-049)."""

import re
from html import unescape

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.buying import full_purchase
from tests.driving import change, rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of

HOME = "/console/purchases"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def listed(page: str) -> list[str]:
    return re.findall(r'<a class="mono" href="/console/purchases/([^"]*)">', page)


def known_as(house: House, seeded: Seeded) -> None:
    """The customer of every purchase is a person whom the client knows."""
    (person,) = rows(house, "SELECT id FROM users WHERE role = 'campaign_manager'")
    change(house, "UPDATE purchases SET user_id = :id", id=person.id)
    change(
        house,
        "INSERT INTO client_users (client_id, user_id, agency_id, name) "
        "VALUES (:client, :id, :agency, 'Ann Shopper') ON CONFLICT (client_id, user_id) "
        "DO UPDATE SET name = excluded.name",
        client=seeded.client_id,
        agency=seeded.agency_id,
        id=person.id,
    )


def test_s2_013_an_empty_list_says_what_a_purchase_is_and_where_it_comes_from(mia: Visitor) -> None:
    shown = mia.get(HOME).text

    assert "No purchase yet" in shown
    assert "POST /api/v1/checkout" in shown
    assert ">Purchases</a>" in shown


@pytest.mark.parametrize(
    ("role", "may_settle"),
    [
        (Role.PLATFORM_ADMIN, True),
        (Role.PLATFORM_SUPPORT, False),
        (Role.AGENCY_ADMIN, True),
        (Role.AGENCY_VIEWER, False),
        (Role.CLIENT_ADMIN, True),
        (Role.CAMPAIGN_MANAGER, False),
        (Role.CLIENT_VIEWER, False),
    ],
)
def test_each_role_sees_purchases_and_only_administrators_settle(
    app: Flask, house: House, seeded: Seeded, role: Role, may_settle: bool
) -> None:
    own = f"{HOME}/{full_purchase(house, seeded, paid_minor=8_999)}"
    visitor = visitor_of(app, house, role, seeded)

    shown = visitor.get(own)

    assert (visitor.get(HOME).status_code, shown.status_code) == (200, 200)
    assert (f'href="{own}/refund"' in shown.text) is may_settle
    assert (f'href="{own}/accept"' in shown.text) is may_settle
    assert ("Only administrators pay purchases back." in shown.text) is not may_settle
    settled = {visitor.get(f"{own}/{verb}").status_code for verb in ("refund", "accept")}
    assert settled == {200 if may_settle else 403}


def test_an_end_user_sees_no_purchases(app: Flask, house: House, seeded: Seeded) -> None:
    visitor = visitor_of(app, house, Role.END_USER, seeded)

    assert visitor.get(HOME).status_code == 403


def test_a_line_tells_cart_state_amount_code_and_customer(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded)
    change(house, "UPDATE purchases SET cart_reference = '<b>41'")
    guest = mia.get(HOME).text
    known_as(house, seeded)

    shown = mia.get(HOME).text

    assert listed(shown) == [str(purchase_id)]
    assert "&lt;b&gt;41" in shown
    assert "Confirmed" in shown.partition("<tbody>")[2]
    assert "$90.00" in shown
    assert ">SAVE10</a>" in shown
    assert 'data-label="Customer">Guest<' in guest
    assert 'data-label="Customer">campaign_manager@console.example<' in shown


def test_purchases_are_narrowed_by_state_code_client_and_dispute(
    app: Flask, house: House, seeded: Seeded, mia: Visitor
) -> None:
    first = full_purchase(house, seeded)
    second = full_purchase(house, seeded, "SECOND")
    theirs = full_purchase(house, seed(house, vendor=False))
    change(house, "UPDATE payments SET state = 'refunded' WHERE id = :id", id=second)
    change(house, "UPDATE payments SET is_disputed = true WHERE id = :id", id=first)
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SECOND'")
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)

    assert listed(mia.get(HOME).text) == [str(second), str(first)]
    assert listed(mia.get(f"{HOME}?state=refunded").text) == [str(second)]
    for one in (code.id, "SECOND", " second"):
        assert listed(mia.get(f"{HOME}?discount={one}").text) == [str(second)]
    assert listed(mia.get(f"{HOME}?disputed=1").text) == [str(first)]
    assert "No purchase is like this" in mia.get(f"{HOME}?state=failed").text
    assert listed(root.get(HOME).text) == [str(theirs), str(second), str(first)]
    assert listed(root.get(f"{HOME}?client={seeded.client_id}").text) == [str(second), str(first)]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("discount=SHIP5", "No discount code that you see has this text"),
        ("discount=THEIRS", "No discount code that you see has this text"),
        ("state=bogus", "A purchase has no such state"),
        ("client=bogus", "This is no client"),
    ],
)
def test_s2_013_a_filter_that_cannot_be_says_so_and_shows_nothing(
    house: House, seeded: Seeded, mia: Visitor, asked: str, words: str
) -> None:
    full_purchase(house, seeded)
    full_purchase(house, seed(house, vendor=False), "THEIRS")

    shown = mia.get(f"{HOME}?{asked}")

    assert (shown.status_code, listed(shown.text)) == (422, [])
    assert words in shown.text
    assert f'href="#{asked.partition("=")[0]}"' in shown.text


def test_fifty_purchases_are_a_page_and_the_older_ones_follow(
    house: House, seeded: Seeded, mia: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pages of two, so that three are enough."""
    monkeypatch.setattr("web.console.purchases.PAGE_SIZE", 2)
    made = [str(full_purchase(house, seeded, f"CODE-{number}")) for number in range(3)]

    first = mia.get(f"{HOME}?state=confirmed").text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second = mia.get(unescape(older)).text

    assert listed(first) == made[:0:-1]
    assert "state=confirmed" in unescape(older)
    assert listed(second) == made[:1]
    assert 'rel="next"' not in second


def test_the_page_of_a_purchase_tells_what_was_bought_paid_and_asked_back(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded)
    change(
        house,
        "UPDATE payments SET session_id = 'cs_1', payment_intent_id = 'pi_1' WHERE purpose = 'purchase'",
    )
    (usage,) = rows(house, "SELECT id FROM discount_usages")

    shown = unescape(bob.get(f"{HOME}/{purchase_id}").text)

    assert "What was asked for is paid." in shown
    for told in ("SKU-1", "$100.00", "$10.00", "$90.00", "cs_1", "pi_1", str(usage.id)):
        assert told in shown
    assert "Counts as used" in shown
    assert "Made in Stripe’s own pages" in shown
    assert "The bank asks" in shown
    assert "fraudulent" in shown
    assert f"/console/audit?object_id={purchase_id}" in shown


@pytest.mark.parametrize(
    ("change_to", "told"),
    [
        (
            "UPDATE payments SET state = 'open', session_id = 's' WHERE purpose = 'purchase'",
            "The customer can pay on its page until ",
        ),
        ("UPDATE payments SET state = 'open'", "Its payment page is not made yet"),
        ("UPDATE payments SET state = 'processing'", "The bank was asked and answers within days"),
        ("UPDATE payments SET state = 'refunded'", "All that was paid went back."),
        (
            "UPDATE payments SET state = 'failed', last_failure_code = 'card_declined'",
            "The bank said no (card_declined).",
        ),
        ("UPDATE payments SET state = 'expired'", "Its page was ended before anybody paid."),
        ("UPDATE purchases SET refused = 'late'", "It is being paid back."),
        ("UPDATE purchases SET refused = 'paid_twice'", "was paid already, with another purchase"),
        ("UPDATE purchases SET is_late = true", "another one was free and was taken"),
        (
            "UPDATE discount_usages SET is_overflow = true",
            "its use counts beside the code’s limit",
        ),
        ("UPDATE payments SET is_disputed = true", "Answer it in Stripe’s pages."),
    ],
)
def test_ec006_every_state_is_said_in_words_with_what_it_waits_for(
    house: House, seeded: Seeded, bob: Visitor, change_to: str, told: str
) -> None:
    purchase_id = full_purchase(house, seeded)
    change(house, change_to)

    assert told in unescape(bob.get(f"{HOME}/{purchase_id}").text)


def test_ec049_another_amount_is_told_with_what_was_asked_and_what_was_paid(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded, paid_minor=8_999)

    shown = bob.get(f"{HOME}/{purchase_id}").text

    assert "Paid, not confirmed" in shown
    assert "$90.00 was asked for and $89.99 was paid." in shown
    assert "Take what was paid…" in shown


def test_s2_109_what_is_paid_and_flagged_leads_to_who_decides(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """No word of another amount: what was asked for was paid."""
    purchase_id = full_purchase(house, seeded, paid_minor=8_999)
    change(house, "UPDATE purchases SET review = 'risk_high'")
    change(
        house,
        "UPDATE payments SET state = 'succeeded', paid_minor = 9000 WHERE purpose = 'purchase'",
    )
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")

    shown = bob.get(f"{HOME}/{purchase_id}").text

    assert "$90.00 was paid, as it was asked for, and the use of its code looks like" in shown
    assert f'href="/console/discounts/flagged?code={code.id}"' in shown
    assert "Kept until somebody decides" in shown
    assert "another amount" not in shown.lower()
    assert "Take what was paid…" not in shown


def test_a_strangers_purchase_is_as_unknown_as_none(house: House, bob: Visitor) -> None:
    theirs = full_purchase(house, seed(house, vendor=False))

    answers = [bob.get(f"{HOME}/{theirs}{verb}").status_code for verb in ("", "/refund", "/accept")]

    assert answers == [404, 404, 404]
    assert listed(bob.get(HOME).text) == []


def test_the_code_s_page_leads_to_its_purchases(house: House, seeded: Seeded, mia: Visitor) -> None:
    full_purchase(house, seeded)
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")

    assert f"{HOME}?discount={code.id}" in mia.get(f"/console/discounts/{code.id}").text
