"""EC-061's own proof: many workers, one strict vendor, and everybody is served at its pace."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.ring import ring_due
from pipelines.wiring import House, build_handlers
from tests.driving import recipients_csv, submit, view
from tests.proof import assert_proven
from tests.seeding import seed
from tests.vendor import Sandbox
from workers.wrapper import Wrapper

ITEMS = 30
WORKERS = 4
#: Ours is half of the vendor's, so that a busy machine's delays are not counted as our bursts.
PER_SECOND = 8


def test_ec061_thirty_items_at_a_strict_vendor_all_succeed_and_none_in_a_burst(
    vendor_house: House, sandbox: Sandbox
) -> None:
    sandbox.switch(vendor="tango", calls_per_second=2 * PER_SECOND)
    seeded = seed(vendor_house, route=("tango", "U120000"), rate_per_minute=60 * PER_SECOND)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE vendor_accounts SET burst = 1, micro_tokens = 1000000"))
    job_id = submit(vendor_house, seeded, recipients_csv(ITEMS))

    work_side_by_side(vendor_house, job_id)

    job = view(vendor_house, job_id)
    summary = sandbox.control("GET", "/tango/summary")
    too_early = summary["calls"]["POST /orders"] - ITEMS
    assert (job["state"], job["counts"]["succeeded"], job["counts"]["failed"]) == (
        "succeeded",
        ITEMS,
        0,
    )
    assert (summary["orders_total"], summary["duplicates"]) == (ITEMS, [])
    # Not a burst: the machine itself may hold one of two calls up for longer than their distance.
    assert too_early <= ITEMS // 10
    assert_proven(vendor_house)


def work_side_by_side(house: House, job_id: object) -> None:
    """Several workers take what is due, as long as the job runs."""
    wrapper = Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0)
    with ThreadPoolExecutor(WORKERS) as workers:
        while view(house, job_id)["finished_at"] is None:
            with scoped_transaction(house.sessions, SYSTEM) as session:
                bells = ring_due(session, now=clock.now(session), limits=house.limits)
            for bell in bells:
                workers.submit(wrapper.run, bell.task_id, 1)
