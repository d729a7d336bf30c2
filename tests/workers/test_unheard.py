"""A start whose COMMIT reply was lost is no death; a death is never taken back (EC-036, EC-121)."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER, PURGE_KEYS, TaskKind
from pipelines.queue.unheard import take_back
from pipelines.queue.work import TaskInHand, start
from pipelines.wiring import House
from tests.chaos.proxy import Proxy
from tests.unheard import house_through_proxy
from tests.workers.tasks import change_task, put, task, wrapper_with
from workers.wrapper import Wrapper

_START = "starts = starts + 1"
TENANT = UUID(int=7)


@pytest.fixture
def through(house: House) -> Iterator[tuple[House, Proxy]]:
    with house_through_proxy(house) as made:
        yield made


def noting(house: House, done: list[UUID]) -> Wrapper:
    """Does what it is given by noting it; stepped work is left as it is."""

    def run(_session: object, in_hand: TaskInHand, _now: object = None) -> None:
        done.append(in_hand.id)

    return wrapper_with(house, Handler(PURGE_KEYS, run), Handler(PLACE_ORDER, run))


def started(house: House, task_id: UUID, *, kind: TaskKind = PURGE_KEYS) -> TaskInHand:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return started_in(session, task_id, kind=kind)


def started_in(session: object, task_id: UUID, *, kind: TaskKind = PURGE_KEYS) -> TaskInHand:
    leases = {PLACE_ORDER.name: timedelta(seconds=60)}
    now = clock.now(session)
    found = start(session, task_id, now=now, known={kind.name}, leases=leases, alone=True)
    assert found is not None
    return found


def taken_back(house: House, in_hand: TaskInHand) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return take_back(session, in_hand)


@pytest.mark.parametrize("kind", [PURGE_KEYS, PLACE_ORDER])
def test_ec036_a_start_committed_unheard_does_not_count(
    house: House, through: tuple[House, Proxy], kind: TaskKind
) -> None:
    """EC-036: it is to be rung again at once, and whoever comes next finds no suspect."""
    beyond, proxy = through
    done: list[UUID] = []
    task_id = put(house, kind, tenant_id=TENANT)
    change_task(house, task_id, "rung_at = now()")
    proxy.obey(commits_after=_START, commits_left=1)

    noting(beyond, done).run(task_id, 1)

    assert (done, proxy.obey()["commits_lost"]) == ([], 1)
    row = task(house, task_id)
    assert (row.starts, row.lease_until, row.rung_at) == (0, None, None)
    noting(house, done).run(task_id, 1)
    assert done == [task_id]


def test_ec036_while_the_database_is_away_the_process_remembers(
    house: House, through: tuple[House, Proxy]
) -> None:
    """EC-036: whatever it takes in hand next, it first takes its unheard start back."""
    beyond, proxy = through
    done: list[UUID] = []
    wrapper = noting(beyond, done)
    unheard, other = put(house, PURGE_KEYS), put(house, PURGE_KEYS)
    wrapper._unheard.note(started(house, unheard))
    proxy.obey(refuse=True)
    wrapper.run(other, 1)
    assert task(house, unheard).starts == 1
    proxy.obey()

    wrapper.run(other, 1)

    assert done == [other]
    assert task(house, unheard).starts == 0


def test_ec036_a_start_that_was_undone_takes_no_other_s_death_back(house: House) -> None:
    """EC-121: another's start of the same count, which died, looks the same but for its id."""
    task_id = put(house, PURGE_KEYS)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        undone = started_in(session, task_id)
        session.rollback()
    dead = started(house, task_id)
    assert (dead.starts, dead.token) == (undone.starts, undone.token)

    assert taken_back(house, undone) is True

    assert task(house, task_id).starts == 1


def test_ec121_a_death_since_then_still_counts(house: House) -> None:
    """EC-121: of two starts the unheard one is taken back, however often it is asked for."""
    task_id = put(house, PURGE_KEYS)
    unheard = started(house, task_id)
    started(house, task_id)

    assert [taken_back(house, unheard), taken_back(house, unheard)] == [True, True]

    assert task(house, task_id).starts == 1


def test_ec118_a_lease_in_newer_hands_is_left_alone(house: House) -> None:
    """EC-118: the newer holder's lease does not end because of an old start."""
    task_id = put(house, PLACE_ORDER, tenant_id=TENANT)
    unheard = started(house, task_id, kind=PLACE_ORDER)
    change_task(house, task_id, "lease_until = now()")
    started(house, task_id, kind=PLACE_ORDER)

    assert taken_back(house, unheard) is True

    row = task(house, task_id)
    assert (row.starts, row.lease_token, row.lease_until is None) == (2, 2, False)


def test_a_row_that_is_held_is_asked_about_again(house: House) -> None:
    """Somebody works on it now; what becomes of that is known later."""
    task_id = put(house, PURGE_KEYS)
    unheard = started(house, task_id)
    holder = house.sessions.kw["bind"].connect()
    holder.exec_driver_sql("SET ROLE largesse_system")
    holder.exec_driver_sql(f"SELECT 1 FROM tasks WHERE id = '{task_id}' FOR UPDATE")

    assert taken_back(house, unheard) is False
    holder.rollback()
    holder.close()
    assert taken_back(house, unheard) is True

    assert task(house, task_id).starts == 0
