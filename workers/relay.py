"""Ring due tasks on the broker: poll, mark, commit, then enqueue; any number may run."""

import threading
from collections.abc import Callable

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.limits import Limits
from pipelines.queue.broker_port import BrokerAway, HouseBroker
from pipelines.queue.kinds import Queue
from pipelines.queue.ring import forget_rings, ring_due
from pipelines.telemetry import get_logger

log = get_logger(__name__)

UNWELL_WAIT_SECONDS = 1.0

#: Told at each change: the class of the fault that keeps the relay from its work, or None.
OnState = Callable[[str | None], None]


def run_once(sessions: Sessions, broker: HouseBroker, limits: Limits) -> int:
    """One pass; returns how many doorbells went out. Raises `BrokerAway` if not all did.

    The broker is asked first: marking tasks as rung that cannot be rung would only delay them.
    A queue that nobody empties gets no more doorbells.
    """
    if not broker.remembers_epoch():
        with scoped_transaction(sessions, SYSTEM) as session:
            again = forget_rings(session)
        broker.mark_epoch()
        log.warning("relay.epoch_lost", again=again)
    queues = [queue for queue in Queue if broker.depth(queue.value) < limits.broker_depth_max]
    with scoped_transaction(sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=limits, queues=queues)
    return broker.send(bells) if bells else 0


def run_forever(
    one_pass: Callable[[], int],
    stop: threading.Event,
    limits: Limits,
    on_state: OnState = lambda _trouble: None,
) -> None:
    """Pass after pass until told to stop; what is wrong is told when it changes."""
    before: str | None = None
    while not stop.is_set():
        trouble = _trouble_of(one_pass)
        if trouble != before:
            _tell(trouble)
            on_state(trouble)
        before = trouble
        stop.wait(UNWELL_WAIT_SECONDS if trouble else limits.relay_poll_seconds)


def _trouble_of(one_pass: Callable[[], int]) -> str | None:
    try:
        one_pass()
    except BrokerAway as away:
        return away.reason
    except Exception as fault:  # the relay outlives any outage of its two servers
        return type(fault).__name__
    return None


def _tell(trouble: str | None) -> None:
    if trouble is None:
        log.info("relay.well_again")
    else:
        log.warning("relay.unwell", fault=trouble)
