"""The inventory's pages: stock by source, a pool with its forms, a file with its rejects and recall."""

import io
import re
from uuid import UUID

from flask import Flask

from models.people import Role
from pipelines.jobs.kinds import OnError
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def sent(visitor: Visitor, page: str, action: str, **fields: object):
    """Send the form of a page that goes to `action`, as a browser does."""
    found = visitor.get(page).text.partition(f'action="{action}"')[2] or visitor.get(page).text
    hidden = dict(HIDDEN.findall(found.partition("</form>")[0]))
    return visitor.client.post(action, data=hidden | fields, headers=SAME_ORIGIN)


def test_s4_037_the_inventory_says_how_each_card_stands(app: Flask, house: House, seeded: Seeded):
    """S4-037, S4-038, S4-039: by source, with health in a word and the rule behind it."""
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    import_cards_now(house, seeded.buffer_pool, cards_csv(2, "BUFF"))
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)

    page = admin.get("/console/inventory").text
    client = visitor_of(app, house, Role.CLIENT_ADMIN, seeded).get("/console/inventory").text

    assert "Healthy: more than 0, none given out in 7 days" in page
    assert "$23.00 a card" in page
    assert f"/console/inventory/pools/{seeded.csv_pool}" in page
    assert "Reloadly" in page
    assert "No cards yet" in client
    assert "Reloadly" not in client


def test_s4_076_the_old_addresses_lead_to_the_inventory(app: Flask, house: House):
    """S4-076: the notes called it /admin/inventory."""
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)

    for address in ("/admin/inventory", "/console/pools"):
        assert admin.get(address).headers["Location"] == "/console/inventory"


def test_s4_120_a_pool_is_made_and_filled_by_its_forms(app: Flask, house: House, seeded: Seeded):
    """S4-120: the page of the file tells what became of it; its rejects have reasons, no numbers."""
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    pool = {"brand_id": str(seeded.brand_id), "amount": "50.00", "kind": "csv"}
    wrong = sent(
        admin, "/console/inventory/new", "/console/inventory/new", **pool | {"amount": "x"}
    )
    made = sent(
        admin,
        "/console/inventory/new",
        "/console/inventory/new",
        low_watermark="3",
        cost="46",
        **pool,
    )
    home = made.headers["Location"]
    empty = admin.get(home).text

    file = (io.BytesIO(b"card_number,pin\nABCD-0001,1234\nSECRET-9!,1234\n"), "cards.csv")
    taken = sent(admin, home, f"{home}/import", file=file, skip="1")
    drain(house)
    batch = taken.headers["Location"]
    page, rejects = admin.get(batch).text, admin.get(f"{batch}/rejects.csv")
    again = sent(
        admin,
        home,
        f"{home}/import",
        file=(io.BytesIO(b"card_number,pin\nABCD-0001,1234\nSECRET-9!,1234\n"), "cards.csv"),
    )

    assert (wrong.status_code, made.status_code, taken.status_code) == (422, 303, 303)
    assert "No file yet" in empty
    assert "cards-template.csv" in empty
    assert "Finished with failures" in page
    assert "Download the rejected rows" in page
    assert b"code_charset" in rejects.data
    assert b"SECRET" not in rejects.data
    assert again.status_code == 409
    assert "This file was submitted before" in again.text
    (row,) = rows(house, "SELECT * FROM card_pools WHERE denomination_minor = 5000")
    assert (row.low_watermark, row.cost_per_card_minor, row.client_id) == (3, 4600, None)


def test_a_pool_is_changed_by_its_form(app: Flask, house: House, seeded: Seeded):
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    home = f"/console/inventory/pools/{seeded.csv_pool}"

    wrong = sent(admin, home, f"{home}/change", low_watermark="many", cost="23.00")
    done = sent(admin, home, f"{home}/change", low_watermark="12", cost="", disabled="1")

    assert wrong.status_code == 422
    assert done.status_code == 303
    assert "Switched off" in admin.get(home).text
    (row,) = rows(house, "SELECT * FROM card_pools WHERE id = :id", id=seeded.csv_pool)
    assert (row.low_watermark, row.cost_per_card_minor) == (12, None)
    assert row.disabled_at is not None


