"""The demo from its start to its end, as a user runs it: the counts, the proof, nothing left."""

import os
import signal
import socket

import pytest
from click.testing import CliRunner

from ops.__main__ import main
from ops.commands.running import fresh_demo_home, refuse_taken_ports
from ops.home import Home, read_json
from ops.stack_record import StackRecord
from ops.surroundings import PortTaken
from tests.ops.conftest import wait_until_gone
from tests.ops.test_stack import READY_SECONDS, environment_for, lines_of, start

SERVING = "Serving at http://127.0.0.1:"


def until_serving(told):
    while not told.get(timeout=READY_SECONDS).startswith(SERVING):
        pass


def demo_folders(home):
    return sorted(home.path.glob("demo-*"))


def pids_in(folder):
    pids = [*read_json(folder / "pids.json")["processes"].values()]
    return [*pids, *read_json(folder / "stack.json")["servers"].values()]


def test_a_demo_serves_a_thousand_recipients_and_proves_it(home):
    process = start(environment_for(home), "demo")
    out, told = lines_of(process.stdout), lines_of(process.stderr)
    until_serving(told)
    pids = pids_in(*demo_folders(home))

    lines = list(iter(lambda: out.get(timeout=READY_SECONDS), None))

    assert process.wait(timeout=60) == 0
    assert lines[-1] == "Everything came out as it must."
    words = [line.split() for line in lines]
    assert ["recipients", "1,000", "all", "accounted", "for"] in words
    assert ["captured", "24,925.00", "USD", "credit"] in words
    told = "Coupons: 10 of Summer Sale 2026 went to "
    assert [line for line in lines if line.startswith(told) and "is redeemed" in line] != []
    assert [line for line in lines if "violated" in line] == []
    assert wait_until_gone(pids) == []


def test_an_interrupted_demo_leaves_no_process(home):
    process = start(environment_for(home), "demo")
    until_serving(lines_of(process.stderr))
    pids = pids_in(*demo_folders(home))

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 130
    assert wait_until_gone(pids) == []


def test_a_new_demo_removes_the_last_one_s_folder_but_not_a_running_one_s(home, capsys):
    old, running = Home(home.path / "demo-old"), Home(home.path / "demo-running")

    with running.lock():
        new = fresh_demo_home(home)

        assert not old.path.exists()
        assert demo_folders(home) == sorted([new.path, running.path])
    assert f"Another demo runs on {running.path}" in capsys.readouterr().err


def test_a_demo_beside_a_stack_on_its_port_deletes_nothing(home):
    """What runs there is named, before the last demo's folder goes."""
    old = Home(home.path / "demo-old")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        given = {"PORT": str(port), "LARGESSE_HOME": str(home.path)}

        with pytest.raises(PortTaken):
            refuse_taken_ports(home, given)
        with home.lock() as lock:
            record_at(port).write(home)
            lock.announce(f"http://127.0.0.1:{port}")
            done = CliRunner().invoke(main, ["demo"], env=given)

    assert done.exit_code == 3
    assert f"Largesse already runs at http://127.0.0.1:{port} (pid {os.getpid()})" in done.stderr
    assert old.path.exists()


def record_at(port):
    return StackRecord(
        pid=os.getpid(),
        environment="demo",
        web_url=f"http://127.0.0.1:{port}",
        sandbox_url=None,
        database_url="",
        queue_url="",
    )
