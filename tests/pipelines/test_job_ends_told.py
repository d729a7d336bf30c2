"""Whoever listens hears of the end of every job, however it ended (EC-134)."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.books.accept_codes import accept_codes, listed_codes
from pipelines.jobs.control import cancel_job
from pipelines.jobs.kinds import OnError
from pipelines.jobs.schedule import reschedule
from pipelines.pools.accept_import import accept_import
from pipelines.provisioning.large import submit_large
from pipelines.wiring import House
from tests.booking import make_book
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.driving import cards_csv, drain, hasten, recipients_csv, rows, view
from tests.intake import options as card_options
from tests.pooling import accept as accept_people
from tests.pooling import make_pool as make_user_pool
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import ask_undo, served_job


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def act(house: House, verb: Callable[..., object], job_id: UUID, **more: object) -> None:
    """As the platform, whose scope sees the jobs of agencies and clients."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        verb(session, job_id, actor_id=ACTOR, now=clock.now(session), **more)


def told(house: House, job_id: UUID) -> list[tuple[str, int, int, int]]:
    """State, succeeded, failed and cancelled, as each event of the job's end says."""
    found = rows(
        house,
        "SELECT data FROM webhook_facts WHERE type = 'job.finished' AND object_id = :job "
        "ORDER BY number",
        job=job_id,
    )
    names = ("state", "succeeded", "failed", "cancelled")
    return [tuple(fact.data[name] for name in names) for fact in found]


def import_cards(house: House, seeded: Seeded, *, good: int, bad: int) -> UUID:
    content = cards_csv(good) + b"-,-,2020-13-45\n" * bad
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return accept_import(
            session,
            seeded.csv_pool,
            io.BytesIO(content),
            on_error=OnError.ABORT,
            force=False,
            file_name="cards.csv",
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id


def import_codes(house: House, seeded: Seeded, *, good: int, bad: int) -> UUID:
    codes = [f"GOOD-{n:04}" for n in range(good)] + ["X" * 200] * bad
    book_id = make_book(house, seeded)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return accept_codes(
            session,
            book_id,
            listed_codes(codes, OnError.ABORT),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id


def import_people(house: House, seeded: Seeded, *, good: int, bad: int) -> UUID:
    lines = [f"p{n}@example.com" for n in range(good)] + ["nobody"] * bad
    content = ("email\n" + "\n".join(lines) + "\n").encode()
    pool = make_user_pool(house, seeded)
    return accept_people(house, seeded, pool, content, makes=True).job_id


IMPORTS = pytest.mark.parametrize(
    "submit", [import_cards, import_codes, import_people], ids=lambda submit: submit.__name__
)
Import = Callable[..., UUID]


@IMPORTS
@pytest.mark.parametrize(
    ("bad", "end"), [(0, ("succeeded", 3, 0, 0)), (1, ("failed", 0, 1, 3))], ids=["good", "refused"]
)
def test_ec134_the_end_of_an_import_is_told(
    house: House, seeded: Seeded, submit: Import, bad: int, end: tuple[str, int, int, int]
) -> None:
    job_id = submit(house, seeded, good=3, bad=bad)

    drain(house)

    assert told(house, job_id) == [end]
    assert view(house, job_id)["state"] == end[0]
    assert_proven(house)


@IMPORTS
def test_ec134_an_import_cancelled_before_it_is_read_is_told(
    house: House, seeded: Seeded, submit: Import
) -> None:
    job_id = submit(house, seeded, good=3, bad=0)
    act(house, cancel_job, job_id)

    drain(house)

    assert told(house, job_id) == [("cancelled", 0, 0, 0)]
    assert_proven(house)


@IMPORTS
def test_an_import_waits_for_the_time_it_was_given(
    house: House, seeded: Seeded, submit: Import
) -> None:
    job_id = submit(house, seeded, good=3, bad=0)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        at = clock.now(session) + timedelta(days=1)
    act(house, reschedule, job_id, at=at, kinds=house.job_kinds, limits=house.limits)

    drain(house)
    waiting = view(house, job_id)["state"]
    hasten(house)
    drain(house)

    assert (waiting, view(house, job_id)["state"]) == ("queued", "succeeded")
    assert_proven(house)


def test_ec134_a_large_file_that_is_refused_is_told(house: House, seeded: Seeded) -> None:
    content = recipients_csv(2) + b"r9,not-an-address,Nobody,\n"
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = submit_large(
            session,
            card_options(seeded),
            io.BytesIO(content),
            sha256=hashlib.sha256(content).digest(),
            file_name=None,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id

    drain(house)

    assert told(house, job_id) == [("failed", 0, 0, 0)]
    assert_proven(house)


def kill_planners(house: House) -> None:
    """The next worker that takes the plan finds that its attempts are spent."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET starts = 3 WHERE kind = 'plan_job'"))


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["in vain", "cancelled"])
@pytest.mark.parametrize("kind", ["cards", "coupons"])
def test_ec121_an_undo_whose_plan_is_given_up_ends_and_is_told(
    house: House, seeded: Seeded, kind: str, is_cancelled: bool
) -> None:
    if kind == "cards":
        job_id = served_job(house, seeded, 2)
    else:
        pool, _people = make_pool(house, seeded, 2)
        job_id = distribute(house, seeded, options(pool, stocked_book(house, seeded, 2), 2))
        drain(house)
    undo_id = ask_undo(house, seeded, job_id).resource_id
    if is_cancelled:
        act(house, cancel_job, undo_id)
    kill_planners(house)

    drain(house)

    state = "cancelled" if is_cancelled else "failed"
    assert view(house, undo_id)["state"] == state
    assert told(house, undo_id) == [(state, 0, 0, 0)]
    assert_proven(house)
