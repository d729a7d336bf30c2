"""`make soak MINUTES=N`: jobs without end on one stand, faults at random moments, an exact end.

python -m tests.chaos.soak [--minutes N] [--seed N] [--keep]
"""

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rich.console import Console
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM
from models.tenants import BrandRoute
from pipelines import telemetry
from tests.chaos.exact import (
    PRICE_MINOR,
    Size,
    assert_quiet,
    assert_vendor_sold,
    hurry,
    prepared,
    retry,
    unserved,
)
from tests.chaos.proxy import Proxy
from tests.chaos.scenarios_vendor import HARMLESS
from tests.chaos.stand import PROCESSES, Stand, grounds, stand
from tests.chaos.watch import watched
from tests.driving import recipients_csv, submit, view
from tests.seeding import Seeded, seed

TENANTS = 3
#: Enough to keep everybody busy, few enough that the quiet at the end is short.
OPEN_JOBS_MAX = 6
ITEMS_MAX = 400
PAUSE_SECONDS = (0.5, 3.0)
STOCK = Size(csv=2_000, buffer=500, api=0)
AWAY = (DBAPIError, PoolExhausted)


@dataclass
class Soak:
    """One run: its stand, its jobs with their sizes, and what was done to it."""

    stand: Stand
    draw: random.Random
    tenants: list[Seeded]
    database: Proxy
    queue: Proxy
    vendor: Proxy
    extra: dict[str, str]
    jobs: dict[UUID, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    people: int = 0

    def submit_one(self) -> None:
        """A job of a random tenant; people never come twice, so each is served once."""
        items = self.draw.randint(1, ITEMS_MAX)
        tenant = self.draw.choice(self.tenants)
        content = recipients_csv(items, start=self.people)
        self.people += items
        with suppress(*AWAY):
            self.jobs[submit(self.stand.house, tenant, content)] = items
            self.done["jobs submitted"] += 1

    def open_jobs(self) -> int:
        return sum(view(self.stand.house, job)["finished_at"] is None for job in self.jobs)

    # Faults, each over when its function returns, except what it leaves for others to mend.

    def kill_one(self) -> None:
        name = self.draw.choice(PROCESSES)
        self.stand.kill(name)
        self.stand.start(name, **self.extra)

    def kill_all(self) -> None:
        for name in PROCESSES:
            self.stand.kill(name)
        self.stand.start(*PROCESSES, **self.extra)

    def end_one(self) -> None:
        """SIGTERM while the next one is already starting; nobody waits for it."""
        name = self.draw.choice(PROCESSES)
        self.stand.kill(name, signal.SIGTERM)
        self.stand.start(name, **self.extra)

    def freeze_one(self) -> None:
        name = self.draw.choice(PROCESSES)
        frozen = self.stand.running[name]
        self.stand.signal(frozen, signal.SIGSTOP)
        self.stand.start(name, **self.extra)
        self._a_while()
        self.stand.signal(frozen, signal.SIGCONT)
        self._a_while()
        self.stand.signal(frozen, signal.SIGKILL)

    def empty_queue(self) -> None:
        self.stand.flush_queue()

    def restart_queue(self) -> None:
        self.stand.servers.valkey.kill()
        self._a_while()
        self.stand.servers.valkey.start()

    def end_sessions(self) -> None:
        self.stand.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename LIKE 'largesse%' AND application_name <> 'chaos'"
        )

    def restart_database(self) -> None:
        self.stand.servers.postgres.kill()
        self.stand.servers.postgres.start()

    def silence_queue(self) -> None:
        self._silence(self.queue)

    def silence_database(self) -> None:
        self._silence(self.database)

    def silence_vendor(self) -> None:
        self._silence(self.vendor)

    def lose_commits(self) -> None:
        self.database.obey(commits=0.05, seed=self.draw.randrange(1_000))
        self._a_while()
        self.database.obey()

    def cut_vendor(self) -> None:
        self.vendor.obey(refuse=True)
        self._a_while()
        self.vendor.obey()

    def fail_vendor(self) -> None:
        rates: dict[str, Any] = {name: {"rate": 0.1} for name in HARMLESS}
        self.stand.sandbox.arm(**rates, seed=self.draw.randrange(1_000))
        self._a_while()
        self.stand.sandbox.arm()

    def _silence(self, proxy: Proxy) -> None:
        proxy.obey(swallow=True)
        self._a_while()
        proxy.obey()

    def _a_while(self) -> None:
        time.sleep(self.draw.uniform(*PAUSE_SECONDS))

    def faults(self) -> dict[str, Callable[[], None]]:
        return {
            "killed one": self.kill_one,
            "killed all": self.kill_all,
            "ended one": self.end_one,
            "froze one": self.freeze_one,
            "emptied the queue": self.empty_queue,
            "restarted the queue": self.restart_queue,
            "ended sessions": self.end_sessions,
            "restarted the database": self.restart_database,
            "silenced the queue": self.silence_queue,
            "silenced the database": self.silence_database,
            "silenced the vendor": self.silence_vendor,
            "lost commits": self.lose_commits,
            "cut the vendor off": self.cut_vendor,
            "made the vendor fail": self.fail_vendor,
        }

    def run(self, seconds: float, say: Callable[[str], None]) -> None:
        """Submit and break until the time is up, then let everything come to its end."""
        faults = self.faults()
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at:
            with suppress(*AWAY):
                while self.open_jobs() < OPEN_JOBS_MAX:
                    self.submit_one()
            name = self.draw.choice(list(faults))
            say(f"{end_at - time.monotonic():5.0f} s left: {name}")
            faults[name]()
            self.done[name] += 1
            hurry(self.stand)
            self._revive()
            self._a_while()

    def _revive(self) -> None:
        for name in PROCESSES:
            self.done["died by themselves"] += self.stand.revive(name, **self.extra)

    def _until_served(self, job_id: UUID) -> dict[str, Any]:
        """The ended job; what reached no vendor in two sends is tried again, as its owner would.

        That it was not bought after all is seen at the end: the vendor has sold what was served.
        """
        while True:
            job = self.stand.until_ended(job_id, meanwhile=lambda: hurry(self.stand))
            codes = {code for _reference, _state, code in unserved(self.stand, job_id)}
            if codes != {"never_placed"}:
                return job
            self.done["items retried"] += retry(self.stand, job_id)

    def assert_exact(self) -> None:
        """Every job ended, every item right, orders exact, ledger exact."""
        bought = 0
        for job_id, items in self.jobs.items():
            job = self._until_served(job_id)
            left = unserved(self.stand, job_id)
            assert left == [], left
            assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", items), job
            assert sum(job["sources"].values()) == items, job["sources"]
            assert job["money"]["captured_minor"] == items * PRICE_MINOR, job["money"]
            assert job["money"]["held_minor"] == 0, job["money"]
            bought += job["sources"]["api"]
            self.done["items served"] += items
        self.done["cards bought"] = bought
        assert_vendor_sold(self.stand, bought)
        assert_quiet(self.stand)


