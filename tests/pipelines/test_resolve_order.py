"""A person decides what became of an order: once, with a reason, and the money follows."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, set_aside
from pipelines import wiring
from pipelines.errors import NotFound
from pipelines.providers.ports import LookUp, OrderRequest, Provider
from pipelines.provisioning.resolve_order import (
    OrderNotOpen,
    OrderTooYoung,
    Outcome,
    resolve_order,
)
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox
from workers.wrapper import Wrapper

#: What each vendor sells here.
SOLD = {
    "reloadly": "120",
    "tango": "U120000",
    "tremendous": "NILEBOOKSUS1",
    "giftbit": "nilefoodus",
}


def resolve(house: House, order_id, outcome: Outcome, **options) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        resolve_order(
            session,
            order_id,
            outcome,
            reason="looked it up in the vendor's pages",
            actor_id=ACTOR,
            now=clock.now(session),
            limits=house.limits,
            **options,
        )


def order_of(house: House):
    return rows(house, "SELECT * FROM provider_orders ORDER BY id DESC LIMIT 1")[0]


def age(house: House, hours: int) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE provider_orders SET sent_at = sent_at - make_interval(hours => :hours)"),
            {"hours": hours},
        )


def given_up(house: House, sandbox: Sandbox, fault: str) -> object:
    """A job whose one order recovery has given up on; the vendor is well again."""
    sandbox.arm(**{fault: {"next": 1}, "lookup_500": {"always": True}})
    job_id = submit(house, seed(house), recipients_csv(1))
    drain(house)
    age(house, 25)
    hasten(house)
    drain(house)
    sandbox.arm()
    assert view(house, job_id)["counts"]["needs_review"] == 1
    return job_id


def add_second_route(house: House) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            text(
                "INSERT INTO brand_routes (id, brand_id, vendor, product, priority) "
                "SELECT gen_random_uuid(), brand_id, 'reloadly', '121', 200 FROM brand_routes"
            )
        )


def finish(house: House) -> None:
    for _ in range(6):
        hasten(house)
        drain(house)


def test_ec059_an_order_never_placed_gives_its_credit_back(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: there is no other way to buy, so the item fails uncharged, and may be retried."""
    job_id = given_up(vendor_house, sandbox, "drop_before_create")

    resolve(vendor_house, order_of(vendor_house).id, Outcome.NEVER_PLACED)
    finish(vendor_house)

    job = view(vendor_house, job_id)
    assert (job["state"], job["counts"]["failed"]) == ("failed", 1)
    assert (job["money"]["held_minor"], job["money"]["released_minor"]) == (0, 2500)
    assert order_of(vendor_house).state == "cancelled"
    assert_proven(vendor_house)


