"""How a scenario begins, and the exact end that all of them must come to."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.jobs.control import retry_job
from pipelines.jobs.kinds import OnError
from pipelines.pools.accept_import import accept_import
from pipelines.queue.kinds import ALL, Drive
from tests.chaos.stand import PROCESSES, Stand
from tests.driving import cards_csv, recipients_csv, rows, submit
from tests.proof import violations
from tests.seeding import ACTOR, Seeded, seed

PRICE_MINOR = 2500
#: A call that takes longer than this in a scenario belongs to a worker that is gone.
CALL_SECONDS_MAX = 15.0


class Skipped(Exception):
    """This machine lacks what the scenario needs; the text says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many items come from each source; `make chaos` takes larger ones than `make test`."""

    csv: int
    buffer: int
    api: int

    @property
    def items(self) -> int:
        return self.csv + self.buffer + self.api

    @property
    def stocked(self) -> int:
        return self.csv + self.buffer


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault with the sentence that says what must hold; `act` breaks things and waits."""

    name: str
    promise: str
    act: Callable[[Stand, Size], None]


def import_file(stand: Stand, pool_id: UUID, content: bytes) -> dict[str, Any]:
    """Import a card file through the running workers; the job once it has ended."""
    house = stand.house
    with scoped_transaction(house.sessions, PLATFORM) as session:
        accepted = accept_import(
            session,
            pool_id,
            io.BytesIO(content),
            on_error=OnError.ABORT,
            force=False,
            file_name="cards.csv",
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    return stand.until_ended(accepted.job_id)


def _stock(stand: Stand, pool_id: UUID, count: int) -> None:
    if count:
        job = import_file(stand, pool_id, cards_csv(count))
        assert job["counts"]["succeeded"] == count


def prepared(stand: Stand, size: Size, **extra: str) -> Seeded:
    """Start the processes and stock the pools: nothing is broken yet.

    `extra` is added to the environment of the processes.
    """
    seeded = seed(stand.house, credit_minor=100_000_000)
    stand.start(*PROCESSES, **extra)
    _stock(stand, seeded.csv_pool, size.csv)
    _stock(stand, seeded.buffer_pool, size.buffer)
    return seeded


def begin(stand: Stand, size: Size, **extra: str) -> tuple[Seeded, UUID]:
    """Stock the pools, start the processes, submit the job."""
    seeded = prepared(stand, size, **extra)
    return seeded, submit(stand.house, seeded, recipients_csv(size.items))


def assert_exact(
    stand: Stand,
    job_id: UUID,
    size: Size,
    *,
    meanwhile: Callable[[], object] | None = None,
    sold: int | None = None,
) -> None:
    """Every item right, vendor orders equal to api items exactly, ledger exact.

    `sold`: what the vendor sold in all, if other jobs bought there too.
    """
    job = stand.until_ended(job_id, meanwhile=meanwhile)
    left = unserved(stand, job_id)
    assert left == [], left
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", size.items), job["counts"]
    assert job["sources"] == {"csv": size.csv, "buffer": size.buffer, "api": size.api}
    assert job["money"]["captured_minor"] == size.items * PRICE_MINOR
    assert job["money"]["held_minor"] == 0
    assert_vendor_sold(stand, size.api if sold is None else sold)
    assert_quiet(stand)


def retry(stand: Stand, job_id: UUID) -> int:
    """Try the failed items of an ended job again, as its owner would; how many."""
    (job,) = rows(stand.house, "SELECT client_id FROM jobs WHERE id = :job", job=job_id)
    with scoped_transaction(stand.house.sessions, client(job.client_id)) as session:
        return retry_job(
            session,
            job_id,
            actor_id=ACTOR,
            now=clock.now(session),
            kinds=stand.house.job_kinds,
            limits=stand.house.limits,
        )


def unserved(stand: Stand, job_id: UUID) -> list[tuple[str, str, str]]:
    """Reference, state and code of the items that did not succeed."""
    statement = (
        "SELECT reference, state, code FROM items WHERE job_id = :job AND state <> 'succeeded' "
        "ORDER BY position"
    )
    return [tuple(row) for row in rows(stand.house, statement, job=job_id)]


def assert_vendor_sold(stand: Stand, orders: int) -> None:
    """Exactly so many orders, and none twice: what the vendor itself says."""
    summary = stand.sandbox.control("GET", "/reloadly/summary")
    assert summary["orders_total"] == orders, summary
    assert summary["duplicates"] == [], summary


def assert_quiet(stand: Stand) -> None:
    """No work of any job is left, no dead letter lies about, and the books agree."""
    stand.until(lambda: not rows(stand.house, "SELECT 1 FROM tasks WHERE job_id IS NOT NULL"))
    dead = rows(stand.house, "SELECT kind, last_error FROM tasks WHERE state <> 'ready'")
    assert dead == [], dead
    broken = violations(stand.house)
    assert broken == {}, broken


def expire_leases(stand: Stand, *, after_seconds: float = 0.0, skip_held: bool = False) -> None:
    """Vendor leases last over two minutes; a scenario does not wait for that.

    Leases end that were taken longer ago than `after_seconds`. The rows of killed workers are free
    as soon as the server notices; what a frozen one holds inside a transaction is passed over with
    `skip_held`, for only the server's own timeout frees it.
    """
    waiting = "SKIP LOCKED" if skip_held else ""
    margin = stand.house.limits.lease_margin_seconds
    for kind in ALL.values():
        if kind.drive is Drive.STEPPED:
            left = kind.lease_seconds + margin - after_seconds
            rows(
                stand.house,
                "UPDATE tasks SET lease_until = now() WHERE id IN (SELECT id FROM tasks "
                "WHERE kind = :kind AND lease_until > now() "
                "AND lease_until <= now() + make_interval(secs => :left) "
                f"FOR UPDATE {waiting}) RETURNING 1",
                kind=kind.name,
                left=left,
            )


def set_for_workers(stand: Stand, setting: str, value: str) -> None:
    """A setting of the worker's login in this stand's database, for connections made from now."""
    name = stand.house.sessions.kw["bind"].url.database
    stand.admin(f"ALTER ROLE largesse_worker IN DATABASE {name} SET {setting} = '{value}'")


def hurry(stand: Stand) -> None:
    """Nobody waits for the leases of dead workers or for a breaker that a fault has opened."""
    try:
        expire_leases(stand, after_seconds=CALL_SECONDS_MAX, skip_held=True)
        with scoped_transaction(stand.house.sessions, SYSTEM) as session:
            session.execute(
                text(
                    "UPDATE vendor_accounts SET breaker_blocked_until = now() "
                    "WHERE breaker_blocked_until > now()"
                )
            )
            session.execute(
                text(
                    "UPDATE tasks SET run_after = now() WHERE id IN (SELECT id FROM tasks "
                    "WHERE postponed_for = 'vendor_down' AND run_after > now() "
                    "FOR UPDATE SKIP LOCKED)"
                )
            )
    except DBAPIError:
        pass  # the database is what is broken just now: next time
