"""The supervisor restarts the dead, stops the living and leaves nobody behind."""

import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.home import read_json
from ops.supervise import (
    Entry,
    Event,
    Fact,
    Patience,
    ProcfileBroken,
    Supervisor,
    parse_procfile,
)
from pipelines.limits import DEFAULTS
from tests.ops.conftest import wait_until_gone
from tests.until import until

PYTHON = sys.executable
QUICK = Patience(
    first_restart_seconds=0.05, longest_restart_seconds=0.2, stop_seconds=10.0, poll_seconds=0.01
)
WAIT = "import signal; print('up', flush=True); signal.pause()"
DIE = "raise SystemExit(3)"
IGNORE = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    " [signal.pause() for _ in iter(int, 1)]"
)
#: A master with one worker: the worker prints each SIGTERM it gets, the master ends it.
MASTER = """
import os, signal, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", '''
import signal
signal.signal(signal.SIGTERM, lambda *_: print("term", flush=True))
print("worker", flush=True)
while True:
    signal.pause()
'''])
print(worker.pid, flush=True)
signal.pause()
"""
#: Several threads echo: one write a line, or two lines would stand in each other.
SUPERVISE = """
import os, sys, threading
from pathlib import Path
from ops.home import Home
from ops.supervise import Supervisor, parse_procfile
entries = parse_procfile(Path(sys.argv[2]).read_text())
with Supervisor(Home(sys.argv[1]), entries, environment={}, cwd=Path("/"),
                echo=lambda line: os.write(1, f"{line}\\n".encode())) as supervisor:
    supervisor.start()
    supervisor.run_forever(threading.Event())
"""


class Witness:
    """Hands the supervisor's events and lines to the test, in order."""

    def __init__(self):
        self.events: queue.Queue[Event] = queue.Queue()
        self.lines: queue.Queue[str] = queue.Queue()

    def event(self) -> Event:
        return self.events.get(timeout=15)

    def line(self) -> str:
        return self.lines.get(timeout=15)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@contextmanager
def supervising(home, witness, scripts, *, patience=QUICK, environment=None):
    """A supervisor over small Python scripts, stopped at the end."""
    entries = []
    for name, code in scripts.items():
        path = home.path / f"{name}.py"
        path.write_text(code)
        entries.append(Entry(name, f"{PYTHON} {path}"))
    with Supervisor(
        home,
        entries,
        environment=environment or {},
        cwd=home.path,
        patience=patience,
        echo=witness.lines.put,
        hook=witness.events.put,
    ) as supervisor:
        yield supervisor


@contextmanager
def looked_after(supervisor):
    """`run_forever` beside the test; the processes were started by the test's own thread."""
    until = threading.Event()
    thread = threading.Thread(target=supervisor.run_forever, args=(until,))
    thread.start()
    try:
        yield
    finally:
        until.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_procfile_is_one_named_command_per_line():
    text = "# processes\n\nweb: gunicorn -b 127.0.0.1:$PORT 'web.app:make()'\nrelay:  python -m relay \n"

    assert parse_procfile(text) == (
        Entry("web", "gunicorn -b 127.0.0.1:$PORT 'web.app:make()'"),
        Entry("relay", "python -m relay"),
    )


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("web gunicorn", "Line 1 of the Procfile is not `name: command`."),
        ("\nweb:", "Line 2 of the Procfile is not `name: command`."),
        ("a b: c", "Line 1 of the Procfile is not `name: command`."),
        ("web: a\nweb: b", "Line 2 of the Procfile names `web` a second time."),
    ],
)
def test_a_broken_procfile_is_refused_with_its_line(text, detail):
    with pytest.raises(ProcfileBroken) as refused:
        parse_procfile(text)

    assert refused.value.detail == detail


