"""`largesse submit` against a real front: a start of its own and a priority."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from ops.__main__ import main
from pipelines.wiring import House
from tests.driving import recipients_csv, rows
from tests.intake import table_sizes
from tests.seeding import Seeded
from tests.web.conftest import Caller


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def submit(url: str, caller: Caller, seeded: Seeded, folder: Path, *more: str) -> Result:
    file = folder / "people.csv"
    file.write_bytes(recipients_csv(2))
    what = ["--campaign", str(seeded.campaign_id), "--brand", str(seeded.brand_id)]
    return CliRunner().invoke(
        main,
        ["submit", str(file), *what, "--denomination-minor", "2500", *more],
        env={
            "LARGESSE_URL": url,
            "LARGESSE_TOKEN": caller.headers["Authorization"].removeprefix("Bearer "),
        },
    )


def test_a_job_is_submitted_for_a_time_and_with_a_priority(
    url: str, manager: Caller, seeded: Seeded, house: House, tmp_path: Path
):
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)

    done = submit(url, manager, seeded, tmp_path, "--at", at.isoformat(), "--priority", "low")

    (job,) = rows(house, "SELECT id, scheduled_for, priority FROM jobs")
    assert (done.exit_code, done.stdout) == (0, f"{job.id}\n")
    assert (job.scheduled_for, job.priority) == (at, 150)
    assert rows(house, "SELECT run_after, priority FROM tasks") == [(at, 150)]


@pytest.mark.parametrize(
    ("option", "exit_code", "words"),
    [
        (("--at", "2027-01-31T09:00:00"), 4, "Give the time with its zone"),
        (("--at", "2001-01-31T09:00:00Z"), 4, "The time has passed."),
        (("--at", "tomorrow"), 4, "Give a time such as 2027-01-31T09:00:00Z."),
        (("--priority", "urgent"), 2, "'high', 'normal', 'low'"),
    ],
)
def test_a_wrong_time_or_priority_is_told_and_writes_nothing(
    url: str,
    manager: Caller,
    seeded: Seeded,
    house: House,
    tmp_path: Path,
    option: tuple[str, str],
    exit_code: int,
    words: str,
):
    before = table_sizes(house)

    done = submit(url, manager, seeded, tmp_path, *option)

    assert done.exit_code == exit_code
    assert words in done.output
    assert table_sizes(house) == before
