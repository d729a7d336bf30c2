"""The page of flagged uses: why in words, decisions for a reason, and who may take them (S2-063)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.buying import full_purchase
from tests.discounting import counted, full_discount
from tests.driving import rows
from tests.seeding import Seeded
from tests.suspecting import flag
from tests.web.console.conftest import Visitor, visitor_of

HOME = "/console/discounts/flagged"


@pytest.fixture
def ada(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Administers a client: may pay purchases back."""
    return visitor_of(app, house, Role.CLIENT_ADMIN, seeded)


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def one(house: House, seeded: Seeded) -> str:
    """The page of a flagged use."""
    usage_id = full_discount(house, seeded)
    flag(house, {"id": usage_id})
    return f"{HOME}/{usage_id}"


def test_s2063_the_page_says_why_in_words(ada: Visitor, one: str) -> None:
    shown = ada.get(HOME).text
    assert "The customer tried 9 different codes within a day." in shown
    assert "80 of 100" in shown
    assert "Reserved, not paid" in shown
    assert f'href="{one}/approve"' in shown
    assert f'href="{one}/reject"' in shown
    assert "/release" in shown


def test_s2063_a_flagged_use_names_its_customer_and_leads_to_its_purchase(
    house: House, seeded: Seeded, ada: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded)
    (usage,) = rows(house, "SELECT usage_id FROM purchases")
    flag(house, {"id": usage.usage_id})

    shown = ada.get(HOME).text

    assert f'href="/console/purchases/{purchase_id}"' in shown
    assert 'data-label="Customer">Guest<' in shown


def test_s2063_without_flagged_uses_it_says_what_would_come(ada: Visitor) -> None:
    assert "Nothing waits for you" in ada.get(HOME).text
    assert "Nothing was decided yet" in ada.get(f"{HOME}?decided=yes").text


def test_s2138_a_use_is_approved_for_a_reason(house: House, ada: Visitor, one: str) -> None:
    path = f"{one}/approve"
    asked = ada.get(path).text
    assert "Score 80 of 100." in asked

    bare = ada.send(path, agreed="1", reason="")
    assert bare.status_code == 422
    done = ada.send(path, agreed="1", reason="A colleague")

    assert done.status_code == 303
    (risk,) = rows(house, "SELECT decision, decision_reason FROM usage_risks")
    assert tuple(risk) == ("approved", "A colleague")
    assert "Nothing waits for you" in ada.get(HOME).text
    decided = ada.get(f"{HOME}?decided=yes").text
    assert "A colleague" in decided
    assert f"{one}/reject" not in decided


def test_s2138_a_use_is_rejected_and_its_slot_is_free(house: House, ada: Visitor, one: str) -> None:
    done = ada.send(f"{one}/reject", agreed="1", reason="One person")
    assert done.headers["Location"].endswith("done=rejected")
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    assert counted(house, code.id) == (0, {"released": 1})

    late = ada.send(f"{one}/approve", agreed="1", reason="No")
    assert late.status_code == 409
    assert "rejected already" in late.text


def test_s2063_who_manages_codes_sees_and_releases_and_administrators_decide(
    mia: Visitor, one: str
) -> None:
    shown = mia.get(HOME).text
    assert "Administrators decide" in shown
    assert "Release now" in shown
    assert f"{one}/approve" not in shown
    assert mia.get(f"{one}/approve").status_code == 403


def test_s2063_the_list_and_the_code_s_page_lead_there(
    house: House, mia: Visitor, one: str
) -> None:
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    assert f'href="{HOME}"' in mia.get("/console/discounts").text
    assert f'href="{HOME}?code={code.id}"' in mia.get(f"/console/discounts/{code.id}").text
    assert "80 of 100" in mia.get(f"{HOME}?code={code.id}").text
    assert "Nothing waits" in mia.get(f"{HOME}?code={one.rpartition('/')[2]}").text
