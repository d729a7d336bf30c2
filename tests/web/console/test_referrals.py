"""The console's pages of referral programs (S2-128)."""

from pipelines.wiring import House
from tests.buying import full_purchase
from tests.driving import change, rows
from tests.seeding import Seeded
from tests.web.console.conftest import SAME_ORIGIN, Visitor
from tests.web.console.test_discount_form import hidden

TYPED = {
    "name": "Bring a friend",
    "friend_kind": "percent",
    "friend_percent": "12.5",
    "reward_kind": "fixed",
    "reward_amount": "5",
    "reward_currency": "usd",
    "prefix": "ref",
    "random_length": "10",
    "hold_days": "14",
    "reward_valid_days": "365",
    "max_rewards_per_referrer": "3",
}
NEW = "/console/referrals/new"


def program(house: House) -> tuple[str, dict[str, object]]:
    (row,) = rows(house, "SELECT * FROM referral_programs")
    return f"/console/referrals/{row.id}", dict(row._mapping)


def test_s2_128_a_program_is_made_by_its_form_and_changed_by_who_has_read_it(
    house: House, bob: Visitor
) -> None:
    page = bob.get(NEW).text
    form = hidden(page)
    wrong = bob.client.post(
        NEW, data=form | TYPED | {"friend_percent": "200", "hold_days": "x"}, headers=SAME_ORIGIN
    )
    made, again = (bob.client.post(NEW, data=form | TYPED, headers=SAME_ORIGIN) for _ in range(2))

    assert wrong.status_code == 422
    assert 'href="#friend_percent"' in wrong.text
    assert 'href="#hold_days"' in wrong.text
    assert (made.status_code, made.location) == (303, again.location)
    path, row = program(house)
    assert (row["prefix"], row["max_rewards_per_referrer"]) == ("REF", 3)
    assert (row["friend"]["percent_bp"], row["reward"]["amount_minor"]) == (1_250, 500)
    shown = bob.get(path).text
    assert "12.5 % off, on a first purchase" in shown
    assert "$5.00 off" in shown

    edit = f"{path}/edit"
    first, second = (hidden(bob.get(edit).text) for _ in range(2))
    saved = bob.client.post(edit, data=first | TYPED | {"hold_days": "30"}, headers=SAME_ORIGIN)
    stale = bob.client.post(edit, data=second | TYPED | {"prefix": "PAL"}, headers=SAME_ORIGIN)
    assert (saved.status_code, stale.status_code) == (303, 409)
    assert "somebody changed the program meanwhile" in stale.text
    assert 'name="prefix" value="PAL"' in stale.text
    assert 'name="hold_days" value="30"' in stale.text
    assert program(house)[1]["hold_days"] == 30
    third = hidden(bob.get(edit).text)
    half = bob.client.post(edit, data=third | TYPED | {"reward_amount": ""}, headers=SAME_ORIGIN)
    assert "Say which amount it takes off." in half.text


def test_s2_128_the_page_of_a_program_has_its_rewards_and_moves_it(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    purchase_id = full_purchase(house, seeded)
    path, _row = program(house)

    page = bob.get(path).text
    assert f"/console/purchases/{purchase_id}" in page
    assert "Pending" in page
    assert "No reward is like this" in bob.get(f"{path}?state=issued").text
    assert "Friends" in bob.get("/console/referrals").text

    assert bob.send(f"{path}/pause", path).status_code == 303
    (code,) = rows(
        house, "SELECT c.state FROM referral_codes JOIN discount_codes c ON c.id = code_id"
    )
    assert code.state == "paused"
    assert bob.send(f"{path}/resume", path).status_code == 303
    change(
        house,
        "UPDATE discount_codes SET state = 'paused', pause_reason = 'leak_suspected' WHERE id = (SELECT code_id FROM referral_codes)",
    )
    bob.send(f"{path}/pause", path)
    bob.send(f"{path}/resume", path)
    (leaked,) = rows(
        house, "SELECT c.state FROM referral_codes JOIN discount_codes c ON c.id = code_id"
    )
    assert leaked.state == "paused"
    away = bob.send(f"{path}/archive", reason="The autumn is over")
    assert away.status_code == 303
    assert program(house)[1]["state"] == "archived"
    assert rows(
        house, "SELECT DISTINCT c.state FROM referral_codes JOIN discount_codes c ON c.id = code_id"
    ) == [("archived",)]
    assert "A program that is put away stays as it is." in bob.get(path).text
