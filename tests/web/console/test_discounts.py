"""Discount codes in the console: listed, found, moved one by one and several at once (S2-060, S2-143)."""

import re
from html import unescape

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import full_discount, make_discount
from tests.driving import change, rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of

HOME = "/console/discounts"
NEW = f"{HOME}/new"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def listed(page: str) -> list[str]:
    return re.findall(r'<a class="mono" href="/console/discounts/[^"]*">([^<]*)</a>', page)


def states(house: House) -> dict[str, str]:
    """Of shared codes that were made one by one."""
    found = rows(
        house,
        "SELECT code, state FROM discount_codes WHERE batch_id IS NULL AND assignee_keys IS NULL "
        "ORDER BY code",
    )
    return {row.code: row.state for row in found}


def test_s2_060_an_empty_list_says_what_a_code_is_and_how_to_make_one(mia: Visitor) -> None:
    shown = mia.get(HOME).text

    assert "No discount code yet" in shown
    assert f'href="{NEW}"' in shown
    assert "POST /api/v1/discounts" in shown
    assert "largesse discounts create" in shown
    assert ">Discount codes</a>" in shown


@pytest.mark.parametrize(
    ("role", "may_manage"),
    [
        (Role.PLATFORM_ADMIN, True),
        (Role.PLATFORM_SUPPORT, False),
        (Role.AGENCY_ADMIN, True),
        (Role.AGENCY_VIEWER, False),
        (Role.CLIENT_ADMIN, True),
        (Role.CLIENT_VIEWER, False),
    ],
)
def test_each_role_sees_the_pages_that_it_may_and_no_other(
    app: Flask, house: House, seeded: Seeded, role: Role, may_manage: bool
) -> None:
    usage_id = full_discount(house, seeded)
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    visitor = visitor_of(app, house, role, seeded)
    own = f"{HOME}/{code.id}"
    open_to_all = [HOME, f"{HOME}/analytics", own, f"{own}/analytics"]
    managed = [NEW, f"{own}/edit", f"{own}/archive", f"{HOME}/reservations/{usage_id}/release"]
    managed.append(f"{HOME}.csv")

    assert [visitor.get(path).status_code for path in open_to_all] == [200] * 4
    assert {visitor.get(path).status_code for path in managed} == {200 if may_manage else 403}
    assert ("Only campaign managers" in visitor.get(own).text) is not may_manage
    assert ("Release now" in visitor.get(own).text) is may_manage
    assert ('name="code_id"' in visitor.get(HOME).text) is may_manage
    # Decision 0047: it is good once, for whoever has it.
    change(house, "UPDATE discount_codes SET max_uses = 1 WHERE code = 'SAVE10'")
    shown = [path for path in open_to_all if "SAVE10" in visitor.get(path).text]
    assert shown == (open_to_all if may_manage else [])
    assert ("Export CSV" in visitor.get(HOME).text) is may_manage


def test_an_end_user_sees_no_discount_code(app: Flask, house: House, seeded: Seeded) -> None:
    visitor = visitor_of(app, house, Role.END_USER, seeded)

    assert visitor.get(HOME).status_code == 403
    assert HOME not in visitor.get("/console/my/coupons").text


