"""Cards in no pool over HTTP and at the console: for the platform, which paid for them."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.pipelines.test_cards_without_pool import AMOUNT, Undone, undone
from tests.seeding import seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of
from tests.web.console.test_inventory_pages import sent
from web.app import create_app

LIST, PAGE = "/cards/without-pool", "/console/inventory/without-pool"
POOL = {"denomination_minor": AMOUNT, "currency": "USD"}


@pytest.fixture
def app(vendor_house: House) -> Flask:
    return create_app(vendor_house)


@pytest.fixture
def back(vendor_house: House, sandbox: Sandbox) -> Undone:
    return undone(vendor_house, seed(vendor_house), 3)


def made(admin: Caller, back: Undone, kind: str, **pool: object) -> str:
    body = POOL | {"brand_id": str(back.seeded.brand_id), "kind": kind} | pool
    answer = admin.post("/gift-card-pools", body)
    assert answer.status_code == 201
    return str(answer.json["id"])


def lost_again(house: House) -> None:
    """As when an undo and the making of the pool did not see each other."""
    rows(
        house,
        "UPDATE cards SET state = 'quarantined', source = 'api', pool_id = NULL "
        "WHERE source = 'buffer' RETURNING 1",
    )


def test_they_are_listed_page_by_page_and_counted_in_the_inventory(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = signed_in(app, vendor_house, Role.PLATFORM_ADMIN)

    first = admin.get(f"{LIST}?limit=2").json
    rest = admin.get(f"{LIST}?limit=2&cursor={first['next_cursor']}").json
    support = signed_in(app, vendor_house, Role.PLATFORM_SUPPORT).get(LIST).json
    line = admin.get("/inventory").json[-1]

    cards = rows(vendor_house, "SELECT id, last4, cost_minor FROM cards ORDER BY id DESC")
    found = first["data"] + rest["data"]
    assert [(card["id"], card["last4"], card["cost_minor"]) for card in found] == [
        (str(card.id), card.last4, card.cost_minor) for card in cards
    ]
    assert {(card["reason"], card["undone_job_id"], card["vendor"]) for card in found} == {
        ("given_back", str(back.undo_id), "reloadly")
    }
    assert (rest["has_more"], len(support["data"])) == (False, 3)
    assert (line["denomination_minor"], line["without_pool"], line["pools"]) == (AMOUNT, 3, [])
    assert "sealed" not in repr(found)


def test_a_buffer_that_is_made_over_http_holds_them(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = signed_in(app, vendor_house, Role.PLATFORM_ADMIN)

    pool_id = made(admin, back, "buffer")

    assert admin.get(f"/gift-card-pools/{pool_id}").json["counts"]["available"] == 3
    assert admin.get(LIST).json["data"] == []
    assert [line["without_pool"] for line in admin.get("/inventory").json] == [0, 0]


def test_a_buffer_adopts_them_when_it_is_asked_to_once_for_each_key(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = signed_in(app, vendor_house, Role.PLATFORM_ADMIN)
    path = f"/gift-card-pools/{made(admin, back, 'buffer')}/adopt"
    lost_again(vendor_house)

    first = admin.post(path, {}, Idempotency_Key="k")
    again = admin.post(path, {}, Idempotency_Key="k")

    assert (first.status_code, first.json["counts"]["available"]) == (200, 3)
    assert again.headers["Idempotent-Replayed"] == "true"
    told = rows(
        vendor_house, "SELECT detail FROM audit_entries WHERE action = 'pool.cards_adopted'"
    )
    assert [entry.detail for entry in told] == [{"cards": 3}, {"cards": 3}]


def test_imported_pools_and_tenants_adopt_nothing(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = signed_in(app, vendor_house, Role.PLATFORM_ADMIN)
    tenant = signed_in(app, vendor_house, Role.CLIENT_ADMIN, back.seeded)
    own = made(tenant, back, "buffer")

    refused = admin.post(f"/gift-card-pools/{made(admin, back, 'csv')}/adopt", {})
    theirs = [tenant.post(f"/gift-card-pools/{own}/adopt", {}), tenant.get(LIST)]

    assert (refused.status_code, refused.json["code"]) == (409, "holds_no_bought_cards")
    assert [answer.status_code for answer in theirs] == [403, 403]
    assert {line["without_pool"] for line in tenant.get("/inventory").json} == {None}
    assert len(admin.get(LIST).json["data"]) == 3


def test_a_card_of_the_list_is_ended_by_its_id_and_not_released_to_nowhere(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = signed_in(app, vendor_house, Role.PLATFORM_ADMIN)
    tenant = signed_in(app, vendor_house, Role.CLIENT_ADMIN, back.seeded)
    card = f"/cards/{admin.get(LIST).json['data'][0]['id']}"

    released = admin.post(f"{card}/release", {"reason": "r"})
    unseen = tenant.post(f"{card}/void", {"reason": "r"})
    listed = len(admin.get(LIST).json["data"])
    ended = admin.post(f"{card}/void", {"reason": "r"})

    assert (released.status_code, released.json["code"]) == (409, "card_without_pool")
    assert (unseen.status_code, listed) == (404, 3)
    assert (ended.status_code, ended.json["state"]) == (200, "void")
    assert len(admin.get(LIST).json["data"]) == 2


def test_the_console_leads_from_the_inventory_to_a_buffer_that_takes_them_in(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = visitor_of(app, vendor_house, Role.PLATFORM_ADMIN)
    tenant = visitor_of(app, vendor_house, Role.CLIENT_ADMIN, back.seeded)
    new = f"/console/inventory/new?brand_id={back.seeded.brand_id}&amount=50.00&kind=buffer"

    inventory, page = admin.get("/console/inventory").text, admin.get(PAGE).text
    proposed = admin.get(new).text
    fields = {"brand_id": str(back.seeded.brand_id), "amount": "50.00", "kind": "buffer"}
    pool = sent(admin, new, "/console/inventory/new", **fields).headers["Location"]

    assert f'<a href="{PAGE}">3 in no pool</a>' in inventory
    assert page.count("Taken back by an undo") == 3
    assert new.replace("&", "&amp;") in page
    assert f'value="{back.seeded.brand_id}" selected' in proposed
    assert 'value="50.00"' in proposed
    assert 'value="buffer" selected' in proposed
    assert '<div class="good"><dt>Available</dt><dd>3</dd></div>' in admin.get(pool).text
    assert "Every card is in a pool" in admin.get(PAGE).text
    assert tenant.get(PAGE).status_code == 403
    assert "in no pool" not in tenant.get("/console/inventory").text


def test_the_console_puts_them_into_a_buffer_that_is_there(
    app: Flask, vendor_house: House, back: Undone
) -> None:
    admin = visitor_of(app, vendor_house, Role.PLATFORM_ADMIN)
    pool_id = made(signed_in(app, vendor_house, Role.PLATFORM_ADMIN), back, "buffer")
    lost_again(vendor_house)

    done = sent(admin, PAGE, f"/console/inventory/pools/{pool_id}/adopt")

    assert done.headers["Location"] == f"{PAGE}?done=adopted"
    assert "Cards that fit the pool are on its stock." in admin.get(f"{PAGE}?done=adopted").text
    assert rows(
        vendor_house, "SELECT state, count(*) FROM cards WHERE pool_id = :p GROUP BY 1", p=pool_id
    ) == [("available", 3)]
