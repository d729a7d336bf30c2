"""What may go wrong, each with its exact end: every item right, every card bought once."""

import io
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, client
from pipelines.jobs.control import cancel_job
from pipelines.jobs.kinds import OnError
from pipelines.pools.accept_import import accept_import
from tests.chaos.stand import PROCESSES, Stand
from tests.driving import cards_csv, recipients_csv, rows, submit, view
from tests.proof import violations
from tests.seeding import ACTOR, Seeded, seed


@dataclass(frozen=True, slots=True)
class Size:
    """How many items come from each source; `make chaos` takes larger ones than `make test`."""

    csv: int
    buffer: int
    api: int

    @property
    def items(self) -> int:
        return self.csv + self.buffer + self.api


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


def begin(stand: Stand, size: Size, *, only: tuple[str, ...] = PROCESSES) -> tuple[Seeded, UUID]:
    """Stock the pools, start the processes, submit the job."""
    seeded = seed(stand.house, credit_minor=100_000_000)
    stand.start(*only)
    _stock(stand, seeded.csv_pool, size.csv)
    _stock(stand, seeded.buffer_pool, size.buffer)
    return seeded, submit(stand.house, seeded, recipients_csv(size.items))


def assert_exact(stand: Stand, job_id: UUID, size: Size) -> None:
    """Every item right, vendor orders equal to api items exactly, ledger exact."""
    job = stand.until_ended(job_id)
    assert job["state"] == "succeeded", job
    assert job["counts"]["succeeded"] == size.items, job["counts"]
    assert job["sources"] == {"csv": size.csv, "buffer": size.buffer, "api": size.api}
    assert job["money"]["captured_minor"] == size.items * 2500
    assert job["money"]["held_minor"] == 0
    summary = stand.sandbox.control("GET", "/reloadly/summary")
    assert summary["orders_total"] == size.api, summary
    assert summary["duplicates"] == [], summary
    stand.until(lambda: not rows(stand.house, "SELECT 1 FROM tasks WHERE job_id IS NOT NULL"))
    assert violations(stand.house) == {}


def expire_leases(stand: Stand, *, frozen: bool = False) -> None:
    """Vendor leases last over two minutes; a scenario does not wait for that.

    The rows of killed workers are free as soon as the server notices; what a frozen worker holds
    inside a transaction is skipped here and freed by the server's own timeout.
    """
    chosen = "SELECT id FROM tasks WHERE lease_until > now() FOR UPDATE"
    rows(
        stand.house,
        f"UPDATE tasks SET lease_until = now() WHERE id IN ({chosen}"
        f"{' SKIP LOCKED' if frozen else ''}) RETURNING 1",
    )


def undisturbed(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size)


