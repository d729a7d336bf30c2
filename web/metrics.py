"""Count requests and show the state of jobs to Prometheus, asked of PostgreSQL at scrape time."""

import ipaddress
import time
from collections.abc import Iterable, Iterator

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.errors import NotFound
from pipelines.limits import Limits
from pipelines.queue.overview import QueueSeen, look_at_queues
from pipelines.wiring import House
from web.coupon_metrics import coupon_families, lock_families
from web.cron_secret import has_cron_secret
from web.front import EXTENSION
from web.guards import public
from web.misses import MissMetrics
from web.rate_limits import RateMetrics

_JOBS = text("SELECT kind, state, count(*) AS jobs FROM jobs GROUP BY kind, state")
_QUEUE_GAUGES = {
    "oldest_seconds": "Age of the longest due task.",
    "paused": "1 while an operator has stopped the queue.",
    "workers": "Living processes that serve the queue.",
    "threads": "Their threads.",
    "busy": "Their threads that work just now.",
    "rate_per_second": "Tasks done per second over the last minute.",
}
_ITEMS = text("""
SELECT sum(pending) AS pending, sum(running) AS running, sum(retrying) AS retrying,
    sum(succeeded) AS succeeded, sum(failed) AS failed, sum(skipped) AS skipped,
    sum(needs_review) AS needs_review, sum(cancelled) AS cancelled FROM chunks
""")

# SEC-14: what did not open for the processes that live, since each of them began.
_UNOPENED = text("SELECT name, sum(unopened) AS unopened FROM processes GROUP BY name")


def register_metrics(app: Flask) -> None:
    """Count every request by route template, and register `/metrics`."""
    registry = CollectorRegistry()
    requests = Counter(
        "largesse_requests",
        "Requests by route template, method and status.",
        ["route", "method", "status"],
        registry=registry,
    )
    seconds = Histogram(
        "largesse_request_seconds",
        "Time to the first byte by route template.",
        ["route"],
        registry=registry,
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    )
    problems = Counter(
        "largesse_problems",
        "Refusals and faults that were answered, by route template and code.",
        ["route", "code"],
        registry=registry,
    )

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "unmatched"
        method = request.method if request.url_rule is not None else "other"
        requests.labels(route, method, str(response.status_code)).inc()
        if (code := g.get("problem_code")) is not None:
            problems.labels(route, code).inc()
        if (began := g.get("began")) is not None:
            seconds.labels(route).observe(max(0.0, time.perf_counter() - began))
        return response

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.get("/metrics")
    @public
    def metrics() -> Response:
        """For loopback, or with the cron secret; for others the page does not exist."""
        if not (_is_loopback() or has_cron_secret()):
            raise NotFound
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    registry.register(_Database(app))
    registry.register(RateMetrics(app))
    registry.register(MissMetrics(app))


class _Database(Collector):
    """Gauges of jobs, items and tasks; nothing is shown while the database does not answer."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        house: House = self._app.extensions[EXTENSION].house
        reachable = GaugeMetricFamily("largesse_database_up", "1 while PostgreSQL answers.")
        try:
            families = _gauges(house.sessions, house.limits)
        except SQLAlchemyError:
            reachable.add_metric([], 0)
            families = []
        else:
            reachable.add_metric([], 1)
        yield reachable
        yield from families


def _gauges(sessions: Sessions, limits: Limits) -> list[Metric]:
    jobs = GaugeMetricFamily("largesse_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    items = GaugeMetricFamily("largesse_items", "Items by state.", labels=["state"])
    unopened = GaugeMetricFamily(
        "largesse_decryption_failed", "Sealed values that did not open.", labels=["process"]
    )
    with scoped_transaction(sessions, SYSTEM) as session:
        for row in session.execute(_JOBS):
            jobs.add_metric([row.kind, row.state], row.jobs)
        for state, count in session.execute(_ITEMS).one()._mapping.items():
            items.add_metric([state], int(count or 0))
        for row in session.execute(_UNOPENED):
            unopened.add_metric([row.name], int(row.unopened))
        queues = look_at_queues(session, now=clock.now(session), limits=limits)
        coupons, locks = coupon_families(session), lock_families(session)
    return [jobs, items, unopened, *_queue_gauges(queues), *coupons, *locks]


def _queue_gauges(queues: list[QueueSeen]) -> list[Metric]:
    tasks = GaugeMetricFamily("largesse_tasks", "Tasks by queue.", labels=["queue", "state"])
    named = {
        name: GaugeMetricFamily(f"largesse_queue_{name}", said, labels=["queue"])
        for name, said in _QUEUE_GAUGES.items()
    }
    for queue in queues:
        for state in ("due", "scheduled", "in_hand", "dead"):
            tasks.add_metric([queue.name, state], getattr(queue, state))
        named["oldest_seconds"].add_metric([queue.name], queue.oldest_due_seconds or 0.0)
        named["paused"].add_metric([queue.name], queue.pause is not None)
        for name in ("workers", "threads", "busy", "rate_per_second"):
            named[name].add_metric([queue.name], getattr(queue, name))
    return [tasks, *named.values()]


def _is_loopback() -> bool:
    """Behind a proxy on this host everybody would come from loopback; a proxy says it is one."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
