"""What hangs on an account hears of its credit, whatever happens at the same moment (EC-054, EC-076)."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.credit.allocate import allocate, recall
from pipelines.jobs.control import cancel_job
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import drain, recipients_csv, submit, view
from tests.funding import PRICE, campaign, funded, top_up
from tests.proof import assert_proven
from tests.seeding import ACTOR
from tests.until import until

WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def test_ec054_the_next_is_served_when_the_oldest_that_held_nothing_is_cancelled(
    house: House,
) -> None:
    """EC-054: only the oldest is cancelled; it held nothing, so that nothing comes back."""
    seeded = funded(house, cards=1, minor=PRICE)
    oldest = submit(house, seeded, recipients_csv(1), allow_partial=True, denomination_minor=5_000)
    younger = submit(house, seeded, recipients_csv(1, start=5), allow_partial=True)
    drain(house)
    assert [view(house, job)["state"] for job in (oldest, younger)] == ["paused", "paused"]

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, oldest, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    assert view(house, oldest)["state"] == "cancelled"
    assert view(house, younger)["state"] == "succeeded"
    assert_proven(house)


def test_ec076_credit_that_comes_while_a_campaign_is_being_paused_resumes_it(
    house: House, database: Database
) -> None:
    """EC-076: whoever brings it does not see the pause yet, and whoever pauses not the credit."""
    seeded = funded(house, cards=2, minor=2 * PRICE)
    submit(house, seeded, recipients_csv(2))
    drain(house)
    top_up(house, seeded, 2 * PRICE)
    drain(house)
    between = {
        "parent_id": seeded.agency_account,
        "child_id": seeded.client_account,
        "amount": 2 * PRICE,
        "notes": "",
        "actor_id": ACTOR,
    }
    with scoped_transaction(house.sessions, PLATFORM) as session:
        recall(session, client_ref=f"f:{new_id()}", **between)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        others = "DELETE FROM tasks WHERE kind = 'follow_credit' AND args->>'account_id' <> :own"
        session.execute(text(others), {"own": str(seeded.client_account)})

    with ThreadPoolExecutor(1) as worker:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            allocate(session, client_ref=f"f:{new_id()}", **between)
            following = worker.submit(drain, house)
            # Each look by itself: within one transaction, what others do stands still.
            with psycopg.connect(
                database.admin_url, dbname=database.name, autocommit=True
            ) as looking:
                until(lambda: looking.execute(WAITING).fetchall())
        following.result(timeout=20)
    drain(house)

    assert campaign(house, seeded) == ("active", None)
    assert_proven(house)
