"""Prices and margin floors from accept to profit: EC-078 and EC-081."""

from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, agency
from pipelines.jobs.control import retry_job
from pipelines.pricing.set_price import set_price
from pipelines.provisioning.give_up_margin import NothingWaits, give_up_waiting
from pipelines.provisioning.profit import campaign_profit
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.pipelines.test_vendor_orders import settle
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.vendor import Sandbox

CODE = "margin_below_floor"


def set_floor(house: House, minor: int | None) -> None:
    rows(house, "UPDATE brands SET min_margin_minor = :floor RETURNING 1", floor=minor)


def set_cost(house: House, share_bp: int, flat: int = 0) -> None:
    statement = "UPDATE brand_routes SET cost_bp = :bp, cost_flat_minor = :flat RETURNING 1"
    rows(house, statement, bp=share_bp, flat=flat)


def pause_calls(house: House, span: str | None) -> None:
    statement = (
        "UPDATE vendor_accounts SET paused_until = now() + CAST(:span AS interval) RETURNING 1"
    )
    rows(house, statement, span=span)


def charge(house: House, seeded: Seeded, minor: int, client_id: UUID | None = None) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        set_price(
            session,
            brand_id=seeded.brand_id,
            client_id=client_id,
            denomination_minor=2500,
            charge_minor=minor,
            charge_bp=None,
            reason="test",
            actor_id=ACTOR,
            now=clock.now(session),
        )


def retry(house: House, seeded: Seeded, job_id: UUID) -> int:
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        return retry_job(
            session,
            job_id,
            actor_id=ACTOR,
            now=clock.now(session),
            kinds=house.job_kinds,
            limits=house.limits,
        )


def verdicts(house: House, job_id: UUID) -> dict[tuple[str, str | None], int]:
    statement = "SELECT state, code, count(*) AS n FROM items WHERE job_id = :job GROUP BY 1, 2"
    return {(row.state, row.code): row.n for row in rows(house, statement, job=job_id)}


def alerts(house: House, kind: str) -> list[dict[str, Any]]:
    statement = (
        "SELECT detail FROM alert_signals WHERE kind = :kind AND NOT is_over "
        "UNION ALL SELECT detail FROM alerts WHERE kind = :kind"
    )
    return [row.detail for row in rows(house, statement, kind=kind)]


def test_ec081_cards_below_the_floor_stay_in_their_pool_and_the_credit_untouched(
    house: House,
) -> None:
    """EC-081: 2500 charged, 2300 paid; the floor is 300."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    set_floor(house, 300)

    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)

    job = view(house, job_id)
    assert verdicts(house, job_id) == {("needs_review", CODE): 2}
    assert (job["money"]["held_minor"], job["money"]["captured_minor"]) == (5_000, 0)
    assert [
        row.n for row in rows(house, "SELECT count(*) AS n FROM cards WHERE state = 'available'")
    ] == [3]
    assert alerts(house, CODE) == [{"job_id": str(job_id), "items": 2}]
    assert_proven(house)

    set_floor(house, 200)
    assert retry(house, seeded, job_id) == 2
    drain(house)

    job = view(house, job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 2)
    assert (job["money"]["held_minor"], job["money"]["captured_minor"]) == (0, 5_000)
    assert_proven(house)


def test_ec081_dear_cards_are_passed_over_for_cheaper_ones(house: House) -> None:
    """EC-081: of three cards only one leaves a margin of 150; what nobody knows stops nothing."""
    seeded = seed(house, vendor=False)
    head, *lines = cards_csv(3).decode().splitlines()
    costs = zip(lines, ("2490", "2350", "2400"), strict=True)
    content = "\n".join([f"{head},cost_minor", *map(",".join, costs)]).encode()
    assert import_cards_now(house, seeded.csv_pool, content)["counts"]["succeeded"] == 3
    set_floor(house, 150)

    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)

    assert verdicts(house, job_id) == {("succeeded", None): 1, ("needs_review", CODE): 1}
    assert [row.cost_minor for row in rows(house, "SELECT cost_minor FROM provisions")] == [2350]
    assert_proven(house)


def test_ec081_a_vendor_whose_cost_went_up_is_not_asked(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-081: the cost is raised before the job, and once more while an order waits to be sent."""
    seeded = seed(vendor_house)
    set_cost(vendor_house, 10_050)
    before = sandbox.calls("orders")

    dear = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)
    set_cost(vendor_house, 9_450)
    pause_calls(vendor_house, "1 hour")
    waiting = submit(vendor_house, seeded, recipients_csv(1, start=5))
    drain(vendor_house)
    set_cost(vendor_house, 9_450, flat=200)
    pause_calls(vendor_house, None)
    job = settle(vendor_house, waiting)

    assert verdicts(vendor_house, dear) == {("needs_review", CODE): 1}
    assert verdicts(vendor_house, waiting) == {("needs_review", CODE): 1}
    orders = rows(vendor_house, "SELECT state, code, expected_cost_minor FROM provider_orders")
    assert [tuple(row) for row in orders] == [("cancelled", CODE, 2363)]
    assert (sandbox.calls("orders"), job["money"]["held_minor"]) == (before, 2_500)
    assert_proven(vendor_house)


