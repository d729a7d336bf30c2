"""One real stack, started as a user would: it serves, mends itself, and leaves nobody behind."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from ops.client import Api
from ops.home import Home, free_port, read_json
from ops.stack_record import is_alive
from ops.supervise import parse_procfile
from ops.unprivileged import discard
from tests.ops.conftest import fresh_home, wait_until_gone

ROOT = Path(__file__).parents[2]
PROCESSES = [e.name for e in parse_procfile((ROOT / "Procfile").read_text())]
READY_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Up:
    """A running `up` and the environment it was started with."""

    process: subprocess.Popen
    environment: dict[str, str]
    home: Home
    told: queue.Queue | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"


def environment_for(home: Home) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    return kept | ports | {"LARGESSE_HOME": str(home.path)}


def ops(environment, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(environment, command="up"):
    return subprocess.Popen(
        [sys.executable, "-m", "ops", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_of(stream):
    """A queue that a thread fills with the stream's lines; None at its end."""
    lines = queue.Queue()

    def read():
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def ready_line(process):
    return lines_of(process.stdout).get(timeout=READY_SECONDS)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    home = fresh_home()
    environment = environment_for(home)
    process = start(environment)
    told = lines_of(process.stderr)
    ready = ready_line(process)
    assert ready == f"Largesse is ready at http://127.0.0.1:{environment['PORT']}"
    yield Up(process, environment, home, told)
    process.terminate()
    process.wait(timeout=60)
    discard(home)


def doctor(up):
    done = ops(up.environment, "doctor", "--json")
    return done.returncode, json.loads(done.stdout)


def pid_of(up, name):
    _code, found = doctor(up)
    return {p["name"]: p["pid"] for p in found["processes"]}.get(name)


def test_the_doctor_finds_everything_well(up):
    code, found = doctor(up)

    assert [check for check in found["checks"] if not check["ok"]] == []
    assert (code, found["ok"]) == (0, True)
    assert set(found) == {
        *("ok", "web_url", "database_url", "redis_url", "sandbox_url", "home"),
        *("processes", "versions", "checks"),
    }
    assert found["web_url"] == up.url
    assert found["home"] == str(up.home.path)
    assert {p["name"] for p in found["processes"]} == {
        *PROCESSES,
        *("sandbox", "postgres", "valkey"),
    }
    assert {c["name"] for c in found["checks"]} == {
        *("stack", "processes", "web_healthz", "web_readyz", "database", "schema"),
        *("connections", "settings", "isolation", "message_store", "sandbox", "audit"),
        "monitor",
    }


def test_a_second_up_on_the_folder_is_refused_and_harms_nothing(up):
    done = ops(up.environment, "up")

    assert done.returncode == 3
    assert done.stdout == ""
    assert f"already running as pid {up.process.pid} at {up.url}" in done.stderr
    assert requests.get(f"{up.url}/readyz", timeout=5).status_code == 200


def test_a_new_demo_has_cards_in_stock(up):
    token = ops(up.environment, "token", "--email", "admin@example.com").stdout.strip()

    pools = requests.get(
        f"{up.url}/api/v1/gift-card-pools",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ).json()["data"]

    assert {pool["kind"]: pool["counts"]["available"] for pool in pools} == {
        "csv": 60,
        "buffer": 20,
    }


def test_a_new_demo_has_the_notes_books_people_and_pools(up):
    """S1-067..072, S3-056, S1-077: 4 books of 200 codes, 10 of them given, 2 pools, a day signed in."""
    api = Api(up.url)
    alice = api.login("alice@example.com", "demo123")

    books = {book["name"]: book for book in alice.get("/books")["data"]}
    pools = {pool["name"]: pool["members"] for pool in alice.get("/pools")["data"]}
    people = ("bob", "charlie", "diana", "eve")
    held = [_coupons_of(api.login(f"{name}@example.com", "demo123")) for name in people]

    stocks = [book["stock"] for book in books.values()]
    assert (len(books), sum(stock["total"] for stock in stocks)) == (4, 200)
    assert sum(stock["assigned"] for stock in stocks) == 10
    assert {"Summer Sale 2026", "VIP Rewards"} < set(books)
    assert [name for name, book in books.items() if book["seals_codes"]] == ["Gift Vouchers"]
    assert pools == {"Beta Testers": 5, "Newsletter Readers": 2}
    assert (_coupons_of(alice), held) == (2, [2, 2, 2, 2])
    body = {"email": "diana@example.com", "password": "demo123"}
    assert api.send("POST", "/auth/login", json=body)["expires_in"] == 24 * 3600


