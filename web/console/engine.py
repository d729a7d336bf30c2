"""The engine's pages for the platform: queues with their switch, and dead letters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.tasks import TaskState
from pipelines.access.permissions import Permission, may
from pipelines.queue import dead_letters, pausing
from pipelines.queue.overview import ProcessSeen, QueueSeen
from web.console.formats import span
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.reasons import typed_reason
from web.console.typed import id_in
from web.front import front
from web.guards import permitted, principal
from web.queues_seen import look_at_engine

LETTERS_SHOWN = 50
NO_REASON = "Say in a few words why; it is kept in the audit log."
LETTER_STATES: Mapping[str, StateWords] = {
    TaskState.DEAD: StateWords("Dead", "alert", "bad"),
    TaskState.BURIED: StateWords("Buried", "stop", ""),
}


@dataclass(frozen=True, slots=True)
class QueueWords:
    """One queue as the page says it."""

    seen: QueueSeen
    state: StateWords
    oldest: str
    depth: int | None


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/queues", "queues", show_queues)
    console.add_url_rule("/queues/<name>/pause", "queue_pause", pause, methods=["POST"])
    console.add_url_rule("/queues/<name>/resume", "queue_resume", resume, methods=["POST"])
    console.add_url_rule("/dead-letters", "dead_letters", show_letters)
    console.add_url_rule("/dead-letters/replay", "letters_replay", replay_letters, methods=["POST"])
    console.add_url_rule(
        "/dead-letters/<uuid:task_id>/replay", "letter_replay", replay, methods=["POST"]
    )
    console.add_url_rule("/dead-letters/<uuid:task_id>/bury", "letter_bury", bury, methods=["POST"])


@permitted(Permission.QUEUES_READ)
def show_queues() -> Response:
    return _queues()


@permitted(Permission.QUEUES_CONTROL)
def pause(name: str) -> Response:
    """Stop a queue for a reason; without one the page asks again."""
    reason = typed_reason()
    if not reason:
        return _queues(wrong=NO_REASON, status=422)
    actor_id = principal().actor_id
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        pausing.pause_queue(session, name, reason=reason, actor_id=actor_id, now=now)
    return go(url_for("console.queues"))


@permitted(Permission.QUEUES_CONTROL)
def resume(name: str) -> Response:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        pausing.resume_queue(session, name, actor_id=principal().actor_id, now=now)
    return go(url_for("console.queues"))


@permitted(Permission.QUEUES_READ)
def show_letters() -> Response:
    return _letters()


@permitted(Permission.QUEUES_CONTROL)
def replay(task_id: UUID) -> Response:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        dead_letters.replay_dead_letter(session, task_id, actor_id=principal().actor_id, now=now)
    return go(url_for("console.dead_letters"))


@permitted(Permission.QUEUES_CONTROL)
def replay_letters() -> Response:
    """Replay all that are dead, as many as one request may."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        dead_letters.replay_all(
            session,
            kind=None,
            actor_id=principal().actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
    return go(url_for("console.dead_letters"))


@permitted(Permission.QUEUES_CONTROL)
def bury(task_id: UUID) -> Response:
    """Bury a task for a reason; without one the page asks again."""
    reason = typed_reason()
    if not reason:
        return _letters(wrong=NO_REASON, status=422)
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        dead_letters.bury_dead_letter(
            session,
            task_id,
            reason=reason,
            actor_id=principal().actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
    return go(url_for("console.dead_letters"))


def _queues(*, wrong: str | None = None, status: int = 200) -> Response:
    seen = look_at_engine()
    return page(
        "queues.html",
        title="Queues",
        section="queues",
        status=status,
        queues=[_queue_words(queue, seen.depth(queue.name)) for queue in seen.queues],
        processes=[(one, process_state(one, seen.processes)) for one in seen.processes],
        broker_answers=seen.depths is not None,
        may_control=may(principal().role, Permission.QUEUES_CONTROL),
        wrong=wrong,
    )


def _letters(*, wrong: str | None = None, status: int = 200) -> Response:
    chosen = request.args.get("state")
    state = chosen if chosen in LETTER_STATES else None
    before = id_in(request.args.get("before"))
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        rows = _read_letters(session, state, before)
    shown = rows[:LETTERS_SHOWN]
    older = None
    if len(rows) > LETTERS_SHOWN:
        older = url_for("console.dead_letters", state=state, before=shown[-1].id)
    return page(
        "dead_letters.html",
        title="Dead letters",
        section="dead-letters",
        status=status,
        letters=[(row, LETTER_STATES[row.state]) for row in shown],
        filters=[(value, words.word) for value, words in LETTER_STATES.items()],
        chosen=state,
        older=older,
        may_control=may(principal().role, Permission.QUEUES_CONTROL),
        wrong=wrong,
    )


def _read_letters(session: Session, state: str | None, before: UUID | None) -> list[Any]:
    return dead_letters.list_dead_letters(
        session, state=state, kind=None, queue=None, before=before, limit=LETTERS_SHOWN + 1
    )


def _queue_words(queue: QueueSeen, depth: int | None) -> QueueWords:
    if queue.pause is not None:
        state = StateWords("Paused", "pause", "warn")
    elif queue.workers == 0:
        state = StateWords("No workers", "alert", "bad" if queue.ready else "")
    else:
        state = StateWords("Running", "play", "good")
    oldest = "–" if queue.oldest_due_seconds is None else span(queue.oldest_due_seconds)
    return QueueWords(queue, state, oldest, depth)


def process_state(process: ProcessSeen, others: Iterable[ProcessSeen]) -> StateWords:
    """A process in words; one that fell silent is gone, and replaced if a younger one beats."""
    if not process.is_alive:
        if any(_replaces(other, process) for other in others):
            return StateWords("Gone, replaced", "skip", "plain")
        return StateWords("Gone", "alert", "bad")
    if process.trouble is not None:
        return StateWords(process.trouble, "alert", "warn")
    if process.state == "draining":
        return StateWords("Ending", "clock", "info")
    return StateWords("Running", "play", "good")


def _replaces(other: ProcessSeen, gone: ProcessSeen) -> bool:
    is_same = (other.name, other.host) == (gone.name, gone.host)
    return other.is_alive and is_same and other.started_at > gone.started_at
