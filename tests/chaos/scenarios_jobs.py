"""People cancel, pause, resume and retry while things break; and everything breaks at once."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import InvalidJobState
from tests.chaos.exact import (
    Scenario,
    Size,
    assert_exact,
    assert_quiet,
    assert_vendor_sold,
    begin,
    expire_leases,
    hurry,
    prepared,
    retry,
)
from tests.chaos.scenarios_vendor import HARMLESS
from tests.chaos.stand import PROCESSES, Stand
from tests.driving import recipients_csv, submit, view
from tests.seeding import ACTOR, Seeded

_SESSIONS = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE usename = 'largesse_worker' AND application_name <> 'chaos'"
)
_END_SESSIONS = f"SELECT pg_terminate_backend(pid) FROM ({_SESSIONS}) s"


def asked(
    stand: Stand, seeded: Seeded, move: Callable[[Session, datetime], Any], *, seconds: float = 60
) -> None:
    """What a person asks of a job, asked again while the job's row is held for too long."""

    def was_heard() -> bool:
        try:
            with scoped_transaction(stand.house.sessions, client(seeded.client_id)) as session:
                move(session, clock.now(session))
        except OperationalError as busy:
            if not isinstance(busy.orig, LockNotAvailable):
                raise
            return False
        return True

    stand.until(was_heard, seconds=seconds)


def pause(stand: Stand, seeded: Seeded, job_id: UUID) -> None:
    asked(stand, seeded, lambda s, now: pause_job(s, job_id, actor_id=ACTOR, now=now))


def resume(stand: Stand, seeded: Seeded, job_id: UUID) -> None:
    asked(stand, seeded, lambda s, now: resume_job(s, job_id, actor_id=ACTOR, now=now))


def cancelled(stand: Stand, size: Size) -> None:
    """What was issued stands and is paid for, the rest is cancelled and its credit freed."""
    seeded, job_id = begin(stand, size)
    stand.until_done(job_id, 1)
    asked(stand, seeded, lambda s, now: cancel_job(s, job_id, actor_id=ACTOR, now=now))
    stand.kill("bulk")
    stand.kill("vendors")
    expire_leases(stand)
    stand.start("bulk", "vendors")
    job = stand.until_ended(job_id, meanwhile=lambda: hurry(stand))
    done = job["counts"]["succeeded"]
    assert job["state"] == "cancelled"
    assert done + job["counts"]["cancelled"] == size.items
    assert job["money"]["captured_minor"] == done * 2500
    assert job["money"]["held_minor"] == 0
    assert_vendor_sold(stand, job["sources"].get("api", 0))
    assert_quiet(stand)


def pause_storm(stand: Stand, size: Size) -> None:
    """Paused and resumed by two people at once, dozens of times: nothing is lost on the way."""
    seeded, job_id = begin(stand, size)
    over = threading.Event()

    def quarrel() -> None:
        while not over.is_set():
            with suppress(InvalidJobState):
                pause(stand, seeded, job_id)
            with suppress(InvalidJobState):
                resume(stand, seeded, job_id)
            over.wait(0.02)

    people = [threading.Thread(target=quarrel, daemon=True) for _ in range(2)]
    for person in people:
        person.start()
    try:
        stand.until_done(job_id, size.stocked // 2)
    finally:
        over.set()
        for person in people:
            person.join(timeout=30)
    with suppress(InvalidJobState):
        resume(stand, seeded, job_id)
    assert_exact(stand, job_id, size)


def paused_through_an_outage(stand: Stand, size: Size) -> None:
    """A paused job stands still while everything dies and Redis forgets; then it goes on."""
    seeded = prepared(stand, size)
    stand.kill("bulk")
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    with stand.connected() as blocker:  # the second chunk is to be had only after the outage
        blocker.execute(
            "SELECT 1 FROM chunks WHERE job_id = %s AND number = 2 FOR UPDATE", [job_id]
        )
        stand.start("bulk")
        stand.until_done(job_id, 1)
        stand.kill("bulk")
    pause(stand, seeded, job_id)
    for name in PROCESSES:
        if name != "bulk":
            stand.kill(name)
    stand.until(lambda: not stand.admin(_SESSIONS))
    stand.flush_queue()
    before = view(stand.house, job_id)["counts"]
    stand.start(*PROCESSES)
    other = submit(stand.house, seeded, recipients_csv(1, start=size.items))
    assert stand.until_ended(other, meanwhile=lambda: hurry(stand))["state"] == "succeeded"
    paused = view(stand.house, job_id)
    assert paused["state"] == "paused"
    # Orders that were on their way are driven home; no chunk begins.
    assert paused["counts"]["pending"] == before["pending"] > 0
    resume(stand, seeded, job_id)
    job = stand.until_ended(job_id, meanwhile=lambda: hurry(stand))
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", size.items)
    bought = job["sources"]["api"] + view(stand.house, other)["sources"].get("api", 0)
    assert bought == size.api + 1
    assert_vendor_sold(stand, bought)
    assert_quiet(stand)


def retried_after_chaos(stand: Stand, size: Size) -> None:
    """Half of the orders are out of stock and workers die; a retry serves exactly the failed."""
    stand.sandbox.arm(out_of_stock={"rate": 0.5}, seed=3)
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.stocked)
    stand.kill("vendors")
    stand.start("vendors")
    first = stand.until_ended(job_id, meanwhile=lambda: hurry(stand))
    assert first["state"] == "partially_succeeded"
    assert first["money"]["held_minor"] == 0
    stand.sandbox.arm()
    assert retry(stand, job_id) == first["counts"]["failed"]
    stand.kill("bulk")
    stand.start("bulk")
    stand.flush_queue()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def everything_at_once(stand: Stand, size: Size) -> None:
    """Lost commits, a failing vendor, kills, freezes, ended sessions and an emptied queue."""
    database, queue = stand.proxy("database"), stand.proxy("queue")
    extra = stand.by_way_of(database=database, queue=queue)
    seeded = prepared(stand, size, **extra)
    stand.sandbox.arm(**{name: {"rate": 0.05} for name in HARMLESS}, seed=23)
    database.obey(commits=0.05, seed=23)
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    for part in (10, 4, 2):
        stand.until(_reached(stand, job_id, size.items // part))
        stand.admin(_END_SESSIONS)
        stand.flush_queue()
        frozen = stand.running["relay"]
        stand.signal(frozen, signal.SIGSTOP)
        for name in PROCESSES:
            if name != "relay":
                stand.kill(name)
        stand.start(*PROCESSES, **extra)
        stand.signal(frozen, signal.SIGCONT)
        queue.obey(cut=True)
    database.obey()
    queue.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def _reached(stand: Stand, job_id: UUID, items: int) -> Callable[[], bool]:
    def reached() -> bool:
        hurry(stand)
        return view(stand.house, job_id)["counts"]["succeeded"] >= items

    return reached


SCENARIOS = (
    Scenario("cancelled", "cancel mid-job, workers killed", cancelled),
    Scenario("pause storm", "two people pause and resume at once (EC-129)", pause_storm),
    Scenario("paused outage", "all killed while a job is paused", paused_through_an_outage),
    Scenario("retried", "a retry after failures, with kills and FLUSHALL", retried_after_chaos),
    Scenario("everything at once", "all of this together", everything_at_once),
)
