"""Endpoints of tests: made, driven through time, and what their receiver was told."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.limits import Limits
from pipelines.queue import kinds
from pipelines.queue.handlers import Handler, Handlers
from pipelines.webhooks.catalogue import JOB_FINISHED
from pipelines.webhooks.endpoints import Place, Wanted, make_endpoint
from pipelines.webhooks.happened import Event, happened
from pipelines.webhooks.send import Courier, courier, send_events
from pipelines.webhooks.signing import secret_of
from pipelines.wiring import House, build_handlers
from tests.driving import drain, rows
from tests.seeding import ACTOR, Seeded
from tests.vendor import Sandbox
from workers.wrapper import Wrapper

EVERYTHING = Place(None, None)


def endpoint(
    house: House,
    sandbox: Sandbox,
    *,
    place: Place = EVERYTHING,
    events: list[str] | None = None,
    name: str = "hook",
) -> UUID:
    """An endpoint at the sandbox's receiver of this name."""
    wanted = Wanted(f"{sandbox.url}/receiver/{name}", "A test's", events)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return make_endpoint(session, wanted, place, actor_id=ACTOR, anywhere=True)


def job_ended(house: House, seeded: Seeded, job_id: UUID | None = None) -> UUID:
    """The fact that a job of the tenant ended; the job's id."""
    job_id = job_id or new_id()
    data: dict[str, Any] = dict.fromkeys(JOB_FINISHED.facts, 0) | {"state": "succeeded"}
    event = Event(JOB_FINISHED, job_id, seeded.agency_id, seeded.client_id, data)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        happened(session, event, now=clock.now(session))
    return job_id


def worker(house: House, *, by: Courier | None = None, limits: Limits | None = None) -> Wrapper:
    """The real worker, with another courier if one is given; chance takes nothing away."""
    limits = limits or house.limits
    by = by or courier(key=house.webhook_key, anywhere=True, limits=limits, draw=lambda: 0.0)
    handlers = build_handlers(house)
    sending = Handler(kinds.SEND_EVENTS, partial(send_events, courier=by))
    named = handlers.by_name | {kinds.SEND_EVENTS.name: sending}
    return Wrapper(house.sessions, Handlers(named, house.limits), draw=random.random)


def quick(house: House) -> Limits:
    """Limits under which a call that hangs is over soon."""
    return replace(house.limits, webhook_call_seconds=0.3)


def publish(house: House, *, wrapper: Wrapper | None = None) -> None:
    """The duty fires, and all that is due is sent."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("""INSERT INTO tasks (id, kind, args, queue, lane, run_after, v)
                VALUES (gen_random_uuid(), 'publish_events', '{}', 'interactive', 'system', :now, 2)"""),
            {"now": clock.now(session)},
        )
    drain(house, wrapper=wrapper or worker(house))


def later(house: House, interval: str) -> None:
    """Move all that webhooks wait for, and all that they remember, into the past."""
    for statement in (
        "UPDATE webhook_deliveries SET next_at = next_at - CAST(:by AS interval)",
        """UPDATE webhook_endpoints SET failing_since = failing_since - CAST(:by AS interval),
            old_secret_until = old_secret_until - CAST(:by AS interval),
            rests_until = rests_until - CAST(:by AS interval)""",
        "UPDATE tasks SET run_after = run_after - CAST(:by AS interval), rung_at = NULL",
    ):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(text(statement), {"by": interval})


def told(sandbox: Sandbox, name: str = "hook") -> list[dict[str, Any]]:
    """The events that a receiver took, repeats included, the oldest first."""
    return [json.loads(body) for _headers, body in sandbox.received(name)]


def secret(house: House, endpoint_id: UUID, version: int = 1) -> str:
    return secret_of(endpoint_id, version, key=house.webhook_key)


def verified(headers: dict[str, str], body: bytes, secret: str, *, now: datetime) -> bool:
    """What docs/webhooks.md tells a receiver to do."""
    parts = [part.split("=", 1) for part in headers["x-signature"].split(",")]
    (stamp,) = (value for name, value in parts if name == "t")
    mine = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    is_fresh = abs(now.timestamp() - int(stamp)) <= 300
    return is_fresh and any(
        hmac.compare_digest(mine, value) for name, value in parts if name == "v1"
    )


def now(house: House) -> datetime:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return clock.now(session)


def acted(house: House, verb: Callable[..., Any], *args: Any) -> Any:
    """A person's act, at the time that the database says."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return verb(session, *args, actor_id=ACTOR, now=clock.now(session))


def change(house: House, what: str, ids: list[UUID]) -> None:
    """Make endpoints what a test needs them to be."""
    rows(house, f"UPDATE webhook_endpoints SET {what} WHERE id = ANY(:ids) RETURNING 1", ids=ids)


def deliveries(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM webhook_deliveries ORDER BY id")


def endpoint_now(house: House, endpoint_id: UUID) -> Any:
    (row,) = rows(house, "SELECT * FROM webhook_endpoints WHERE id = :id", id=endpoint_id)
    return row
