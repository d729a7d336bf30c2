"""Dead letters: spent work waits for a person, who tries it again or buries it, exactly once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.errors import NotFound
from pipelines.limits import DEFAULTS
from pipelines.queue import dead_letters
from pipelines.queue.dead_letters import InvalidTaskState, TwinWaiting
from pipelines.queue.defer import defer
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PURGE_KEYS, RETENTION
from pipelines.wiring import House
from tests.auditing import seal_all
from tests.canary import MARK
from tests.driving import drain, hasten, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.until import until
from tests.workers.tasks import change_task, put, task, wrapper_with


class Spent(Exception):
    """What the failing work of these tests raises; its text must show nowhere."""


def fail(*_anything: Any) -> None:
    raise Spent(f"{MARK}-4111")


def dead_task(house: House, **more: Any) -> UUID:
    """A task that really spent its attempts."""
    task_id = put(house, PURGE_KEYS, **more)
    wrapper_with(house, Handler(PURGE_KEYS, fail, attempts_max=1)).run(task_id, 1)
    assert task(house, task_id).state == "dead"
    return task_id


def replay(house: House, task_id: UUID) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        dead_letters.replay_dead_letter(session, task_id, actor_id=ACTOR, now=now)


def replay_all(house: House, kind: str | None = None, replays_max: int = 1_000) -> int:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return dead_letters.replay_all(
            session,
            kind=kind,
            actor_id=ACTOR,
            now=clock.now(session),
            limits=replace(DEFAULTS, replays_max=replays_max),
        )


def bury(house: House, task_id: UUID, reason: str = "the receiver is gone") -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        dead_letters.bury_dead_letter(
            session,
            task_id,
            reason=reason,
            actor_id=ACTOR,
            now=clock.now(session),
            limits=DEFAULTS,
        )


def listed(house: House, **asked: Any) -> list[Any]:
    filters: dict[str, Any] = {"state": None, "kind": None, "queue": None, "before": None}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return dead_letters.list_dead_letters(session, **(filters | {"limit": 50} | asked))


def audited(house: House) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in rows(
            house,
            "SELECT action, object_id, actor_id, detail FROM audit_entries "
            "WHERE object_kind = 'task' ORDER BY at, id",
        )
    ]


def test_spent_work_lies_dead_with_its_time_and_the_class_of_its_fault(house: House):
    task_id = dead_task(house)

    (letter,) = listed(house)

    assert (letter.id, letter.kind, letter.queue, letter.state) == (
        task_id,
        "purge_keys",
        "bulk",
        "dead",
    )
    assert (letter.attempts, letter.last_error) == (1, "Spent")
    assert letter.died_at >= letter.created_at


def test_a_replayed_task_has_all_its_attempts_again_and_is_done(house: House):
    task_id = dead_task(house)

    replay(house, task_id)

    again = task(house, task_id)
    assert (again.state, again.attempts, again.starts, again.died_at) == ("ready", 0, 0, None)
    assert again.due_in <= 0
    assert drain(house) == 1
    assert task(house, task_id) is None
    assert audited(house) == [("task.replayed", task_id, ACTOR, {"kind": "purge_keys"})]


def test_two_people_who_replay_at_once_replay_once(house: House):
    task_id = dead_task(house)
    together = threading.Barrier(2)
    refused: list[str] = []

    def one() -> None:
        together.wait()
        try:
            replay(house, task_id)
        except InvalidTaskState as refusal:
            refused.append(refusal.extra["state"])

    people = [threading.Thread(target=one) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()

    assert refused == ["ready"]
    assert len(audited(house)) == 1


def test_what_is_not_dead_is_neither_replayed_nor_buried(house: House):
    ready, buried = put(house, PURGE_KEYS), dead_task(house, dedupe_key="a")
    bury(house, buried)
    before = audited(house)

    for move in (replay, bury):
        for task_id, state in ((ready, "ready"), (buried, "buried")):
            with pytest.raises(InvalidTaskState) as refusal:
                move(house, task_id)
            assert refusal.value.extra == {"state": state}
        with pytest.raises(NotFound):
            move(house, uuid4())

    assert (task(house, ready).state, task(house, buried).state) == ("ready", "buried")
    assert audited(house) == before


def test_a_task_whose_twin_waits_is_not_replayed(house: House):
    task_id = dead_task(house, dedupe_key="hourly")
    twin = put(house, PURGE_KEYS, dedupe_key="hourly")

    with pytest.raises(TwinWaiting) as refusal:
        replay(house, task_id)

    assert refusal.value.extra == {"task_id": str(twin)}
    assert task(house, task_id).state == "dead"
    assert replay_all(house) == 0
    assert audited(house) == []


def test_all_of_a_kind_are_replayed_and_no_other(house: House):
    ours = [dead_task(house) for _ in range(3)]
    other = put(house, RETENTION)
    change_task(house, other, "state = 'dead', died_at = now(), last_error = 'Spent'")

    assert replay_all(house, kind="purge_keys") == 3

    assert [task(house, one).state for one in ours] == ["ready"] * 3
    assert task(house, other).state == "dead"
    assert audited(house) == [
        ("task.replayed_many", None, ACTOR, {"kind": "purge_keys", "count": 3})
    ]


def test_of_several_with_one_key_one_is_replayed(house: House):
    first = dead_task(house, dedupe_key="hourly")
    second = dead_task(house, dedupe_key="hourly")

    assert replay_all(house) == 1

    assert (task(house, first).state, task(house, second).state) == ("dead", "ready")


def test_a_twin_written_at_that_moment_keeps_back_one_and_not_the_others(house: House):
    """The replay waits for the twin's transaction, and begins again without its task."""
    with_twin = dead_task(house, dedupe_key="hourly")
    others = [dead_task(house), dead_task(house, dedupe_key="daily")]

    with ThreadPoolExecutor(1) as pool:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            now = clock.now(session)
            defer(session, PURGE_KEYS, args={}, now=now, dedupe_key="hourly")
            replayed = pool.submit(replay_all, house)
            until(lambda: replayed.done() or _is_waiting(session))
        count = replayed.result()

    assert count == 2
    assert task(house, with_twin).state == "dead"
    assert [task(house, one).state for one in others] == ["ready", "ready"]


