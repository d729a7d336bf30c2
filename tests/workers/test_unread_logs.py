"""A log line that cannot be written is lost, and nothing else: not the work, not the way out."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.home import free_port
from tests.driving import cards_csv, import_cards_now, recipients_csv, submit
from tests.proof import assert_proven
from tests.seeding import seed
from tests.workers.crew import Crew

FULL_DISK = Path("/dev/full")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe, and its reading end: what a supervisor holds of a process."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader


def test_a_process_whose_supervisor_has_died_still_ends_when_asked(
    crew: Crew, pipe: tuple[Path, int]
) -> None:
    """EC-119: the kernel asks it to end just when nobody reads its log any more."""
    path, reader = pipe
    names = ("relay", "scheduler", "interactive", "bulk", "vendors", "deliveries")
    processes = [crew.start(name, log=path) for name in names]
    port = str(free_port())
    processes.append(crew.start("web", module="web", beats=False, log=path, PORT=port))
    crew.until(lambda: len(crew.beats()) == len(processes))

    os.close(reader)
    for process in processes:
        process.send_signal(signal.SIGTERM)

    assert [process.wait(timeout=20) for process in processes] == [0] * len(processes)
    assert crew.beats() == []


def test_work_goes_on_when_the_disk_of_the_logs_is_full(crew: Crew) -> None:
    seeded = seed(crew.house)
    import_cards_now(crew.house, seeded.csv_pool, cards_csv(3))
    processes = [crew.start(name, log=FULL_DISK) for name in ("relay", "bulk", "interactive")]

    job = crew.until_ended(submit(crew.house, seeded, recipients_csv(3)))

    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 3)
    assert_proven(crew.house)
    assert [crew.end(process, seconds=10) for process in processes] == [0, 0, 0]
