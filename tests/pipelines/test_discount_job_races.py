"""Jobs that make discount codes beside others who make the same ones (EC-027, EC-028)."""

import csv
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState
from models.scope import client
from pipelines.books.patterns import Pattern
from pipelines.discounts.accept_codes import accept_codes
from pipelines.discounts.batches import move_batch
from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import OnError
from pipelines.wiring import House
from tests.discounting import lay_discounts
from tests.driving import drain, hasten, rows, view
from tests.pipelines.test_discount_generation import counted, drawing, made
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.until import until

NARROW = Pattern("", 4, "0123456789ABCDEFGHJK", "")


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def upload(house: House, seeded: Seeded, codes: list[str], on_error: OnError) -> UUID:
    text_of_file = io.StringIO()
    write = csv.writer(text_of_file)
    write.writerow(("code", "kind", "percent_bp"))
    write.writerows((code, "percent", 1000) for code in codes)
    file = CodesFile(io.BytesIO(text_of_file.getvalue().encode()), on_error)
    tools: dict[str, Any] = {"keyring": house.settings.keyring, "limits": house.limits}
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return accept_codes(
            session, seeded.client_id, file, actor_id=ACTOR, key=None, **tools
        ).job_id


def waits_for_somebody(house: House) -> bool:
    """Whether a transaction waits for another one."""
    with house.sessions.kw["bind"].connect() as connection:
        waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        return bool(waiting.scalar_one())


def beside(house: House, work: Callable[[], Any], statement: str, **values: Any) -> None:
    """Do the work while a transaction that ran the statement is open; it ends once the work waits."""
    with ThreadPoolExecutor(1) as pool, house.sessions.kw["bind"].connect() as connection:
        with connection.begin():
            connection.execute(text("SET LOCAL ROLE largesse_system"))
            connection.execute(text(statement), values)
            done = pool.submit(work)
            until(lambda: done.done() or waits_for_somebody(house))
        done.result()


def test_ec028_two_jobs_that_draw_the_same_codes_make_exactly_as_many(
    house: House, seeded: Seeded
) -> None:
    """EC-028: two workers at once in a narrow space; what meets in a circle is tried again."""
    jobs = [lay_discounts(house, seeded, NARROW, 800, size=200) for _ in range(2)]

    def work(_n: int) -> None:
        drain(house)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    while any("pending" in counted(house, job) for job in jobs):
        hasten(house)
        drain(house)

    codes = [row.code for job in jobs for row in made(house, job)]
    assert (len(codes), len(set(codes))) == (1_600, 1_600)
    assert [counted(house, job) for job in jobs] == [{"succeeded": 800}] * 2
    assert_proven(house)


@pytest.mark.parametrize("on_error", list(OnError))
def test_ec027_a_code_that_is_made_while_its_row_is_worked_in_is_told(
    house: House, seeded: Seeded, on_error: OnError
) -> None:
    """EC-027: looked for, not found, and taken before it is written."""
    job_id = upload(house, seeded, ["FREE1", "TAKEN"], on_error)
    tenant = {"agency": seeded.agency_id, "client": seeded.client_id}

    beside(
        house,
        lambda: drain(house),
        "INSERT INTO discount_codes (id, agency_id, client_id, code, created_by) "
        "VALUES (gen_random_uuid(), :agency, :client, 'TAKEN', :client)",
        **tenant,
    )

    items = rows(house, "SELECT position, code FROM items WHERE job_id = :job", job=job_id)
    assert [tuple(row) for row in items] == [(2, "code_exists")]
    kept = [row.code for row in made(house, job_id)]
    assert kept == (["FREE1"] if on_error is OnError.SKIP else [])
    ends = {OnError.SKIP: "partially_succeeded", OnError.ABORT: "failed"}
    assert view(house, job_id)["state"] == ends[on_error]


def test_s2_131_a_batch_is_paused_while_a_chunk_makes_codes(house: House, seeded: Seeded) -> None:
    """The move waits for the chunk, and reaches what it made; later chunks begin paused."""
    job_id = lay_discounts(house, seeded, NARROW, 40, size=20)
    moved = 0

    def pause() -> None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            move_batch(session, job_id, CodeState.PAUSED, actor_id=ACTOR, now=clock.now(session))

    with ThreadPoolExecutor(1) as pool:
        pending: list[Any] = []

        def pause_beside(count: int) -> bytes:
            nonlocal moved
            moved += 1
            if moved == 1:
                pending.append(pool.submit(pause))
                until(lambda: pending[0].done() or waits_for_somebody(house))
            return os.urandom(count)

        drain(drawing(house, pause_beside))
        pending[0].result()

    assert {row.state for row in made(house, job_id)} == {"paused"}
    assert counted(house, job_id) == {"succeeded": 40}
    assert_proven(house)