def test_ec059_an_order_that_was_placed_is_asked_after_again_and_keeps_its_card(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: recovery finds what the person saw; the item succeeds, charged once."""
    job_id = given_up(vendor_house, sandbox, "drop_after_create")

    resolve(vendor_house, order_of(vendor_house).id, Outcome.PLACED)
    finish(vendor_house)

    job = view(vendor_house, job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 1)
    assert job["money"]["captured_minor"] == 2500
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 1
    assert_proven(vendor_house)


def test_ec066_a_wrong_card_is_written_off_and_nobody_pays_for_it(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066: the card stays set aside, the credit goes back, and no retry buys another."""
    sandbox.arm(wrong_value={"next": 1, "unit_price": 20})
    job_id = submit(vendor_house, seed(vendor_house), recipients_csv(1))
    drain(vendor_house)
    order = order_of(vendor_house)
    told = rows(vendor_house, "SELECT kind FROM alert_signals WHERE subject_id = :id", id=order.id)
    with pytest.raises(OrderNotOpen):
        resolve(vendor_house, order.id, Outcome.NEVER_PLACED)

    resolve(vendor_house, order.id, Outcome.WRITTEN_OFF)
    finish(vendor_house)

    job = view(vendor_house, job_id)
    assert [row.kind for row in told] == ["value_mismatch"]
    assert (job["counts"]["cancelled"], job["money"]["held_minor"]) == (1, 0)
    assert rows(vendor_house, "SELECT state FROM cards")[0].state == "quarantined"
    assert_proven(vendor_house)


def test_an_order_is_resolved_once_and_not_while_it_is_asked_after(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """The second person is refused, and so is who comes before recovery had its time."""
    sandbox.arm(drop_before_create={"next": 1}, lookup_500={"always": True})
    submit(vendor_house, seed(vendor_house), recipients_csv(1))
    drain(vendor_house)
    order = order_of(vendor_house)
    with pytest.raises(OrderTooYoung):
        resolve(vendor_house, order.id, Outcome.NEVER_PLACED)
    with pytest.raises(NotFound):
        resolve(vendor_house, new_id(), Outcome.NEVER_PLACED)
    assert order_of(vendor_house).state == "unknown"
    age(vendor_house, 1)

    resolve(vendor_house, order.id, Outcome.NEVER_PLACED)
    with pytest.raises(OrderNotOpen):
        resolve(vendor_house, order.id, Outcome.PLACED)
    finish(vendor_house)

    audited = rows(
        vendor_house, "SELECT detail FROM audit_entries WHERE action = 'provider_order.resolved'"
    )
    assert [row.detail["outcome"] for row in audited] == ["never_placed"]
    assert_proven(vendor_house)


def test_ec059_the_next_way_is_tried_when_an_order_was_never_placed(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: only the proof that nothing was bought lets the waterfall go on."""
    given_up(vendor_house, sandbox, "drop_before_create")
    add_second_route(vendor_house)

    resolve(vendor_house, order_of(vendor_house).id, Outcome.NEVER_PLACED)

    orders = rows(vendor_house, "SELECT product, state FROM provider_orders ORDER BY id")
    assert [(row.product, row.state) for row in orders] == [
        ("120", "cancelled"),
        ("121", "created"),
    ]
    finish(vendor_house)
    assert_proven(vendor_house)


def test_ec059_a_number_given_while_recovery_asks_is_asked_by_next(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: recovery's answer is about what it knew; its task goes on with what is known now."""
    sandbox.arm(drop_after_create={"next": 1}, lookup_500={"always": True})
    job_id = submit(vendor_house, seed(vendor_house), recipients_csv(1))
    drain(vendor_house)
    age(vendor_house, 1)
    number = sandbox.control("GET", "/reloadly/orders")["orders"][0]["transaction_id"]
    order = order_of(vendor_house)

    while_asking(
        vendor_house,
        lambda: resolve(vendor_house, order.id, Outcome.PLACED, vendor_order_id=str(number)),
    )

    assert order_of(vendor_house).state == "accepted"
    assert [task.postponed_for for task in recoveries(vendor_house)] == ["awaiting_vendor"]
    counted = rows(vendor_house, "SELECT sum(unknown) AS unknown FROM vendor_call_counts")
    assert counted[0].unknown == 2 + order.lookups
    assert rows(vendor_house, "SELECT FROM vendor_calls") == []
    sandbox.arm()
    finish(vendor_house)
    job = view(vendor_house, job_id)
    assert (job["state"], job["money"]["captured_minor"]) == ("succeeded", 2500)
    assert_proven(vendor_house)


def test_ec059_a_card_found_for_an_order_called_off_meanwhile_is_told(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-059: the credit is back and stays so; that the vendor sold is for a person to hear."""
    sandbox.arm(drop_after_create={"next": 1}, lookup_500={"always": True})
    job_id = submit(vendor_house, seed(vendor_house), recipients_csv(1))
    drain(vendor_house)
    age(vendor_house, 1)
    sandbox.arm()
    order = order_of(vendor_house)

    while_asking(vendor_house, lambda: resolve(vendor_house, order.id, Outcome.NEVER_PLACED))

    told = rows(
        vendor_house,
        "SELECT detail FROM alert_signals WHERE kind = 'order_in_review' AND NOT is_over",
    )
    assert [row.detail for row in told] == [
        {"vendor": "reloadly", "code": "bought_after_all", "order_id": str(order.id)}
    ]
    assert recoveries(vendor_house) == []
    finish(vendor_house)
    job = view(vendor_house, job_id)
    assert (job["state"], job["money"]["released_minor"]) == ("failed", 2500)
    assert_proven(vendor_house)


@pytest.mark.parametrize("vendor", SOLD)
def test_ec059_a_mistyped_number_is_not_believed_and_the_reference_finds_the_card(
    vendor_house: House, sandbox: Sandbox, vendor: str
) -> None:
    """EC-059: whether the number is nobody's or another order's."""
    seeded = seed(vendor_house, route=(vendor, SOLD[vendor]))
    submit(vendor_house, seeded, recipients_csv(1, start=50))
    drain(vendor_house)
    others = rows(vendor_house, "SELECT vendor_order_id FROM provider_orders")[0].vendor_order_id
    sandbox.arm(vendor=vendor, drop_after_create={"next": 9}, lookup_500={"always": True})
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)
    age(vendor_house, 1)
    order = order_of(vendor_house)

    for number in ("123456789", others):
        resolve(vendor_house, order.id, Outcome.PLACED, vendor_order_id=number)
        assert order_of(vendor_house).vendor_order_id == number
    sandbox.arm(vendor=vendor)
    finish(vendor_house)

    job = view(vendor_house, job_id)
    assert (job["state"], job["money"]["captured_minor"]) == ("succeeded", 2500)
    assert order_of(vendor_house).vendor_order_id not in {"123456789", others}
    assert_proven(vendor_house)


@pytest.mark.parametrize("number", [None, "123456789"])
def test_ec059_an_order_that_a_person_vouched_for_is_not_bought_elsewhere(
    vendor_house: House, sandbox: Sandbox, number: str | None
) -> None:
    """EC-059: sent twice, not listed, and said to be there: it needs a person again."""
    job_id = given_up(vendor_house, sandbox, "drop_before_create")
    add_second_route(vendor_house)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE provider_orders SET sends = 2"))

    resolve(vendor_house, order_of(vendor_house).id, Outcome.PLACED, vendor_order_id=number)
    finish(vendor_house)

    orders = rows(vendor_house, "SELECT product, state, code FROM provider_orders")
    state = "unknown" if number is None else "accepted"
    assert [(row.product, row.state, row.code) for row in orders] == [("120", state, "vouched")]
    job = view(vendor_house, job_id)
    assert (job["counts"]["needs_review"], job["money"]["held_minor"]) == (1, 2500)
    assert_proven(vendor_house)
    resolve(vendor_house, order_of(vendor_house).id, Outcome.NEVER_PLACED)
    assert [row.product for row in rows(vendor_house, "SELECT product FROM provider_orders")] == [
        "120",
        "121",
    ]


def while_asking(house: House, meanwhile: Callable[[], None]) -> None:
    """Have recovery ask the vendor, and a person act before its answer is written down."""

    class Interrupted:
        def __init__(self, inner: Provider) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def look_up(self, request: OrderRequest) -> LookUp:
            answer = self._inner.look_up(request)
            with set_aside():
                meanwhile()
            return answer

    hasten(house)
    inner = wiring.build_providers(house.settings)
    providers = {name: Interrupted(one) for name, one in inner.items()}
    (task,) = recoveries(house)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "build_providers", lambda *_settings: providers)
        handlers = wiring.build_handlers(house)
    Wrapper(house.sessions, handlers, draw=lambda: 0.0).run(task.id, 1)


def recoveries(house: House) -> list[Any]:
    return rows(house, "SELECT id, postponed_for FROM tasks WHERE kind = 'recover_order'")
