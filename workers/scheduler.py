"""Fire standing duties: each tick once, however many schedulers run."""

import threading

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.limits import Limits
from pipelines.queue.processes import forget_silent
from pipelines.queue.schedule import fire_due
from pipelines.telemetry import get_logger

log = get_logger(__name__)

POLL_SECONDS = 5.0


def run_once(sessions: Sessions, limits: Limits) -> int:
    """Fire what is due and forget processes long gone; returns how many duties were fired here."""
    with scoped_transaction(sessions, SYSTEM) as session:
        forget_silent(session, hours=limits.processes_kept_hours)
        return fire_due(session, clock.now(session))


def run_forever(sessions: Sessions, stop: threading.Event, limits: Limits) -> None:
    """Look every few seconds until told to stop; outages are outlived."""
    while not stop.is_set():
        try:
            fired = run_once(sessions, limits)
            if fired:
                log.info("scheduler.fired", duties=fired)
        except Exception as fault:  # the scheduler outlives any outage of the database
            log.warning("scheduler.unwell", fault=type(fault).__name__)
        stop.wait(POLL_SECONDS)
