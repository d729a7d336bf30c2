"""One Dramatiq actor per task kind, made from the catalogue; an actor only calls the wrapper."""

from uuid import UUID

from dramatiq import Actor, Broker

from pipelines.queue.kinds import ALL, TaskKind
from workers.wrapper import Wrapper

#: Longer than any work: the wrapper's own deadlines end work, this ends a runaway.
TIME_LIMIT_MILLISECONDS = 10 * 60 * 1000


def bind(broker: Broker, wrapper: Wrapper) -> list[Actor[..., None]]:
    """Declare every actor of the catalogue on the broker."""
    return [_bind_one(broker, wrapper, kind) for kind in ALL.values()]


def _bind_one(broker: Broker, wrapper: Wrapper, kind: TaskKind) -> Actor[..., None]:
    def ring(task_id: str, v: int) -> None:
        wrapper.run(UUID(task_id), v)

    return Actor(
        ring,
        broker=broker,
        actor_name=kind.name,
        queue_name=kind.queue.value,
        priority=0,
        options={"time_limit": TIME_LIMIT_MILLISECONDS},
    )