def test_s4_116_a_buffer_is_filled_ahead_by_its_forms(app: Flask, house: House, seeded: Seeded):
    """S4-116: a target with its ceiling, a launch, and now; what is refused is said at the field."""
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    home = f"/console/inventory/pools/{seeded.buffer_pool}"
    rows(house, "UPDATE card_pools SET low_watermark = 5 RETURNING 1")

    early = sent(admin, home, f"{home}/refill-now")
    unbounded = sent(admin, home, f"{home}/plans", needed="60", by="2099-01-01T09:00")
    low = sent(admin, home, f"{home}/refill", target="5", ceiling="1000.00")
    odd = sent(admin, home, f"{home}/refill", target="many", ceiling="1.234")
    free = sent(admin, home, f"{home}/refill", target="40", ceiling="")
    set_up = sent(admin, home, f"{home}/refill", target="40", ceiling="1000.00")
    past = sent(admin, home, f"{home}/plans", needed="9", by="2020-01-01T09:00")
    empty = sent(admin, home, f"{home}/plans", needed="0", by="")
    planned = sent(admin, home, f"{home}/plans", needed="60", by="2099-01-01T09:00")
    asked = sent(admin, home, f"{home}/refill-now")
    page = admin.get(home).text

    assert (early.status_code, low.status_code, odd.status_code) == (409, 422, 422)
    assert "nothing is bought ahead without a ceiling" in free.text
    assert unbounded.status_code == 409
    assert "Say first, under “Spend at most each day (UTC)”" in unbounded.text
    assert "ceiling_minor" not in unbounded.text
    assert "above the low watermark, which is 5" in low.text
    assert "Give a whole number from 0 to 1,000,000." in odd.text
    assert "still to come" in past.text
    assert "Give a whole number from 1 to 1,000,000." in empty.text
    assert "Give the time by which" in empty.text
    assert [one.status_code for one in (set_up, planned, asked)] == [303] * 3
    (pool,) = rows(house, "SELECT * FROM card_pools WHERE id = :id", id=seeded.buffer_pool)
    assert (pool.refill_target, pool.refill_ceiling_minor) == (40, 100_000)
    assert pool.refill_since is not None
    assert [row.needed for row in rows(house, "SELECT needed FROM refill_plans")] == [60]
    assert "Refill to 40 now" in page
    assert "On time" in page
    assert "of at most $1,000.00" in page


def test_a_form_of_a_buffer_sent_again_plans_once(app: Flask, house: House, seeded: Seeded):
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    home = f"/console/inventory/pools/{seeded.buffer_pool}"
    rows(house, "UPDATE card_pools SET refill_ceiling_minor = 100000 RETURNING 1")
    hidden = dict(HIDDEN.findall(admin.get(home).text))
    fields = hidden | {"needed": "60", "by": "2099-01-01T09:00"}

    sent_twice = [
        admin.client.post(f"{home}/plans", data=fields, headers=SAME_ORIGIN) for _ in range(2)
    ]

    assert [one.status_code for one in sent_twice] == [303, 303]
    (made,) = rows(house, "SELECT id FROM refill_plans")
    assert "Withdraw the plan of 60 cards" in admin.get(home).text
    withdrawn = sent(admin, home, f"{home}/plans/{made.id}/withdraw")
    assert withdrawn.status_code == 303
    assert "Withdraw the plan" not in admin.get(home).text


def test_only_who_may_have_it_filled_sees_how_a_buffer_stands(
    app: Flask, house: House, seeded: Seeded
):
    support = visitor_of(app, house, Role.PLATFORM_SUPPORT)
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    buffer, imported = (
        f"/console/inventory/pools/{pool}" for pool in (seeded.buffer_pool, seeded.csv_pool)
    )

    assert "Filled ahead" not in support.get(buffer).text
    assert "Filled ahead" not in admin.get(imported).text
    assert "Filled ahead" in admin.get(buffer).text


def test_a_batch_is_recalled_by_its_form(app: Flask, house: House, seeded: Seeded):
    """A reason is asked for; what was given is listed, by its last four."""
    admin = visitor_of(app, house, Role.PLATFORM_ADMIN)
    batch: UUID = import_cards_now(house, seeded.csv_pool, cards_csv(3), on_error=OnError.SKIP)[
        "id"
    ]
    submit(house, seeded, recipients_csv(1))
    drain(house)
    home = f"/console/inventory/batches/{batch}"

    silent = sent(admin, home, f"{home}/move", move="quarantine", reason=" ")
    first = sent(admin, home, f"{home}/move", move="quarantine", reason="Leaked by the printer")
    page = admin.get(first.headers["Location"]).text
    viewer = visitor_of(app, house, Role.PLATFORM_SUPPORT)
    looked = viewer.get(home).text

    assert silent.status_code == 422
    assert first.status_code == 303
    assert "Give 2 back to stock" in page
    assert "Cards of this batch that were given, the first 1" in page
    assert "Recall" not in looked
    states = rows(house, "SELECT state, count(*) AS n FROM cards GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("issued", 1), ("quarantined", 2)]


def test_a_tenant_sees_no_pool_of_the_house(app: Flask, house: House, seeded: Seeded):
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(1))["id"]
    for role in (Role.CLIENT_ADMIN, Role.AGENCY_ADMIN):
        visitor = visitor_of(app, house, role, seeded)
        for path in (
            f"pools/{seeded.csv_pool}",
            f"batches/{batch}",
            f"batches/{batch}/rejects.csv",
        ):
            assert visitor.get(f"/console/inventory/{path}").status_code == 404
