"""The dangers around an order: late sends, misread refusals, missing vendors, known cards."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client, tenant_scope
from models.tenants import BrandRoute
from pipelines.jobs.control import retry_job
from pipelines.providers.ports import OrderRequest
from pipelines.providers.transport import ConnectFailed, VendorTransport
from pipelines.provisioning.orders import lock_order
from pipelines.provisioning.purchase import place_order
from pipelines.provisioning.recover import _may_be_about_an_earlier_send
from pipelines.queue.work import start
from pipelines.wiring import House, build_providers
from tests.driving import (
    drain,
    hasten,
    recipients_csv,
    rows,
    submit,
    view,
)
from tests.moves import one_step
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.vendor import Sandbox


def settle(house: House, job_id: UUID) -> dict[str, Any]:
    for _ in range(60):
        drain(house)
        job = view(house, job_id)
        if job["finished_at"] is not None:
            return job
        hasten(house)
    raise AssertionError(f"the job does not end: {job['counts']}")


def add_route(house: House, seeded: Seeded, vendor: str, product: str, priority: int) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            insert(BrandRoute).values(
                id=new_id(),
                brand_id=seeded.brand_id,
                vendor=vendor,
                product=product,
                priority=priority,
            )
        )


def test_nothing_is_sent_after_the_moment_it_had_to_be_sent_by(sandbox: Sandbox) -> None:
    """A worker that froze between its commit and its call sends nothing when it wakes."""
    with pytest.raises(ConnectFailed):
        VendorTransport().request(
            "POST",
            f"{sandbox.url}/reloadly/orders",
            headers={},
            json={},
            deadline_seconds=5,
            send_by=time.monotonic() - 0.001,
        )

    assert sandbox.calls("POST /orders") == 0


def test_an_order_that_comes_too_late_is_given_back_and_bought_once(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-118: the lease's holder sleeps past its moment; whoever comes next buys, once."""
    seeded = seed(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    late = replace(vendor_house.limits, order_send_seconds=-1.0)
    _first_chunk_only(vendor_house)

    _place(vendor_house, build_providers(vendor_house.settings), late)
    order = rows(vendor_house, "SELECT state, sends FROM provider_orders")[0]
    job = settle(vendor_house, job_id)

    assert (order.state, order.sends) == (OrderState.CREATED, 0)
    assert job["state"] == "succeeded"
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 1
    assert_proven(vendor_house)


def _first_chunk_only(house: House) -> None:
    """Run the chunk, so that its order stands created and nothing has called the vendor."""
    one_step(house)


def _place(house: House, providers: Any, limits: Any) -> None:
    task_id = rows(house, "SELECT id FROM tasks WHERE kind = 'place_order'")[0].id
    with scoped_transaction(house.sessions, SYSTEM) as session:
        task = start(
            session,
            task_id,
            now=clock.now(session),
            known={"place_order"},
            leases={"place_order": timedelta(seconds=60)},
        )
    assert task is not None
    assert task.tenant_id is not None
    with tenant_scope(client(task.tenant_id)):
        place_order(
            house.sessions,
            task,
            providers=providers,
            keyring=house.settings.keyring,
            limits=limits,
            draw=lambda: 0.0,
        )


def test_a_route_to_a_vendor_that_is_not_set_up_is_passed_over(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    add_route(vendor_house, seeded, "elsewhere", "U123456", priority=1)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(2)))

    found = rows(vendor_house, "SELECT vendor, state, code FROM provider_orders ORDER BY vendor")
    assert job["state"] == "succeeded"
    assert {(row.vendor, row.state, row.code) for row in found} == {
        ("reloadly", "succeeded", None),
        ("elsewhere", "cancelled", "vendor_not_configured"),
    }
    assert_proven(vendor_house)