def test_s2_060_a_line_says_what_a_code_does_and_how_often_it_is_used(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(
        house,
        seeded,
        "BIG-1",
        max_uses=500,
        currency="USD",
        max_discount_minor=5_000,
        min_subtotal_minor=2_000,
        products=("A", "B"),
    )
    full_discount(house, seeded)
    change(house, "UPDATE discount_codes SET used = 3 WHERE code = 'SAVE10'")

    shown = unescape(mia.get(HOME).text)

    assert "10 % off, at most $50.00, from $20.00 on, for 2 products" in shown
    assert "0 reserved, 0 paid, of 500" in shown
    assert "1 reserved, 2 paid, no limit" in shown


def test_s2_060_codes_are_found_by_standing_and_by_their_beginning(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    for code in ("SUN-ONE", "SUN-TWO", "MOON"):
        make_discount(house, seeded, code)
    change(house, "UPDATE discount_codes SET state = 'paused' WHERE code = 'SUN-TWO'")
    make_discount(house, seed(house, vendor=False), "SUN-THEIRS")

    assert listed(mia.get(HOME).text) == ["MOON", "SUN-TWO", "SUN-ONE"]
    assert listed(mia.get(f"{HOME}?find=sun").text) == ["SUN-TWO", "SUN-ONE"]
    assert listed(mia.get(f"{HOME}?standing=paused").text) == ["SUN-TWO"]
    assert listed(mia.get(f"{HOME}?standing=none-such").text) == ["MOON", "SUN-TWO", "SUN-ONE"]
    assert "No code is like this" in mia.get(f"{HOME}?find=%25").text


def test_who_sees_several_clients_chooses_one(app: Flask, house: House, seeded: Seeded) -> None:
    make_discount(house, seeded, "OURS")
    other = seed(house, vendor=False)
    make_discount(house, other, "THEIRS")
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)

    assert listed(root.get(HOME).text) == ["THEIRS", "OURS"]
    assert listed(root.get(f"{HOME}?client={other.client_id}").text) == ["THEIRS"]
    assert (
        f'<option value="{other.client_id}" selected>'
        in root.get(f"{HOME}?client={other.client_id}").text
    )


def test_fifty_codes_are_a_page_and_the_older_ones_follow(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    for number in range(51):
        make_discount(house, seeded, f"CODE-{number:02}")

    first = mia.get(f"{HOME}?find=CODE").text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second = mia.get(unescape(older)).text

    assert len(listed(first)) == 50
    assert "find=CODE" in unescape(older)
    assert listed(second) == ["CODE-00"]
    assert 'rel="next"' not in second


def test_s2_143_the_chosen_are_paused_resumed_and_put_away_for_a_reason(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    ids = [str(make_discount(house, seeded, code)) for code in ("ONE-1", "TWO-2", "THREE")]

    def send(do: str, *chosen: str) -> str:
        answer = mia.send(f"{HOME}/move", HOME, do=do, code_id=list(chosen))
        return (
            mia.get(answer.headers["Location"]).text if answer.status_code == 303 else answer.text
        )

    assert "2 codes were paused." in send("pause", *ids[:2])
    assert states(house) == {"ONE-1": "paused", "TWO-2": "paused", "THREE": "active"}
    assert "1 code was resumed." in send("resume", ids[0], ids[2])
    asked = send("archive", ids[0], ids[1])
    assert "Put away 2 codes" in asked
    assert states(house)["ONE-1"] == "active"
    typed = {"do": "archive", "codes": " ".join(ids[:2]), "agreed": "1"}
    silent = mia.send(f"{HOME}/move", HOME, **typed)
    done = mia.send(f"{HOME}/move", HOME, **typed, reason="The sale is over")

    assert silent.status_code == 422
    assert "2 codes were put away." in mia.get(done.headers["Location"]).text
    assert states(house) == {"ONE-1": "archived", "TWO-2": "archived", "THREE": "active"}
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'discount.archived'")
    assert [row.detail for row in told] == [{"reason": "The sale is over"}] * 2


def test_nothing_chosen_is_said_and_changes_nothing(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded)

    answer = mia.send(f"{HOME}/move", HOME, do="pause")

    assert (answer.status_code, "Choose the codes first." in answer.text) == (422, True)
    assert states(house) == {"SAVE10": "active"}


def test_strangers_codes_are_not_moved_with_ones_own(
    app: Flask, house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded)
    theirs = make_discount(house, seed(house, vendor=False), "THEIRS")

    mia.send(f"{HOME}/move", HOME, do="pause", code_id=[str(theirs)])

    assert states(house) == {"SAVE10": "active", "THEIRS": "active"}
    for path in ("", "/edit", "/archive", "/analytics"):
        assert mia.get(f"{HOME}/{theirs}{path}").status_code == 404


def test_s2_059_the_list_as_a_file_is_what_the_filter_shows_and_guarded(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded, "SUN-ONE", max_uses=7, products=("=1+1", "B"))
    make_discount(house, seeded, "MOON")

    answer = mia.get(f"{HOME}.csv?find=sun")

    lines = answer.data.decode("utf-8-sig").splitlines()
    assert answer.mimetype == "text/csv"
    assert lines[0].startswith('"id","client_id","code","standing","kind","percent_bp"')
    assert len(lines) == 2
    assert '"SUN-ONE","active","percent","1000"' in lines[1]
    assert '"\'=1+1, B"' in lines[1]
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'discounts.exported'")
    assert [row.detail for row in told] == [{"standing": None, "of_client": None}]


def test_ec004_ec026_one_code_is_paused_resumed_and_put_away_on_its_page(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    full_discount(house, seeded)
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    own = f"{HOME}/{code.id}"

    def post(verb: str) -> str:
        page = mia.get(own).text
        (name,) = set(re.findall(r'name="form_name" value="(\w+)"', page))
        (csrf,) = set(re.findall(r'name="csrf_token" value="([^"]*)"', page))
        form = {"csrf_token": csrf, "form_name": name}
        answer = mia.client.post(f"{own}/{verb}", data=form, headers=SAME_ORIGIN)
        return mia.get(answer.headers["Location"]).text

    assert "The code is paused" in post("pause")
    assert states(house) == {"SAVE10": "paused"}
    assert "taken into use again" in post("resume")
    asked = mia.get(f"{own}/archive").text
    gone = mia.send(f"{own}/archive", reason="Over")

    assert "1 reservation" in asked
    shown = mia.get(gone.headers["Location"]).text
    assert "Draining" in shown
    assert "A code that is put away stays as it is." in shown