def begin(ground: Stand, seed_number: int) -> Soak:
    """Start everything behind proxies, with several tenants of which one has stock."""
    proxies = {kind: ground.proxy(kind) for kind in ("database", "queue", "vendor")}
    extra = ground.by_way_of(**proxies)
    tenants = [prepared(ground, STOCK, **extra)]
    for _ in range(TENANTS - 1):
        tenant = seed(ground.house, credit_minor=100_000_000, vendor=False)
        with scoped_transaction(ground.house.sessions, PLATFORM) as session:
            route = {"brand_id": tenant.brand_id, "vendor": "reloadly", "product": "120"}
            session.execute(insert(BrandRoute).values(id=new_id(), **route))
        tenants.append(tenant)
    return Soak(ground, random.Random(seed_number), tenants, **proxies, extra=extra)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=5.0)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    arguments.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    chosen = arguments.parse_args()
    telemetry.configure("soak", level=50)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"soak of {chosen.minutes:g} minutes, seed {chosen.seed}")
    with grounds(keep=chosen.keep) as base, stand(base) as ground:
        if chosen.keep:
            console.print(f"logs: {ground.logs}")
        soak = begin(ground, chosen.seed)
        try:
            with watched(ground.house) as watch:
                soak.run(chosen.minutes * 60, console.print)
                console.print("quiet: waiting for every job to end")
                soak.assert_exact()
            soak.done["snapshots proven"] = watch.snapshots
        except AssertionError as error:
            console.print(f"FAILED: {error}")
            return 1
        finally:
            for what, count in soak.done.items():
                console.print(f"{count:7,} {what}")
    console.print("exact")
    return 0


if __name__ == "__main__":
    sys.exit(main())