def test_s033_a_demo_has_a_partner_whose_shop_was_handed_its_secret(up):
    admin = Api(up.url).login("admin@example.com", "admin123")
    (vendor,) = admin.get("/vendors")["data"]
    shop = doctor(up)[1]["sandbox_url"]

    assert vendor["origins"] == [shop]
    assert admin.get(f"/vendors/{vendor['id']}/partner-secret")["configured"] is True
    known = requests.get(f"{shop}/control/partner/vendor", timeout=30).json()
    assert known == {"vendor_id": vendor["id"], "host": up.url, "configured": True}
    led = requests.get(f"{up.url}/demo/partner", timeout=30, allow_redirects=False)
    assert led.headers["Location"] == f"{shop}/partner/"
    # The shop's own backend signs for its customer, and Largesse takes it.
    with requests.Session() as browser:
        browser.post(f"{shop}/partner/sign-in", {"customer": "customer-1001"}, timeout=30)
        signed = browser.post(
            f"{shop}/partner/largesse-token", headers={"Origin": shop}, timeout=30
        ).json()
    body = {"token": signed["token"], "host_origin": shop}
    opened = Api(up.url).send("POST", "/session-from-token", json=body)
    assert opened["vendor_id"] == vendor["id"]


def _coupons_of(person):
    return len(person.get("/users/me/coupons")["data"])


def test_a_stack_beside_it_on_the_same_port_is_refused_by_the_port_s_name(up, home):
    done = ops(up.environment, "up", LARGESSE_HOME=str(home.path))

    assert done.returncode == 3
    assert "set PORT to a free one" in done.stderr


def test_a_demo_person_gets_a_token_without_a_password(up):
    done = ops(up.environment, "token", "--email", "alice@example.com")

    token = done.stdout.strip()
    me = requests.get(
        f"{up.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}, timeout=5
    )
    assert me.status_code == 200
    assert me.json()["role"] == "campaign_manager"


def test_the_invariants_hold_on_what_was_seeded(up):
    done = ops(up.environment, "prove", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["ok"] is True


def test_killed_processes_and_servers_come_back(up):
    victims = ("relay", "postgres", "valkey")
    before = {name: pid_of(up, name) for name in victims}

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    awaited = {
        "postgres runs again.",
        "valkey runs again.",
        f"relay ended with -9; it starts again in 1 s. See {up.home.log_path('relay')}",
    }
    while awaited:
        awaited.discard(up.told.get(timeout=READY_SECONDS))

    _code, found = doctor(up)
    unwell = {check["name"] for check in found["checks"] if not check["ok"]}
    assert unwell <= {"processes"}
    assert pid_of(up, "postgres") not in {None, before["postgres"]}
    assert pid_of(up, "valkey") not in {None, before["valkey"]}


def test_sigterm_stops_everything_and_says_nothing_more(home):
    environment = environment_for(home)
    process = start(environment)
    out = lines_of(process.stdout)
    out.get(timeout=READY_SECONDS)
    pids = [*read_json(home.pids_path)["processes"].values()]
    pids += read_json(home.path / "stack.json")["servers"].values()

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert out.get(timeout=5) is None
    assert len(pids) == len(PROCESSES) + 3
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not (home.path / "stack.json").exists()
    code, found = doctor(Up(process, environment, home))
    assert (code, found["ok"], found["processes"]) == (1, False, [])


def test_a_killed_stack_leaves_no_process_and_starts_again(home):
    environment = environment_for(home)
    process = start(environment)
    ready_line(process)
    pids = [*read_json(home.pids_path)["processes"].values()]
    pids += read_json(home.path / "stack.json")["servers"].values()

    process.kill()
    process.wait(timeout=60)

    assert wait_until_gone(pids, seconds=40) == []
    again = start(environment)
    assert ready_line(again).startswith("Largesse is ready")
    again.send_signal(signal.SIGINT)
    assert again.wait(timeout=60) == 0