def test_ec081_a_vendor_that_takes_more_than_expected_is_told_of(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-081: the card is paid for and given; 2250 were expected and 2363 taken."""
    seeded = seed(vendor_house)
    set_cost(vendor_house, 9_000)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    (told,) = alerts(vendor_house, "cost_above_expected")
    assert job["state"] == "succeeded"
    assert (told["expected_minor"], told["cost_minor"], told["vendor"]) == (2250, 2363, "reloadly")


def test_ec078_a_price_changed_between_two_jobs_gives_two_prices_both_explained(
    house: House,
) -> None:
    """EC-078: what was accepted keeps its charge; the profit says both, and one lacks a cost."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    charge(house, seeded, 2_450)
    first = submit(house, seeded, recipients_csv(2))
    charge(house, seeded, 2_600)
    second = submit(house, seeded, recipients_csv(2, start=10))
    drain(house)
    rows(
        house,
        "UPDATE provisions SET cost_minor = NULL, cost_currency = NULL "
        "WHERE job_id = :job AND position = 2 RETURNING 1",
        job=second,
    )

    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        told = campaign_profit(session, seeded.campaign_id)
    history = rows(house, "SELECT charge_minor, ended_at IS NULL AS now FROM prices ORDER BY id")
    captured = [view(house, job)["money"]["captured_minor"] for job in (first, second)]

    assert captured == [4_900, 5_200]
    lines = [
        (line["charge_minor"], line["cards"], line["cards_without_cost"], line["profit_minor"])
        for line in told["lines"]
    ]
    assert lines == [(2_450, 2, 0, 300), (2_600, 2, 1, 300)]
    assert told["totals"][0]["findings"] == [{"code": "cost_missing", "cards": 1}]
    assert [tuple(row) for row in history] == [(2_450, False), (2_600, True)]
    assert_proven(house)


def test_ec078_a_clients_own_price_is_nobody_elses(house: House) -> None:
    seeded, other = seed(house, vendor=False), seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    charge(house, seeded, 2_400, client_id=seeded.client_id)
    charge(house, other, 2_600, client_id=seeded.client_id)

    job_id = submit(house, seeded, recipients_csv(1))
    drain(house)
    elsewhere = submit(house, other, recipients_csv(1))

    assert view(house, job_id)["money"]["captured_minor"] == 2_400
    assert view(house, elsewhere)["money"]["held_minor"] == 2_500


def test_ec081_who_gives_up_has_the_credit_back_and_the_job_ends_anew(house: House) -> None:
    """EC-081: one of two cards is cheap enough; nobody corrects the floor for the other one."""
    seeded = seed(house, vendor=False)
    head, *lines = cards_csv(2).decode().splitlines()
    costs = zip(lines, ("2300", "2490"), strict=True)
    content = "\n".join([f"{head},cost_minor", *map(",".join, costs)]).encode()
    import_cards_now(house, seeded.csv_pool, content)
    set_floor(house, 150)
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    held = view(house, job_id)["money"]["held_minor"]

    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        now = clock.now(session)
        given_up = give_up_waiting(session, job_id, reason="Too dear", actor_id=ACTOR, now=now)
    drain(house)

    job = view(house, job_id)
    assert (held, given_up, job["state"]) == (2_500, 1, "partially_succeeded")
    assert (job["money"]["held_minor"], job["money"]["captured_minor"]) == (0, 2_500)
    assert verdicts(house, job_id) == {("succeeded", None): 1, ("cancelled", CODE): 1}
    assert_proven(house)
    with (
        pytest.raises(NothingWaits),
        scoped_transaction(house.sessions, agency(seeded.agency_id)) as session,
    ):
        give_up_waiting(session, job_id, reason="Again", actor_id=ACTOR, now=now)
