"""The tiles of the overview: each number is that of the list behind its link."""

import re

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.driving import recipients_csv, submit
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor

TILE = re.compile(
    r'<a class="card tile" href="([^"]+)">\s*<span class="label">.*?</svg>([^<]+)</span>\s*'
    r'<span class="figure">([^<]+)</span>\s*<span class="note">([^<]+)</span>',
    re.DOTALL,
)
#: Each state with how many jobs are in it, and how long ago those that have ended did.
LIFE = (
    ("queued", 1, None),
    ("running", 2, None),
    ("paused", 1, None),
    ("cancelling", 1, None),
    ("succeeded", 1, "1 hour"),
    ("failed", 1, "1 hour"),
    ("partially_succeeded", 2, "1 hour"),
    ("failed", 1, "25 hours"),
)


@pytest.fixture
def busy(house: House, seeded: Seeded) -> None:
    start = 0
    for state, count, ago in LIFE:
        for _ in range(count):
            job = submit(house, seeded, recipients_csv(1, start=start))
            start += 1
            with scoped_transaction(house.sessions, SYSTEM) as session:
                session.execute(
                    text(
                        "UPDATE jobs SET state = :state, "
                        "finished_at = now() - CAST(:ago AS interval) WHERE id = :job"
                    ),
                    {"state": state, "ago": ago, "job": job},
                )


def listed(bob: Visitor, path: str) -> int:
    """How many jobs the list shows."""
    return bob.get(path).text.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>")


@pytest.mark.usefixtures("busy")
def test_a_tile_counts_what_its_link_shows(bob: Visitor):
    tiles = {found[1]: found for found in TILE.findall(bob.get("/console/").text)}
    href, _label, running, note = tiles["Jobs running"]
    failed_href, _label, failed, _note = tiles["With failures, last 24 h"]

    assert (running, listed(bob, href)) == ("2", 2)
    assert note == "1 queued, 1 paused, 1 cancelling"
    assert (failed, listed(bob, failed_href)) == ("3", 3)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("state", "jobs"), [("queued", 1), ("cancelling", 1), ("failed", 2)])
def test_jobs_are_filtered_by_each_state(bob: Visitor, state: str, jobs: int):
    assert f'href="/console/jobs?state={state}"' in bob.get("/console/jobs").text
    assert listed(bob, f"/console/jobs?state={state}") == jobs


def test_without_jobs_nothing_runs_waits_or_failed(bob: Visitor):
    notes = [found[2:] for found in TILE.findall(bob.get("/console/").text)][:2]

    assert notes == [("0", "none waits"), ("0", "nothing to look at")]