def test_a_retry_may_try_every_route_again(vendor_house: House, sandbox: Sandbox) -> None:
    seeded = seed(vendor_house)
    add_route(vendor_house, seeded, "reloadly", "121", priority=200)
    sandbox.arm(out_of_stock={"next": 2})
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    assert settle(vendor_house, job_id)["state"] == "failed"
    sandbox.arm(out_of_stock={"next": 1})

    with scoped_transaction(vendor_house.sessions, client(seeded.client_id)) as session:
        now = session.execute(text("SELECT now()")).scalar_one()
        retry_job(
            session,
            job_id,
            actor_id=ACTOR,
            now=now,
            kinds=vendor_house.job_kinds,
            limits=vendor_house.limits,
        )
    job = settle(vendor_house, job_id)

    states = rows(
        vendor_house, "SELECT round, product, state FROM provider_orders ORDER BY round, product"
    )
    assert job["state"] == "succeeded"
    assert [(row.round, row.product, row.state) for row in states] == [
        (1, "120", "refused"),
        (1, "121", "refused"),
        (2, "120", "refused"),
        (2, "121", "succeeded"),
    ]
    assert_proven(vendor_house)


def test_a_refusal_listed_during_a_second_send_proves_nothing_about_it(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        order_id = session.execute(text("SELECT id FROM provider_orders")).scalar_one()
        order = lock_order(session, order_id)
        now = session.execute(text("SELECT now()")).scalar_one()

    limits = replace(vendor_house.limits, order_absent_after_seconds=100.0)
    resent = replace(order, state=OrderState.UNKNOWN, sends=2, sent_at=now)
    first = replace(resent, sends=1)
    long_ago = replace(resent, sent_at=now.replace(year=now.year - 1))

    assert _may_be_about_an_earlier_send(resent, now, limits) is True
    assert _may_be_about_an_earlier_send(first, now, limits) is False
    assert _may_be_about_an_earlier_send(long_ago, now, limits) is False


def test_throttling_does_not_use_up_the_sends(vendor_house: House, sandbox: Sandbox) -> None:
    """Two 429s, then a lost order: it is still sent once more before it is given up."""
    sandbox.arm(throttled_429={"next": 2, "retry_after": 0})
    seeded = seed(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    for _ in range(3):
        drain(vendor_house)
        hasten(vendor_house)

    assert settle(vendor_house, job_id)["state"] == "succeeded"
    assert rows(vendor_house, "SELECT sends FROM provider_orders")[0].sends == 1


def test_a_vendor_card_that_is_known_already_is_kept_aside(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-069: it was paid for, so it is kept; nobody gets it before a person has looked."""
    seeded = seed(vendor_house)
    first = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))
    assert first["state"] == "succeeded"
    providers = build_providers(vendor_house.settings)
    twin = _Repeating(providers["reloadly"])
    job_id = submit(vendor_house, seeded, recipients_csv(2, start=10))
    _first_chunk_only(vendor_house)
    for _ in range(2):
        _place(vendor_house, {"reloadly": twin}, vendor_house.limits)
    job = settle(vendor_house, job_id)

    states = rows(vendor_house, "SELECT state, count(*) AS n FROM cards GROUP BY state")
    assert job["counts"]["needs_review"] == 1
    assert {row.state: row.n for row in states} == {"issued": 2, "quarantined": 1}
    assert_proven(vendor_house)


class _Repeating:
    """A vendor that sells one card twice: our own adapter, its first answer repeated."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._first: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def place_order(self, request: OrderRequest) -> Any:
        outcome = self._inner.place_order(request)
        self._first = self._first or outcome
        return replace(outcome, card=self._first.card)


def test_recovery_tells_the_breaker_that_the_vendor_is_back(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-126: ten lost orders open the breaker; the first look-up that is answered closes it."""
    sandbox.arm(drop_after_create={"next": 12})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(12)))

    breaker = rows(vendor_house, "SELECT breaker_state FROM vendor_accounts")[0].breaker_state
    assert job["counts"]["succeeded"] == 12
    assert breaker == "closed"
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 12
    assert_proven(vendor_house)


def test_suspension_stops_orders_that_were_not_sent_yet(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-080: nothing is bought for a suspended client."""
    seeded = seed(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(3))
    _first_chunk_only(vendor_house)
    rows(vendor_house, "UPDATE clients SET suspended_at = now() RETURNING 1")

    job = settle(vendor_house, job_id)

    codes = rows(vendor_house, "SELECT DISTINCT code FROM items")
    assert job["counts"]["cancelled"] == 3
    assert [row.code for row in codes] == ["account_suspended"]
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 0
    assert_proven(vendor_house)
