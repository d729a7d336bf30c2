"""The platform's pages of the engine: queues with their switch, dead letters, a job's timeline."""

import re
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of


@pytest.fixture
def operator(app: Flask, house: House) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def dead_task(house: House) -> UUID:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        task_id = defer(session, PURGE_KEYS, args={}, now=clock.now(session))
        session.execute(
            text(
                "UPDATE tasks SET state = 'dead', died_at = now(), last_error = 'Spent', "
                "attempts = 8 WHERE id = :id"
            ),
            {"id": task_id},
        )
    return task_id


def state_of(house: House, task_id: UUID) -> str:
    return str(rows(house, "SELECT state FROM tasks WHERE id = :id", id=task_id)[0].state)


def test_queues_show_their_workers_and_processes(operator: Visitor, house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO processes (id, name, host, pid, threads, busy, rate_per_second) "
                "VALUES (:id, 'bulk', 'h1', 77, 4, 3, 12.34)"
            ),
            {"id": new_id()},
        )

    page = operator.get("/console/queues").text

    assert "3 of 4" in page
    assert "12.3" in page
    assert "h1, 77" in page
    assert "No workers" in page
    assert "on the broker" in page


def test_a_silent_process_is_gone_and_replaced_once_a_younger_one_beats(
    operator: Visitor, house: House
):
    def beat(host: str, pid: int, started: str, beat: str) -> None:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(
                text(
                    "INSERT INTO processes (id, name, host, pid, threads, started_at, beat_at) "
                    "VALUES (:id, 'bulk', :host, :pid, 4, now() - CAST(:started AS interval), "
                    "now() - CAST(:beat AS interval))"
                ),
                {"id": new_id(), "host": host, "pid": pid, "started": started, "beat": beat},
            )

    def word(host: str, pid: int) -> str:
        line = page.partition(f"{host}, {pid}")[2]
        return re.sub(r"<[^>]+>", "", line.partition("<td>")[2].partition("</td>")[0])

    beat("h1", 1, "2 hours", "1 hour")
    beat("h1", 2, "1 hour", "0")
    beat("h2", 3, "2 hours", "1 hour")
    page = operator.get("/console/queues").text

    assert [word("h1", 1), word("h1", 2), word("h2", 3)] == ["Gone, replaced", "Running", "Gone"]
    assert len(re.findall(r"<td>[^<]+, \d\d:\d\d:\d\d UTC</td>", page)) == 3


def test_a_queue_is_paused_with_a_reason_and_resumed(operator: Visitor, house: House):
    asked = operator.send("/console/queues/bulk/pause", "/console/queues", reason=" ")
    operator.send("/console/queues/bulk/pause", "/console/queues", reason="quiet please")
    page = operator.get("/console/queues").text
    resumed = operator.send("/console/queues/bulk/resume", "/console/queues")

    assert (asked.status_code, "Say in a few words why" in asked.text) == (422, True)
    assert "quiet please, since" in page
    assert resumed.status_code == 303
    assert [row.paused_at for row in rows(house, "SELECT paused_at FROM queues")] == [None]


def test_a_dead_letter_is_replayed_or_buried_from_its_line(operator: Visitor, house: House):
    first, second = dead_task(house), dead_task(house)

    page = operator.get("/console/dead-letters").text
    operator.send(f"/console/dead-letters/{first}/replay", "/console/dead-letters")
    unsaid = operator.send(f"/console/dead-letters/{second}/bury", "/console/dead-letters")
    operator.send(
        f"/console/dead-letters/{second}/bury", "/console/dead-letters", reason="not needed"
    )

    assert page.count("Spent") == 2
    assert unsaid.status_code == 422
    assert (state_of(house, first), state_of(house, second)) == ("ready", "buried")
    assert str(second) in operator.get("/console/dead-letters?state=buried").text
    assert "Nothing is in this state" in operator.get("/console/dead-letters?state=dead").text


def test_all_dead_letters_are_replayed_at_once(operator: Visitor, house: House):
    ids = [dead_task(house) for _ in range(2)]

    operator.send("/console/dead-letters/replay", "/console/dead-letters")

    assert [state_of(house, one) for one in ids] == ["ready", "ready"]
    assert "No dead letters" in operator.get("/console/dead-letters").text


def test_support_sees_the_engine_without_its_switches(app: Flask, house: House):
    support = visitor_of(app, house, Role.PLATFORM_SUPPORT)
    dead_task(house)

    queues, letters = support.get("/console/queues").text, support.get("/console/dead-letters").text

    assert ("Spent" in letters, "Replay" in letters, ">Pause<" in queues) == (True, False, False)
    assert support.send("/console/queues/bulk/resume", "/console/queues").status_code == 403


def test_the_engine_is_no_tenants_business(bob: Visitor):
    assert bob.get("/console/queues").status_code == 403
    assert bob.get("/console/dead-letters").status_code == 403
    assert "/console/queues" not in bob.get("/console/").text


def test_the_job_page_tells_the_jobs_life(app: Flask, house: House):
    seeded = seed(house, vendor=False)
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job = submit(house, seeded, recipients_csv(2))
    for move in ("pause", "resume"):
        visitor.send(f"/console/jobs/{job}/{move}", f"/console/jobs/{job}/live")
    drain(house)

    page = visitor.get(f"/console/jobs/{job}").text
    life = page.partition('<h2 id="timeline">')[2]

    told = ["Submitted", "Paused", "Resumed", "Started", "Round 1 ended: finished with failures"]
    assert [life.index(words) for words in told] == sorted(life.index(words) for words in told)
    assert "system" in life


def test_what_a_job_waits_for_is_said_in_words(bob: Visitor, seeded: Seeded, house: House):
    job = submit(house, seeded, recipients_csv(1))
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET postponed_for = 'vendor_down'"))

    page = bob.get(f"/console/jobs/{job}").text

    assert "Waits now: the supplier does not answer well" in page
