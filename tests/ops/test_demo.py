"""The demo from its start to its end, as a user runs it: the counts, the proof, nothing left."""

import signal

from ops.commands.running import fresh_demo_home
from ops.home import Home, read_json
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
