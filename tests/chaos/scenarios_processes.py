"""Processes that die, freeze, come back as zombies or run twice."""

import signal
from uuid import UUID

from tests.chaos.exact import (
    Scenario,
    Size,
    assert_exact,
    assert_quiet,
    begin,
    expire_leases,
    hurry,
    prepared,
    set_for_workers,
    unserved,
)
from tests.chaos.stand import PROCESSES, Stand
from tests.driving import recipients_csv, rows, submit, view

POISONED = "tests.chaos.poisoned"
_HOLD_ORDERED = (
    "SELECT 1 FROM items WHERE job_id = %s AND position IN "
    "(SELECT o.position FROM provider_orders o WHERE o.job_id = items.job_id) FOR UPDATE"
)
#: Whoever has an answer locks its item to write it down; nobody else wants that of an ordered one.
_ANSWERS_UNWRITTEN = (
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
    "AND usename = 'largesse_worker' AND query LIKE '%FROM items%'"
)


def undisturbed(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size)


def workers_killed(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    for name in ("bulk", "vendors"):
        stand.kill(name)
        stand.start(name)
    expire_leases(stand)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def answer_lost_with_worker(stand: Stand, size: Size) -> None:
    """EC-063: the vendor has answered, the worker dies before it can write that down."""
    stand.sandbox.switch(latency_seconds=0.05)
    seeded = prepared(stand, size)
    stand.kill("vendors")
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    stand.until(lambda: bool(rows(stand.house, "SELECT 1 FROM provider_orders")))
    with stand.connected() as blocker:
        blocker.execute(_HOLD_ORDERED, [job_id])
        stand.start("vendors")
        stand.until(lambda: bool(stand.admin(_ANSWERS_UNWRITTEN)))
        stand.kill("vendors")
        lost = rows(stand.house, "SELECT id FROM provider_orders WHERE state = 'sent'")
    expire_leases(stand)
    stand.start("vendors")
    stand.until_done(job_id, size.stocked + size.api // 3)
    stand.kill("vendors")
    expire_leases(stand)
    stand.start("vendors")
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
    asked_after = rows(stand.house, "SELECT id FROM provider_orders WHERE lookups > 0")
    assert {row.id for row in lost} <= {row.id for row in asked_after}
    assert lost != []


def vendors_frozen_past_their_lease(stand: Stand, size: Size) -> None:
    """EC-118: a worker stops for longer than its lease and comes back as a zombie."""
    stand.sandbox.arm(slow={"next": 3, "seconds": 1.0, "created_first": True})
    _seeded, job_id = begin(stand, size)
    stand.until(lambda: bool(rows(stand.house, "SELECT 1 FROM provider_orders WHERE state='sent'")))
    frozen = stand.running["vendors"]
    stand.signal(frozen, signal.SIGSTOP)
    # Its leases end now; a second worker takes over while the first one is still alive.
    expire_leases(stand, skip_held=True)
    stand.start("vendors")
    stand.until(lambda: not rows(stand.house, "SELECT 1 FROM provider_orders WHERE state = 'sent'"))
    stand.signal(frozen, signal.SIGCONT)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def bulk_frozen_inside_a_transaction(stand: Stand, size: Size) -> None:
    """The server ends the frozen worker's transaction; what it wrote after waking is refused."""
    set_for_workers(stand, "idle_in_transaction_session_timeout", "2s")
    seeded = prepared(stand, size)
    held = f"SELECT 1 FROM accounts WHERE id = '{seeded.client_account}' FOR UPDATE"
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    frozen = stand.running["bulk"]
    with stand.connected() as blocker:
        blocker.execute(held)
        stand.until(lambda: stand.waiting_for_locks() > 0)
        stand.signal(frozen, signal.SIGSTOP)
    stand.start("bulk")
    stand.until_done(job_id, size.stocked)
    stand.signal(frozen, signal.SIGCONT)
    assert_exact(stand, job_id, size)


def relay_killed(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    stand.kill("relay")
    stand.start("relay")
    assert_exact(stand, job_id, size)


def relay_frozen(stand: Stand, size: Size) -> None:
    """Nothing new is rung while it is frozen; a second one takes over, then both run."""
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    frozen = stand.running["relay"]
    for _ in range(3):
        stand.signal(frozen, signal.SIGSTOP)
        stand.signal(frozen, signal.SIGCONT)
    stand.signal(frozen, signal.SIGSTOP)
    stand.start("relay")
    stand.until_done(job_id, size.items // 2)
    stand.signal(frozen, signal.SIGCONT)
    assert_exact(stand, job_id, size)


def two_of_everything(stand: Stand, size: Size) -> None:
    """Any number of each process may run: nothing is done twice."""
    seeded = prepared(stand, size)
    stand.start(*PROCESSES)
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    assert_exact(stand, job_id, size)


def everything_killed_at_once(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    for name in PROCESSES:
        stand.kill(name)
    expire_leases(stand)
    stand.start(*PROCESSES)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def terminated_again_and_again(stand: Stand, size: Size) -> None:
    """A deploy: every process is asked to end, in turn, while the next one is already up."""
    _seeded, job_id = begin(stand, size)
    for part in (10, 3):
        stand.until_done(job_id, size.items // part)
        leaving = [stand.running[name] for name in PROCESSES]
        stand.start(*PROCESSES)
        stand.until_up(*PROCESSES)
        for process in leaving:
            stand.signal(process, signal.SIGTERM)
        codes = [process.wait(timeout=60) for process in leaving]
        assert codes == [0] * len(PROCESSES), codes
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def poison_that_kills(stand: Stand, size: Size) -> None:
    """EC-121: one recipient kills every worker that touches it; the others are served."""
    deaths = _poisoned(stand, "kill")
    # Eight, four, two, one: three starts each before the verdict, and nobody else is blamed.
    assert deaths == 12, deaths


def poison_that_eats_memory(stand: Stand, size: Size) -> None:
    """EC-121: one recipient asks for more memory than there is; no worker dies of it."""
    assert _poisoned(stand, "memory") == 0


def _poisoned(stand: Stand, how: str) -> int:
    """Run a job with one deadly recipient among healthy ones; how often the worker died."""
    seeded = prepared(stand, Size(csv=10, buffer=0, api=0))
    stand.kill("bulk")
    stand.start("bulk", module=POISONED, CHAOS_POISON=how)
    people = [{"reference": f"r{n}", "email": f"p{n}@example.com"} for n in range(8)]
    people[5]["reference"] = "poison"
    job_id = submit(stand.house, seeded, people)
    deaths = 0

    def ended() -> bool:
        nonlocal deaths
        deaths += stand.revive("bulk", module=POISONED, CHAOS_POISON=how)
        return view(stand.house, job_id)["finished_at"] is not None

    stand.until(ended, seconds=240)
    _assert_only_poison_failed(stand, job_id, len(people))
    return deaths


def _assert_only_poison_failed(stand: Stand, job_id: UUID, people: int) -> None:
    job = view(stand.house, job_id)
    left = unserved(stand, job_id)
    assert left == [("poison", "failed", "internal_error")], left
    assert job["state"] == "partially_succeeded"
    assert job["counts"]["succeeded"] == people - 1
    assert job["money"]["captured_minor"] == (people - 1) * 2500
    assert job["money"]["held_minor"] == 0
    assert_quiet(stand)


SCENARIOS = (
    Scenario("undisturbed", "the job ends, everything adds up", undisturbed),
    Scenario("workers killed", "SIGKILL of bulk and vendors mid-chunk (EC-119)", workers_killed),
    Scenario(
        "answer lost with worker",
        "SIGKILL between answer and commit (EC-063)",
        answer_lost_with_worker,
    ),
    Scenario(
        "vendors frozen",
        "SIGSTOP past the lease, then SIGCONT (EC-118)",
        vendors_frozen_past_their_lease,
    ),
    Scenario(
        "bulk frozen",
        "SIGSTOP in a transaction past the server's timeout, then SIGCONT",
        bulk_frozen_inside_a_transaction,
    ),
    Scenario("relay killed", "SIGKILL of the relay", relay_killed),
    Scenario("relay frozen", "SIGSTOP and SIGCONT of the relay beside a second one", relay_frozen),
    Scenario("two of everything", "nothing is done twice", two_of_everything),
    Scenario("all killed", "SIGKILL of every process at once (EC-119)", everything_killed_at_once),
    Scenario("deployed twice", "SIGTERM of everything mid-job, twice", terminated_again_and_again),
    Scenario("poison kills", "one item kills its worker, ends failed (EC-121)", poison_that_kills),
    Scenario(
        "poison eats memory",
        "one item gets MemoryError, ends failed (EC-121)",
        poison_that_eats_memory,
    ),
)
