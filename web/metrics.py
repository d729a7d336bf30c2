"""Count requests and show the state of jobs to Prometheus, asked of PostgreSQL at scrape time."""

import hmac
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
from web.front import EXTENSION, front
from web.guards import public

_JOBS = text("SELECT kind, state, count(*) AS jobs FROM jobs GROUP BY kind, state")
_ITEMS = text("""
SELECT sum(pending) AS pending, sum(running) AS running, sum(retrying) AS retrying,
    sum(succeeded) AS succeeded, sum(failed) AS failed, sum(skipped) AS skipped,
    sum(needs_review) AS needs_review, sum(cancelled) AS cancelled FROM chunks
""")
_TASKS = text("""
SELECT queue, state, count(*) AS tasks,
    extract(epoch FROM max(:now - run_after) FILTER (WHERE run_after <= :now)) AS oldest
FROM tasks GROUP BY queue, state
""")


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

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "unmatched"
        method = request.method if request.url_rule is not None else "other"
        requests.labels(route, method, str(response.status_code)).inc()
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
        if not (_is_loopback() or _has_secret(front().house.settings.cron_secret)):
            raise NotFound
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    registry.register(_Database(app))


class _Database(Collector):
    """Gauges of jobs, items and tasks; nothing is shown while the database does not answer."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        sessions: Sessions = self._app.extensions[EXTENSION].house.sessions
        reachable = GaugeMetricFamily("largesse_database_up", "1 while PostgreSQL answers.")
        try:
            families = _gauges(sessions)
        except SQLAlchemyError:
            reachable.add_metric([], 0)
            families = []
        else:
            reachable.add_metric([], 1)
        yield reachable
        yield from families


def _gauges(sessions: Sessions) -> list[Metric]:
    jobs = GaugeMetricFamily("largesse_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    items = GaugeMetricFamily("largesse_items", "Items by state.", labels=["state"])
    tasks = GaugeMetricFamily("largesse_tasks", "Tasks by queue.", labels=["queue", "state"])
    oldest = GaugeMetricFamily(
        "largesse_queue_oldest_seconds", "Age of the longest due task.", labels=["queue", "state"]
    )
    with scoped_transaction(sessions, SYSTEM) as session:
        for row in session.execute(_JOBS):
            jobs.add_metric([row.kind, row.state], row.jobs)
        for state, count in session.execute(_ITEMS).one()._mapping.items():
            items.add_metric([state], int(count or 0))
        for row in session.execute(_TASKS, {"now": clock.now(session)}):
            tasks.add_metric([row.queue, row.state], row.tasks)
            oldest.add_metric([row.queue, row.state], float(row.oldest or 0))
    return [jobs, items, tasks, oldest]


def _is_loopback() -> bool:
    """Behind a proxy on this host everybody would come from loopback; a proxy says it is one."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _has_secret(secret: str) -> bool:
    given = request.headers.get("Authorization", "")
    return bool(secret) and hmac.compare_digest(given.encode(), f"Bearer {secret}".encode())