def _is_waiting(session: Session) -> bool:
    """Whether somebody waits for this transaction's end."""
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    return session.execute(text(waits)).scalar_one() > 0


def test_a_replay_of_all_is_bounded_and_takes_the_longest_dead_first(house: House):
    ids = [dead_task(house) for _ in range(3)]

    assert replay_all(house, replays_max=2) == 2

    assert [task(house, one).state for one in ids] == ["ready", "ready", "dead"]


def test_what_is_buried_is_kept_for_a_month_and_then_forgotten(house: House):
    buried, dead = dead_task(house), dead_task(house)
    bury(house, buried)
    assert audited(house) == [
        ("task.buried", buried, ACTOR, {"kind": "purge_keys", "reason": "the receiver is gone"})
    ]

    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert dead_letters.forget_buried(session, clock.now(session)) == 0
    hasten(house)
    put(house, RETENTION)
    drain(house)

    assert task(house, buried) is None
    assert task(house, dead).state == "dead"


def test_ec122_a_kind_that_this_code_does_not_know_is_listed_and_not_rung(house: House):
    """EC-122: a task of newer or older code waits for the code that knows it."""
    task_id = dead_task(house)
    change_task(house, task_id, "kind = 'send_pigeon', queue = 'pigeons'")

    (letter,) = listed(house, queue="pigeons")
    replay(house, task_id)

    assert (letter.id, letter.kind) == (task_id, "send_pigeon")
    assert drain(house) == 0
    assert task(house, task_id).state == "ready"


def test_letters_are_filtered_and_paged_youngest_first(house: House):
    ids = [dead_task(house) for _ in range(3)]
    bury(house, ids[0])

    assert [row.id for row in listed(house)] == ids[::-1]
    assert [row.id for row in listed(house, state="dead")] == [ids[2], ids[1]]
    assert [row.id for row in listed(house, state="buried", kind="purge_keys")] == [ids[0]]
    assert [row.id for row in listed(house, before=ids[1], limit=1)] == [ids[0]]
    assert listed(house, kind="retention") == []


def test_a_tenant_s_task_is_audited_in_its_client_s_chain(house: House):
    """The agency belongs to the chain's name; without it the proof would look elsewhere."""
    seeded = seed(house, vendor=False)
    task_id = dead_task(house, tenant_id=seeded.client_id)

    replay(house, task_id)

    told = rows(house, "SELECT agency_id, client_id FROM audit_entries WHERE object_kind = 'task'")
    assert told == [(seeded.agency_id, seeded.client_id)]
    seal_all(house)
    assert_proven(house)