def test_waits_before_a_restart_double_up_to_half_a_minute():
    waits = [Patience().restart_delay(deaths) for deaths in (1, 2, 3, 4, 5, 6, 7, 100_000)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_process_runs_with_its_environment_and_writes_a_prefixed_log(home, witness):
    code = "import os; print(os.environ['A'], os.environ['B'], flush=True)\n" + WAIT

    with supervising(home, witness, {"web": code}, environment={"A": "1", "B": "1"}) as supervisor:
        supervisor.start(environment={"B": "2"})
        lines = [witness.line(), witness.line()]

    assert lines == ["web | 1 2", "web | up"]
    assert home.log_path("web").read_text() == "web | 1 2\nweb | up\n"


def test_the_shell_reads_variables_and_then_becomes_the_command(home, witness):
    entry = Entry("web", f"{PYTHON} -c \"import os; print(os.getpid(), '$PORT')\"")

    with Supervisor(
        home, [entry], environment={"PORT": "80"}, cwd=home.path, echo=witness.lines.put
    ) as supervisor:
        supervisor.start()
        ((name, pid),) = supervisor.processes()

        assert name == "web"
        assert witness.line() == f"web | {pid} 80"


def test_the_dead_are_started_again_with_growing_waits(home, witness):
    with supervising(home, witness, {"web": DIE}) as supervisor, looked_after(supervisor):
        supervisor.start()
        events = [witness.event() for _ in range(8)]

    assert [event.fact for event in events] == [Fact.STARTED, Fact.DIED] * 4
    assert {event.exit_code for event in events[1::2]} == {3}
    assert [event.restart_in_seconds for event in events[1::2]] == [0.05, 0.1, 0.2, 0.2]
    assert len({event.pid for event in events}) == 4


def test_a_process_that_was_healthy_starts_again_with_the_first_wait(home, witness):
    healthy_at_once = Patience(first_restart_seconds=0.05, healthy_seconds=0.0, poll_seconds=0.01)

    with (
        supervising(home, witness, {"web": DIE}, patience=healthy_at_once) as supervisor,
        looked_after(supervisor),
    ):
        supervisor.start()
        events = [witness.event() for _ in range(6)]

    assert [event.restart_in_seconds for event in events[1::2]] == [0.05] * 3


def test_a_killed_process_comes_back_and_its_neighbour_is_left_alone(home, witness):
    scripts = {"web": WAIT, "relay": WAIT}

    with supervising(home, witness, scripts) as supervisor:
        supervisor.start()
        started = [witness.event(), witness.event()]
        with looked_after(supervisor):
            killed = supervisor.kill("web")
            died, again = witness.event(), witness.event()
            running = dict(supervisor.processes())

    assert [event.name for event in started] == ["web", "relay"]
    assert (killed, died.name, died.exit_code) == (started[0].pid, "web", -signal.SIGKILL)
    assert running == {"web": again.pid, "relay": started[1].pid}
    assert again.pid != killed


def test_a_chosen_few_can_be_started_and_stopped(home, witness):
    scripts = {"web": WAIT, "relay": WAIT, "bulk": WAIT}

    with supervising(home, witness, scripts) as supervisor:
        supervisor.start("web", "bulk")
        first = [name for name, _ in supervisor.processes()]
        supervisor.stop("web")
        second = [name for name, _ in supervisor.processes()]
        pids = read_json(home.pids_path)
        expected = dict(supervisor.processes())

    assert first == ["web", "bulk"]
    assert second == ["bulk"]
    assert pids == {"supervisor": os.getpid(), "processes": expected}
    assert read_json(home.pids_path) == {"supervisor": os.getpid(), "processes": {}}


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_an_unknown_name_is_refused(home, witness, verb):
    with (
        supervising(home, witness, {"web": WAIT}) as supervisor,
        pytest.raises(ProcfileBroken) as refused,
    ):
        getattr(supervisor, verb)("wbe")

    assert refused.value.detail == "The Procfile has no wbe."


def test_a_process_that_ignores_the_request_to_end_is_killed(home, witness):
    impatient = Patience(stop_seconds=0.2, poll_seconds=0.01)

    with supervising(home, witness, {"web": IGNORE}, patience=impatient) as supervisor:
        supervisor.start()
        pid = witness.event().pid
        assert witness.line() == "web | up"
        supervisor.stop()

    event = witness.event()
    assert (event.fact, event.pid, event.exit_code) == (Fact.KILLED, pid, -signal.SIGKILL)
    assert wait_until_gone([pid]) == []


def test_a_frozen_process_still_hears_the_request_to_end(home, witness):
    with supervising(home, witness, {"web": WAIT}) as supervisor:
        supervisor.start()
        witness.event()
        assert witness.line() == "web | up"
        supervisor.kill("web", signal.SIGSTOP)
        supervisor.stop()

    event = witness.event()
    assert (event.fact, event.exit_code) == (Fact.STOPPED, -signal.SIGTERM)


def test_only_the_master_is_asked_to_end_and_no_worker_outlives_it(home, witness):
    """A second SIGTERM would make a worker drop its task instead of finishing it."""
    with supervising(home, witness, {"bulk": MASTER}) as supervisor:
        supervisor.start()
        lines = {witness.line(), witness.line()}
        supervisor.stop()

    (worker,) = [int(line.split()[-1]) for line in lines if line != "bulk | worker"]
    assert wait_until_gone([worker]) == []
    assert "term" not in home.log_path("bulk").read_text()


def test_the_workers_of_a_killed_master_are_cleared_away_before_it_starts_again(home, witness):
    with supervising(home, witness, {"bulk": MASTER}) as supervisor:
        supervisor.start()
        witness.event()
        lines = {witness.line(), witness.line()}
        with looked_after(supervisor):
            os.kill(supervisor.processes()[0][1], signal.SIGKILL)
            facts = [witness.event().fact, witness.event().fact]

    (worker,) = [int(line.split()[-1]) for line in lines if line != "bulk | worker"]
    assert facts == [Fact.DIED, Fact.STARTED]
    assert wait_until_gone([worker]) == []


def test_a_start_that_fails_half_way_leaves_nobody_behind(home, witness):
    with supervising(home, witness, {"web": WAIT, "relay": WAIT}) as supervisor:
        supervisor.start("web")
        pid = witness.event().pid

        with pytest.raises(ValueError, match="null byte"):
            supervisor.start("relay", environment={"BROKEN": "\0"})

        assert supervisor.processes() == []
    assert wait_until_gone([pid]) == []


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)]
)
def test_nobody_outlives_the_supervisor(home, number, exit_code):
    script = home.path / "wait.py"
    script.write_text(f"import os; print(os.getpid(), flush=True)\n{WAIT}")
    procfile = home.path / "Procfile"
    procfile.write_text("".join(f"{name}: {PYTHON} -u {script}\n" for name in ("web", "relay")))
    supervisor = subprocess.Popen(
        [PYTHON, "-c", SUPERVISE, home.path, procfile], stdout=subprocess.PIPE, text=True
    )
    lines = [supervisor.stdout.readline().split()[-1] for _ in range(4)]
    pids = [int(word) for word in lines if word != "up"]
    # It listens for signals once everything has been started.
    until(lambda: catches(supervisor.pid, signal.SIGTERM))

    supervisor.send_signal(number)
    supervisor.communicate(timeout=30)

    assert supervisor.returncode == exit_code
    assert len(pids) == 2
    assert wait_until_gone(pids) == []


def test_a_process_that_drains_to_the_last_second_is_not_killed():
    longest = DEFAULTS.drain_seconds + DEFAULTS.drain_margin_seconds

    assert Patience().stop_seconds > longest
