"""What the monitor tells of stock and margins (EC-068, EC-081)."""

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, agency
from pipelines.monitoring import monitor as monitor_module
from pipelines.pricing.read import last_costs
from pipelines.provisioning.give_up_margin import give_up_waiting
from pipelines.provisioning.margin import route_subject
from pipelines.wiring import House
from tests.driving import cards_csv, change, drain, import_cards_now, recipients_csv, rows, submit
from tests.pipelines.test_margin import charge, retry, set_cost, set_floor
from tests.pipelines.test_monitor import found, looked, standing
from tests.pipelines.test_vendor_orders import settle
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox


def test_ec068_cards_that_nobody_is_given_any_more_are_told(house: House):
    """EC-068: `inventory_expiring`, over when they are gone."""
    seeded = seed(house, vendor=False)
    today = rows(house, "SELECT current_date AS day")[0].day
    lines = "".join(
        f"CARD-{days:05d},{today.fromordinal(today.toordinal() + days)}\n" for days in (5, 29, 30)
    )
    import_cards_now(house, seeded.csv_pool, f"card_number,expires_on\n{lines}".encode())

    report = looked(house)

    (finding,) = report.findings
    assert (finding.kind.name, finding.subject_id) == ("inventory_expiring", seeded.csv_pool)
    assert finding.detail == {"cards": 2, "days_left": 5}
    change(house, "UPDATE cards SET state = 'void' WHERE expires_on < current_date + 30")
    assert found(looked(house)) == []
    assert standing(house) == set()


def test_ec081_a_margin_alert_is_over_when_nobody_waits_for_the_brand_any_more(house: House):
    """EC-081: one tenant's retry or surrender ends no alert while another's items wait."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    set_floor(house, 300)
    first = submit(house, seeded, recipients_csv(1))
    second = submit(house, seeded, recipients_csv(1, start=5))
    drain(house)
    alert = ("margin_below_floor", seeded.brand_id)
    set_floor(house, 200)
    retry(house, seeded, first)
    drain(house)
    looked(house)
    one_is_left = alert in standing(house)

    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        now = clock.now(session)
        give_up_waiting(session, second, reason="Too dear", actor_id=ACTOR, now=now)
    drain(house)
    looked(house)

    assert one_is_left
    assert alert not in standing(house)
    assert_proven(house)


def test_ec081_a_route_of_unknown_cost_that_sells_at_a_loss_is_told_until_it_is_corrected(
    vendor_house: House, sandbox: Sandbox
):
    """EC-081: 2363 taken for 2300 charged; the catalogue does not say what a card costs."""
    seeded = seed(vendor_house)
    charge(vendor_house, seeded, 2_400)
    settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))
    looked(vendor_house)
    at_a_gain = standing(vendor_house)

    charge(vendor_house, seeded, 2_300)
    settle(vendor_house, submit(vendor_house, seeded, recipients_csv(2, start=5)))
    alert = ("route_sells_at_loss", route_subject(seeded.brand_id, "reloadly", "120"))
    looked(vendor_house)
    looked(vendor_house)
    at_a_loss = standing(vendor_house)
    (told,) = rows(vendor_house, "SELECT detail FROM alerts WHERE kind = :kind", kind=alert[0])
    charge(vendor_house, seeded, 2_363)
    looked(vendor_house)
    with scoped_transaction(vendor_house.sessions, agency(seeded.agency_id)) as session:
        last = last_costs(session, seeded.brand_id)["reloadly", "120"]

    assert alert not in at_a_gain
    assert alert in at_a_loss
    assert (told.detail["charge_minor"], told.detail["cost_minor"]) == (2_300, 2_363)
    assert alert not in standing(vendor_house)
    assert (last.face_value_minor, last.cost_minor, last.cost_currency) == (2_500, 2_363, "USD")
    assert_proven(vendor_house)


def test_ec081_many_losses_that_are_none_any_more_are_over_at_one_look(
    vendor_house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """EC-081: what a rule clears does not count towards what one look may find."""
    monkeypatch.setattr(monitor_module, "FINDINGS_MAX", 1)
    sellers = [seed(vendor_house, vendor=first) for first in (True, False)]
    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        session.execute(
            text(
                "INSERT INTO brand_routes (id, brand_id, vendor, product) "
                "VALUES (gen_random_uuid(), :brand, 'reloadly', '120')"
            ),
            {"brand": sellers[1].brand_id},
        )
    for seller in sellers:
        charge(vendor_house, seller, 2_300)
        settle(vendor_house, submit(vendor_house, seller, recipients_csv(1)))
    for _ in sellers:
        looked(vendor_house)
    before = [kind for kind, _subject in standing(vendor_house)].count("route_sells_at_loss")

    for seller in sellers:
        charge(vendor_house, seller, 2_500)
    looked(vendor_house)

    assert before == 2
    assert "route_sells_at_loss" not in {kind for kind, _subject in standing(vendor_house)}


def test_ec081_saying_the_cost_of_a_route_ends_what_was_told_of_its_losses(
    vendor_house: House, sandbox: Sandbox
):
    """EC-081: the floor holds for it from then on."""
    seeded = seed(vendor_house)
    charge(vendor_house, seeded, 2_300)
    settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))
    looked(vendor_house)
    before = {kind for kind, _subject in standing(vendor_house)}

    set_cost(vendor_house, 9_450)
    looked(vendor_house)

    assert "route_sells_at_loss" in before
    assert "route_sells_at_loss" not in {kind for kind, _subject in standing(vendor_house)}