def worker_killed_mid_chunk(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    for name in ("bulk", "vendors"):
        stand.kill(name)
        stand.start(name)
    expire_leases(stand)
    assert_exact(stand, job_id, size)


def queue_emptied_mid_job(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    for part in (10, 4, 2):
        stand.until_done(job_id, size.items // part)
        stand.flush_queue()
    assert_exact(stand, job_id, size)


def queue_killed_and_restarted_empty(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    stand.servers.valkey.kill()
    stand.servers.valkey.start()
    stand.flush_queue()
    assert_exact(stand, job_id, size)


def database_backends_killed(stand: Stand, size: Size) -> None:
    """Ends every session of the workers, again and again, whatever they are doing."""
    _seeded, job_id = begin(stand, size)
    for part in (10, 4, 2):
        stand.until_done(job_id, size.items // part)
        stand.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = 'largesse_worker' AND application_name <> 'chaos' "
            "AND pid <> pg_backend_pid()"
        )
    # A lease whose COMMIT reply was lost is known to nobody and runs out by itself.
    expire_leases(stand)
    assert_exact(stand, job_id, size)


def vendor_drops_after_creating(stand: Stand, size: Size) -> None:
    stand.sandbox.arm(drop_after_create={"rate": 0.1}, seed=7)
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size)
    assert stand.sandbox.control("GET", "/reloadly/summary")["faults_fired"]


def vendor_fails_in_every_way(stand: Stand, size: Size) -> None:
    rates = {
        name: {"rate": 0.05}
        for name in ("drop_after_create", "error_500_after", "drop_before_create", "garbage")
    }
    stand.sandbox.arm(**rates, throttled_429={"rate": 0.05, "retry_after": 0}, seed=11)
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size)


def vendor_worker_killed_between_answer_and_commit(stand: Stand, size: Size) -> None:
    """EC-063: the vendor has answered, the worker dies before it can write that down."""
    stand.sandbox.switch(latency_seconds=0.05)
    _seeded, job_id = begin(stand, size)
    for part in (10, 3):
        stand.until_done(job_id, size.csv + size.buffer + size.api // part)
        stand.kill("vendors")
        expire_leases(stand)
        stand.start("vendors")
    assert_exact(stand, job_id, size)


def worker_frozen_past_its_lease(stand: Stand, size: Size) -> None:
    """EC-118: a worker stops for longer than its lease and comes back as a zombie."""
    stand.sandbox.arm(slow={"next": 3, "seconds": 1.0, "created_first": True})
    _seeded, job_id = begin(stand, size)
    stand.until(lambda: bool(rows(stand.house, "SELECT 1 FROM provider_orders WHERE state='sent'")))
    frozen = stand.running["vendors"]
    stand.kill("vendors", signal.SIGSTOP)
    # Its leases end now; a second worker takes over while the first one is still alive.
    expire_leases(stand, frozen=True)
    stand.start("vendors")
    stand.until(lambda: not rows(stand.house, "SELECT 1 FROM provider_orders WHERE state = 'sent'"))
    frozen.send_signal(signal.SIGCONT)
    assert_exact(stand, job_id, size)
    frozen.kill()
    frozen.wait(timeout=10)


def relay_killed(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    stand.kill("relay")
    stand.start("relay")
    assert_exact(stand, job_id, size)


def two_relays(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    first = stand.running["relay"]
    stand.start("relay")
    assert_exact(stand, job_id, size)
    first.kill()
    first.wait(timeout=10)


def everything_killed_at_once(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    for name in PROCESSES:
        stand.kill(name)
    expire_leases(stand)
    stand.start(*PROCESSES)
    assert_exact(stand, job_id, size)


def cancelled_mid_job(stand: Stand, size: Size) -> None:
    """Cancel: what was issued stands and is paid for, the rest is cancelled and its credit freed."""
    seeded, job_id = begin(stand, size)
    stand.until_done(job_id, 1)
    with scoped_transaction(stand.house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
    job = stand.until_ended(job_id)
    done = job["counts"]["succeeded"]
    assert job["state"] == "cancelled"
    assert done + job["counts"]["cancelled"] == size.items
    assert job["money"]["captured_minor"] == done * 2500
    assert job["money"]["held_minor"] == 0
    assert (
        view(stand.house, job_id)["sources"]["api"]
        == (stand.sandbox.control("GET", "/reloadly/summary")["orders_total"])
    )
    assert violations(stand.house) == {}


SCENARIOS = (
    Scenario("undisturbed", "the job ends, everything adds up", undisturbed),
    Scenario("worker killed", "SIGKILL of bulk and vendors mid-chunk", worker_killed_mid_chunk),
    Scenario("queue emptied", "FLUSHALL three times mid-job (EC-117)", queue_emptied_mid_job),
    Scenario("queue restarted", "Valkey killed, back empty", queue_killed_and_restarted_empty),
    Scenario("backends killed", "PostgreSQL sessions ended mid-work", database_backends_killed),
    Scenario("vendor drops", "10 % created, connection cut (EC-059)", vendor_drops_after_creating),
    Scenario("vendor chaos", "five faults at 5 % each", vendor_fails_in_every_way),
    Scenario(
        "answer lost with worker",
        "SIGKILL between answer and commit (EC-063)",
        vendor_worker_killed_between_answer_and_commit,
    ),
    Scenario(
        "zombie", "SIGSTOP past the lease, then SIGCONT (EC-118)", worker_frozen_past_its_lease
    ),
    Scenario("relay killed", "SIGKILL of the relay", relay_killed),
    Scenario("two relays", "nothing is done twice", two_relays),
    Scenario("all killed", "SIGKILL of every process at once (EC-119)", everything_killed_at_once),
    Scenario("cancelled", "cancel mid-job", cancelled_mid_job),
)
