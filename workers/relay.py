"""Ring due tasks on the broker: poll, mark, commit, then enqueue; any number may run."""

import threading
from collections.abc import Callable

import redis
from dramatiq import Broker

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.limits import Limits
from pipelines.queue.broker import remembers_epoch, ring
from pipelines.queue.ring import forget_rings, ring_due
from pipelines.telemetry import get_logger

log = get_logger(__name__)


def run_once(sessions: Sessions, broker: Broker, client: redis.Redis, limits: Limits) -> int:
    """One pass; returns how many doorbells went out. Raises if Redis cannot be reached.

    Redis is asked first: marking tasks as rung that cannot be rung would only delay them.
    """
    if not remembers_epoch(client):
        with scoped_transaction(sessions, SYSTEM) as session:
            again = forget_rings(session)
        log.warning("relay.epoch_lost", again=again)
    with scoped_transaction(sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=limits)
    return ring(broker, bells) if bells else 0


def run_forever(one_pass: Callable[[], int], stop: threading.Event, limits: Limits) -> None:
    """Pass after pass until told to stop; a failed pass is told once a change of state."""
    is_well = True
    while not stop.is_set():
        try:
            one_pass()
            if not is_well:
                log.info("relay.well_again")
            is_well = True
        except Exception as fault:  # the relay outlives any outage of its two servers
            if is_well:
                log.warning("relay.unwell", fault=type(fault).__name__)
            is_well = False
        stop.wait(limits.relay_poll_seconds if is_well else 1.0)
