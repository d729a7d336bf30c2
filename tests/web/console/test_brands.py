"""Prices, floors and routes of brands at the console (EC-078, EC-081)."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

PRICE = {"client_id": "", "value": "", "by": "share", "share": "103", "amount": ""}

WRONG_PRICES: list[tuple[dict[str, str], str]] = [
    ({"share": "0"}, "share"),
    ({"share": "1000.01"}, "share"),
    ({"by": "amount"}, "value"),
    ({"by": "amount", "value": "25", "amount": "0"}, "amount"),
    ({"by": "both"}, "by"),
    ({"value": "0"}, "value"),
    ({"value": "1.234"}, "value"),
    ({"client_id": "everybody"}, "client_id"),
]
WRONG_ROUTES: list[tuple[dict[str, str], str]] = [
    ({"vendor": "nobody"}, "vendor"),
    ({"product": ""}, "product"),
    ({"priority": "-1"}, "priority"),
    ({"min": "9", "max": "8"}, "max"),
    ({"country": "USA"}, "country"),
    ({"cost": "many"}, "cost"),
    ({"flat": "0.10"}, "cost"),
]


@pytest.fixture
def operator(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def home(seeded: Seeded) -> str:
    return f"/console/brands/{seeded.brand_id}"


def check(visitor: Visitor, path: str, **fields: str) -> TestResponse:
    """Send a form; the page with before and after is the answer."""
    return visitor.send(path, **fields)


def agree(
    visitor: Visitor, path: str, checked: TestResponse, reason: str = "Agreed"
) -> TestResponse:
    """Send the last form of that page as it stands there, with a reason."""
    hidden = dict(HIDDEN.findall(checked.text.rpartition("<form")[2]))
    return visitor.client.post(path, data=hidden | {"reason": reason}, headers=SAME_ORIGIN)


def prices(house: House) -> list[tuple]:
    found = rows(
        house,
        "SELECT client_id, denomination_minor, charge_minor, charge_bp, ended_at IS NULL FROM prices"
        " ORDER BY id",
    )
    return [tuple(row) for row in found]


def audited(house: House, action: str) -> list[dict]:
    found = rows(house, "SELECT detail FROM audit_entries WHERE action = :a ORDER BY id", a=action)
    return [row.detail for row in found]


def test_ec078_a_price_is_shown_before_it_is_set_and_set_once_with_its_reason(
    operator: Visitor, house: House, seeded: Seeded
):
    path = f"{home(seeded)}/price"

    checked = check(operator, path, **PRICE)
    unmoved = prices(house)
    silent = agree(operator, path, checked, reason=" ")
    done = agree(operator, path, checked, reason="Three percent on top")
    twice = agree(operator, path, checked, reason="Three percent on top")
    second = check(operator, path, **PRICE | {"share": "97.5"})
    agree(operator, path, second, reason="Sale")

    assert (checked.status_code, unmoved) == (200, [])
    assert "or the face value</td><td>103 % of the value" in checked.text
    assert (silent.status_code, "Say in a few words why" in silent.text) == (422, True)
    assert [one.status_code for one in (done, twice)] == [303, 303]
    assert "<td>103 % of the value</td><td>97.5 % of the value</td>" in second.text
    assert prices(house) == [(None, None, None, 10_300, False), (None, None, None, 9_750, True)]
    assert [one["reason"] for one in audited(house, "price.set")] == [
        "Three percent on top",
        "Sale",
    ]
    assert "97.5 % of the value" in operator.get(home(seeded)).text
    assert "103 % of the value" in operator.get(f"{home(seeded)}?state=all").text


def test_ec078_a_clients_own_amount_is_set_for_one_value_and_ended(
    operator: Visitor, house: House, seeded: Seeded
):
    path = f"{home(seeded)}/price"
    amount = {"client_id": str(seeded.client_id), "value": "25", "by": "amount", "amount": "24.50"}

    agree(operator, path, check(operator, path, **PRICE | amount))
    (price,) = rows(house, "SELECT id FROM prices")
    end = f"{home(seeded)}/prices/{price.id}/end"
    shown = operator.get(end)
    ended = agree(operator, end, shown, reason="Over")

    assert "$24.50" in shown.text
    assert ended.status_code == 303
    assert prices(house) == [(seeded.client_id, 2_500, 2_450, None, False)]
    assert audited(house, "price.ended")[0]["reason"] == "Over"
    assert operator.get(end).status_code == 404


def test_a_price_that_is_none_is_told_beside_its_field(
    operator: Visitor, house: House, seeded: Seeded
):
    for change, field in WRONG_PRICES:
        refused = check(operator, f"{home(seeded)}/price", **PRICE | change)

        assert (refused.status_code, f'id="{field}-wrong"' in refused.text) == (422, True), change
        assert f'href="#{field}"' in refused.text
        # The link leads to something that takes the focus and names what is wrong.
        led_to = refused.text.partition(f' id="{field}"')[2].partition(">")[0]
        assert f'aria-describedby="{field}-wrong' in led_to
        assert field != "by" or 'tabindex="-1"' in led_to
    assert prices(house) == []


def test_ec081_the_floor_is_shown_before_and_after_and_a_stale_form_changes_nothing(
    operator: Visitor, house: House, seeded: Seeded
):
    path = f"{home(seeded)}/floor"

    def floor() -> int | None:
        return rows(house, "SELECT min_margin_minor AS floor FROM brands")[0].floor

    checked = check(operator, path, floor="0.50")
    stale = check(operator, path, floor="-1")
    agree(operator, path, checked, reason="Margin")
    after = floor()
    conflict = agree(operator, path, stale, reason="As agreed on the phone")
    none = agree(operator, path, check(operator, path, floor=""), reason="None")

    assert "at most what is charged for it" in checked.text
    assert "at least $0.50 less than is charged" in checked.text
    assert "at most $1.00 more than is charged" in stale.text
    assert (after, conflict.status_code) == (50, 409)
    for words in (
        "Somebody else changed it since you looked",
        "What a card may cost is now: ",
        'name="floor" value="-1"',
        'value="As agreed on the phone"',
    ):
        assert words in conflict.text
    assert (none.status_code, floor()) == (303, None)
    told = audited(house, "brand.changed")
    assert [(one["min_margin_minor"], one["reason"]) for one in told] == [
        ([0, 50], "Margin"),
        ([50, None], "None"),
    ]
    assert check(operator, path, floor="much").status_code == 422
    assert agree(operator, path, conflict, reason="Seen").status_code == 409
    assert floor() is None


def test_a_route_is_added_changed_and_removed_with_its_cost(
    operator: Visitor, house: House, seeded: Seeded
):
    path = f"{home(seeded)}/route"

    def route() -> list[tuple]:
        found = rows(
            house,
            "SELECT priority, max_minor, country, cost_bp, cost_flat_minor FROM brand_routes"
            " WHERE vendor = 'tango'",
        )
        return [tuple(row) for row in found]

    added = check(operator, path, vendor="tango", product="U130", priority="5", cost="94.5")
    made = [agree(operator, path, added).status_code for _ in range(2)]
    one = f"{path}?vendor=tango&product=U130"
    changed = check(operator, one, priority="7", max="50", country="us", cost="94.5", flat="0.10")
    agree(operator, one, changed, reason="Their fee")
    after = route()
    again = check(operator, path, vendor="tango", product="U130", priority="1")
    gone = f"{path}/remove?vendor=tango&product=U130"
    removal = operator.get(gone)
    removed = [agree(operator, gone, removal, reason="Left").status_code for _ in range(2)]

    assert made == [303, 303]
    assert "<td>94.5 % of the value</td><td>94.5 % of the value and $0.10</td>" in changed.text
    assert after == [(7, 5_000, "US", 9_450, 10)]
    assert (again.status_code, "has this route already" in again.text) == (422, True)
    assert (removal.status_code, removed, route()) == (200, [303, 303], [])
    assert rows(house, "SELECT count(*) FROM brand_routes WHERE vendor = 'reloadly'") == [(1,)]
    assert [one["reason"] for one in audited(house, "brand.changed")] == [
        *("Agreed", "Their fee", "Left")
    ]


def test_a_route_that_somebody_else_changed_first_is_shown_again_as_it_is_now(
    operator: Visitor, house: House, seeded: Seeded
):
    (product,) = rows(house, "SELECT product FROM brand_routes")[0]
    path = f"{home(seeded)}/route"
    one = f"?vendor=reloadly&product={product}"
    gone = f"{path}/remove{one}"
    mine, removal = check(operator, path + one, priority="7"), operator.get(gone)
    agree(operator, path + one, check(operator, path + one, max="50"), reason="Ceiling")

    conflict = agree(operator, path + one, mine, reason="First")
    kept = agree(operator, gone, removal, reason="Left")
    after = rows(house, "SELECT priority, max_minor FROM brand_routes")
    again = agree(operator, gone, kept, reason="Left all the same")

    assert (conflict.status_code, kept.status_code) == (409, 409)
    for page in (conflict.text, kept.text):
        assert "Values is now: " in page
        assert "$50.00" in page
    assert 'name="priority" value="7"' in conflict.text
    assert [tuple(row) for row in after] == [(100, 5_000)]
    assert (again.status_code, rows(house, "SELECT 1 FROM brand_routes")) == (303, [])
    before, then = audited(house, "brand.changed")[0]["routes"]
    assert then == f"{before} to 5000"


def test_what_came_to_misfit_is_mended_route_by_route_and_hinders_nothing_else(
    operator: Visitor, house: House, seeded: Seeded
):
    rows(
        house,
        "INSERT INTO brand_routes (id, brand_id, vendor, product, priority) SELECT"
        " gen_random_uuid(), brand_id, 'tango', 'U130', 5 FROM brand_routes RETURNING 1",
    )
    rows(house, "UPDATE brands SET country = 'US' RETURNING 1")
    rows(house, "UPDATE brand_routes SET country = 'DE' RETURNING 1")
    floor, route = f"{home(seeded)}/floor", f"{home(seeded)}/route"
    one = f"{route}?vendor=tango&product=U130"
    gone = f"{route}/remove?vendor=tango&product=U130"
    new = {"vendor": "tango", "product": "U1", "priority": "6"}

    done = [
        agree(operator, floor, check(operator, floor, floor="0.50")),
        agree(operator, route, check(operator, route, **new, country="US")),
        agree(operator, one, check(operator, one, priority="7", country="FR")),
        agree(operator, gone, operator.get(gone)),
    ]

    assert [answer.status_code for answer in done] == [303, 303, 422, 303]
    assert "used in US; this product&#39;s in FR" in done[2].text
    assert "DE" not in done[2].text[done[2].text.index("country-wrong") :][:120]
    left = rows(house, "SELECT product, country FROM brand_routes WHERE vendor = 'tango'")
    assert [tuple(row) for row in left] == [("U1", "US")]


def test_a_route_that_is_none_is_told_beside_its_field(
    operator: Visitor, house: House, seeded: Seeded
):
    before = rows(house, "SELECT * FROM brand_routes")
    route = {"vendor": "tango", "product": "U130", "priority": "5"}

    for change, field in WRONG_ROUTES:
        refused = check(operator, f"{home(seeded)}/route", **route | change)

        assert (refused.status_code, f'id="{field}-wrong"' in refused.text) == (422, True), change
    assert rows(house, "SELECT * FROM brand_routes") == before


def test_a_route_whose_cards_are_used_elsewhere_is_refused_when_it_is_written(
    operator: Visitor, house: House, seeded: Seeded
):
    rows(house, "UPDATE brands SET country = 'US' RETURNING 1")
    path = f"{home(seeded)}/route"

    checked = check(operator, path, vendor="tango", product="U1", priority="5", country="DE")
    refused = agree(operator, path, checked)

    assert refused.status_code == 422
    assert "used in US" in refused.text
    assert rows(house, "SELECT vendor FROM brand_routes") == [("reloadly",)]


def test_costs_and_floors_are_seen_by_platform_and_agencies_and_prices_by_whom_they_concern(
    app: Flask, house: House, seeded: Seeded
):
    other = seed(house, vendor=False)
    rows(house, "UPDATE brand_routes SET cost_bp = 9123, cost_flat_minor = 7 RETURNING 1")
    for client_id, charge in ((seeded.client_id, 10_100), (other.client_id, 10_200)):
        rows(
            house,
            "INSERT INTO prices (id, agency_id, client_id, brand_id, charge_bp, created_by, created_at)"
            " SELECT gen_random_uuid(), agency_id, id, :brand, :charge, id, now() FROM clients"
            " WHERE id = :client RETURNING 1",
            brand=seeded.brand_id,
            charge=charge,
            client=client_id,
        )
    sees_costs = {
        Role.PLATFORM_ADMIN: True,
        Role.AGENCY_ADMIN: True,
        Role.CLIENT_ADMIN: False,
        Role.CLIENT_VIEWER: False,
    }
    for role, sees in sees_costs.items():
        visitor = visitor_of(app, house, role, seeded)

        page = visitor.get(home(seeded)).text

        assert ("91.23 %" in page, "How dear a card may be" in page) == (sees, sees), role
        assert "101 % of the value" in page, role
        assert ("102 % of the value" in page) == (role is Role.PLATFORM_ADMIN), role
        assert ("Set a price" in page) == (role is Role.PLATFORM_ADMIN), role
        assert "Reloadly" in visitor.get("/console/brands").text, role


def test_ec081_the_page_says_where_the_floor_does_not_hold(
    operator: Visitor, house: House, seeded: Seeded
):
    gap = "It does not hold at Reloadly 120"
    unknown = operator.get(home(seeded)).text
    rows(house, "UPDATE brand_routes SET cost_bp = 9450 RETURNING 1")
    known = operator.get(home(seeded)).text

    assert gap in unknown
    assert "no card was bought there lately" in unknown
    assert gap not in known
    assert "said by a person" in known
