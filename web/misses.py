"""Count bearer codes that nobody has, block who guesses, and notice when many do (EC-029, SEC-19).

The counts are in Redis, and may be lost with it: codes are long, and the tries at what is short,
a recipient's address for one card, are counted in PostgreSQL.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import cast

from flask import Flask, Response, after_this_request, current_app, g
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.access.misses import ALARM_SECONDS, BLOCK, DOUBT_FROM, SEEN, is_unusual
from pipelines.access.rate_policies import HOUR, Policy, Rule
from pipelines.errors import NotFound
from pipelines.telemetry import get_logger
from web.front import front
from web.rate_limits import RateLimited, rates

log = get_logger(__name__)
EXTENSION = "largesse.misses"


@dataclass(slots=True)
class Misses:
    """What this process knows of guessing everywhere."""

    total: int = 0
    #: Monotonic; the alarm stands until then.
    alarm_until: float = 0.0

    @property
    def is_alarmed(self) -> bool:
        return time.monotonic() < self.alarm_until


def register_misses(app: Flask) -> None:
    app.extensions[EXTENSION] = Misses()


def misses() -> Misses:
    """The state of the app that serves this request."""
    return cast("Misses", current_app.extensions[EXTENSION])


@contextmanager
def looking_up(code: str, *, told: Callable[[], None] | None = None) -> Iterator[None]:
    """Look for a bearer code in the block: `NotFound` is a miss, whatever the reason.

    `told` is done after the answer to the first miss of this caller with this code has gone: the
    time that the answer takes says nothing of it. Raises `RateLimited` for who missed too often,
    before anything is looked for.
    """
    rule, subject = _counted_by()
    _refuse_blocked(rule, subject)
    try:
        yield
    except NotFound:
        is_new = _note(rule, subject, code)
        if is_new and told is not None:
            do_after_answer(told)
        raise


def has_missed_often() -> bool:
    """Whether this caller missed so often within the hour that a person is asked for."""
    rule, subject = _counted_by()
    return rates().windows.look(rule, subject).remaining <= rule.quota - DOUBT_FROM


def _counted_by() -> tuple[Rule, str]:
    """A stranger's misses count against the network, a credential's against the credential."""
    counters = rates()
    by_network, by_credential = counters.table[Policy.MISS]
    rule = by_network if g.get("principal") is None else by_credential
    return rule, counters.subject(rule, None)


def _refuse_blocked(rule: Rule, subject: str) -> None:
    counters = rates()
    block = counters.windows.look(BLOCK, subject)
    is_denied = (
        g.get("principal") is None
        and front().house.settings.edge.miss_alarm == "deny"
        and misses().is_alarmed
    )
    if is_denied or not block.is_allowed:
        counters.note_refused(rule.name)
        raise RateLimited(BLOCK.seconds if is_denied else block.seconds)


def _note(rule: Rule, subject: str, code: str) -> bool:
    """Count the miss; whether it is the first with this code, as far as is known."""
    windows, state = rates().windows, misses()
    state.total += 1
    is_new = (
        g.get("principal") is None
        or windows.hit(SEEN, rates().digest(f"{subject}:{code}")).is_allowed
    )
    if is_new and not windows.hit(rule, subject).is_allowed:
        windows.hit(BLOCK, subject)
        log.warning("misses.blocked", limit=rule.name, seconds=BLOCK.seconds)
    _watch(state)
    return is_new


def do_after_answer(told: Callable[[], None]) -> None:
    """Do it when the answer has gone: the time that the answer takes says nothing of it."""
    # What the request knows of its caller is gone by then, but for a copy.
    context = copy_context()

    def tell() -> None:
        try:
            context.run(told)
        except Exception as fault:  # the answer has gone, and nobody can be told
            log.error("misses.untold", fault=type(fault).__name__)

    @after_this_request
    def then(response: Response) -> Response:
        response.call_on_close(tell)
        return response


def _watch(state: Misses) -> None:
    this_hour, *earlier = rates().windows.tally(int(time.time() // HOUR))
    if not is_unusual(this_hour, earlier):
        return
    if not state.is_alarmed:
        log.error("misses.unusual", this_hour=this_hour, earlier=sum(earlier))
    state.alarm_until = time.monotonic() + ALARM_SECONDS


class MissMetrics(Collector):
    """How much is guessed, and whether that is unusual."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def collect(self) -> Iterable[Metric]:
        state: Misses = self._app.extensions[EXTENSION]
        total = CounterMetricFamily("largesse_misses", "Bearer codes asked for that nobody has.")
        total.add_metric([], state.total)
        alarm = GaugeMetricFamily("largesse_miss_alarm", "1 while misses are five times the usual.")
        alarm.add_metric([], 1 if state.is_alarmed else 0)
        return [total, alarm]
