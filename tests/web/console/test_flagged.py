"""The page of flagged uses: why in words, decisions for a reason, and who may take them (S2-063)."""

import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.buying import full_purchase
from tests.discounting import counted, full_discount
from tests.driving import change, rows
from tests.seeding import ACTOR, Seeded, seed
from tests.suspecting import flag
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import Visitor, visitor_of

HOME = "/console/discounts/flagged"


@pytest.fixture
def ada(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Administers a client: may pay purchases back."""
    return visitor_of(app, house, Role.CLIENT_ADMIN, seeded)


@pytest.fixture
def admin(app: Flask, house: House, seeded: Seeded) -> Caller:
    """The same over HTTP."""
    return signed_in(app, house, Role.CLIENT_ADMIN, seeded, name="ada-api")


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


def test_s2138_what_became_of_a_use_is_said_as_it_is(
    house: House, seeded: Seeded, ada: Visitor
) -> None:
    """By its decision, its money, and what each code gives back: of what was confirmed before it was flagged."""
    free = full_purchase(house, seeded)
    paid = full_purchase(house, seeded, "PAID10")
    change(house, "UPDATE payments SET paid_minor = 0, refunded_minor = 0 WHERE id = :id", id=free)
    change(house, "UPDATE discount_codes SET restore_on_refund = 'slot' WHERE code = 'PAID10'")
    uses = {
        row.purchase_id: row.id
        for row in rows(
            house, "SELECT id, purchase_id FROM discount_usages WHERE purchase_id IS NOT NULL"
        )
    }
    for usage_id in uses.values():
        flag(house, {"id": usage_id})
    assert ada.get(HOME).text.count("Confirmed before it was flagged") == 2

    expected = (
        (free, "Stays confirmed", "Stays used", "free", "it stays confirmed", "nothing was paid"),
        (
            paid,
            "Paid back",
            "Comes back to the code",
            "goes_back",
            "each code says",
            "is paid back",
        ),
    )
    for purchase_id, money, slot, done, notice, state in expected:
        path = f"{HOME}/{uses[purchase_id]}/reject"
        asked = ada.get(path).text
        answer = ada.send(path, agreed="1", reason="One person")
        assert money in asked
        assert slot in asked
        assert answer.headers["Location"].endswith(f"done={done}")
        assert notice in ada.get(answer.headers["Location"]).text
        assert f"Confirmed, {state}" in ada.get(f"{HOME}?decided=yes").text
    assert "before it was flagged" not in ada.get(f"{HOME}?decided=yes").text


def test_s2138_a_rejected_use_whose_page_did_not_end_can_be_released(
    house: House, ada: Visitor, one: str
) -> None:
    """Stripe did not answer when it was rejected: the slot stands until somebody ends its page."""
    change(
        house,
        "UPDATE usage_risks SET decision = 'rejected', decided_by = :id, decided_at = now(), "
        "decision_reason = 'One person' WHERE flagged_at IS NOT NULL",
        id=ACTOR,
    )
    shown = ada.get(f"{HOME}?decided=yes").text
    usage_id = one.rpartition("/")[2]

    assert "Still reserved" in shown
    assert f'href="/console/discounts/reservations/{usage_id}/release"' in shown


def test_s2138_what_went_back_after_it_was_flagged_waits_for_nobody(
    house: House, ada: Visitor, one: str
) -> None:
    for state in ("confirmed", "refunded"):
        change(
            house,
            "UPDATE discount_usages SET state = :state, ended_at = now() WHERE id = :id",
            state=state,
            id=UUID(one.rpartition("/")[2]),
        )
    assert "Nothing waits for you" in ada.get(HOME).text


def test_s2063_the_highest_score_comes_first_page_by_page(
    house: House, seeded: Seeded, ada: Visitor, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one of the page before is decided meanwhile; those of one score are newest first."""
    monkeypatch.setattr("web.console.flagged.PAGE_SIZE", 2)
    made = [str(full_discount(house, seeded, f"CODE-{place}")) for place in range(3)]
    for usage_id, score in zip(made, (80, 95, 80), strict=True):
        flag(house, {"id": usage_id})
        change(
            house,
            "UPDATE usage_risks SET score = :score, flagged_at = now() - interval '3 h' "
            "WHERE usage_id = :id",
            score=score,
            id=UUID(usage_id),
        )
    expected = [made[1], made[2], made[0]]

    first = ada.get(HOME).text
    (lower,) = re.findall(r'rel="next" href="([^"]*)"', first)
    one = admin.get("/discounts/flagged?limit=2").json
    admin.post(f"/usages/{made[2]}/approve", {"reason": "A colleague"})
    second = ada.get(unescape(lower)).text
    two = admin.get(f"/discounts/flagged?limit=2&cursor={one['next_cursor']}").json

    listed = [re.findall(rf"{HOME}/([^/]*)/approve", page) for page in (first, second)]
    assert listed == [expected[:2], expected[2:]]
    assert [row["id"] for row in one["data"] + two["data"]] == expected
    assert not two["has_more"]
    assert "waits 3.0 h" in first
    assert admin.get("/discounts/flagged?cursor=YWZ0ZXI6OTku").json["code"] == "invalid_cursor"
    assert ada.get(f"{HOME}?before=x").status_code == 200


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


@pytest.fixture
def queue(house: House, seeded: Seeded) -> list[str]:
    """Three flagged uses of three codes, the highest score first."""
    made = [full_discount(house, seeded, f"CODE-{place}") for place in range(3)]
    for usage_id, score in zip(made, (95, 80, 72), strict=True):
        flag(house, {"id": usage_id})
        change(
            house,
            "UPDATE usage_risks SET score = :score WHERE usage_id = :id",
            score=score,
            id=usage_id,
        )
    return [f"{HOME}/{usage_id}" for usage_id in made]


def following(page: str) -> list[str]:
    return re.findall(r'rel="next" href="([^"]*)"', page)


def test_s2138_a_flagged_use_says_its_place_in_the_queue_and_leads_to_the_next(
    ada: Visitor, queue: list[str]
) -> None:
    """After the last one comes the first: what was left for later is not lost."""
    shown = [ada.get(path).text for path in queue]

    places = [re.findall(r'id="place">([^<]*)<', page) for page in shown]
    assert places == [[f"{n} of 3 that wait, the highest score first."] for n in (1, 2, 3)]
    assert [following(page) for page in shown] == [[queue[1]], [queue[2]], [queue[0]]]
    assert "The customer tried 9 different codes within a day." in shown[0]
    assert f'href="{queue[0]}/approve" data-key="a"' in shown[0]
    assert f'href="{queue[0]}/reject" data-key="b"' in shown[0]
    assert f'href="{queue[1]}" data-key="n"' in shown[0]
    assert "nobody takes it back" in shown[0]
    assert f'href="{queue[0]}"' in ada.get(HOME).text


def test_s2138_who_has_decided_is_led_to_the_next_one_that_waits(
    house: House, ada: Visitor, queue: list[str]
) -> None:
    """Also past one that somebody else decided on meanwhile, and to the list after the last."""
    change(
        house,
        "UPDATE usage_risks SET decision = 'approved', decided_by = :id, decided_at = now(), "
        "decision_reason = 'A colleague' WHERE score = 80",
        id=ACTOR,
    )

    first = ada.send(f"{queue[0]}/approve", agreed="1", reason="A colleague")
    then = ada.get(first.headers["Location"]).text
    last = ada.send(f"{queue[2]}/reject", agreed="1", reason="One person")
    late = ada.get(queue[1]).text

    assert first.headers["Location"] == f"{queue[2]}?done=approved"
    assert "The use is approved." in then
    assert "1 of 1 that wait" in then
    assert following(then) == []
    assert last.headers["Location"] == f"{HOME}?done=rejected"
    assert "It waits no more." in late
    assert "data-key" not in late


def test_s2138_the_queue_of_one_code_stays_that_code_s(
    house: House, ada: Visitor, queue: list[str]
) -> None:
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'CODE-0'")
    low = UUID(queue[2].rpartition("/")[2])
    change(house, "UPDATE discount_usages SET code_id = :c WHERE id = :u", c=code.id, u=low)

    shown = ada.get(f"{queue[0]}?code={code.id}").text
    path = f"{queue[0]}/approve?code={code.id}"
    done = ada.send(path, agreed="1", reason="A colleague")

    assert "1 of 2 that wait" in shown
    assert following(shown) == [f"{queue[2]}?code={code.id}"]
    assert f'href="{path}"' in shown
    assert done.headers["Location"] == f"{queue[2]}?code={code.id}&done=approved"


def test_s2138_nobody_sees_what_is_another_client_s_or_not_flagged(
    house: House, ada: Visitor, queue: list[str]
) -> None:
    theirs = full_discount(house, seed(house, vendor=False))
    flag(house, {"id": theirs})
    change(house, "UPDATE usage_risks SET flagged_at = NULL WHERE score = 72")

    assert ada.get(f"{HOME}/{theirs}").status_code == 404
    assert ada.get(queue[2]).status_code == 404
    assert "1 of 2 that wait" in ada.get(queue[0]).text


def test_s2063_who_may_not_decide_looks_through_the_queue(mia: Visitor, queue: list[str]) -> None:
    shown = mia.get(queue[0]).text

    assert "Administrators decide" in shown
    assert "/approve" not in shown
    assert following(shown) == [queue[1]]


def test_s2138_a_long_queue_is_counted_up_to_a_bound(
    ada: Visitor, queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pipelines.fraud.queue", "web.console.flagged_item"):
        monkeypatch.setattr(f"{module}.COUNTED_MAX", 2)

    assert "2 of 2 or more that wait" in ada.get(queue[1]).text
    assert "After the first 2 that wait." in ada.get(queue[2]).text
