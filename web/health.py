"""Say whether this process lives and whether it can serve."""

from contextlib import suppress
from typing import Any

from flask import Flask, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from models.database import scoped_transaction
from models.schema import newest_revision
from models.scope import SYSTEM
from pipelines.queue.broker_port import BrokerAway
from pipelines.wiring import House
from web.front import Front, front
from web.guards import public

_REVISION = text("SELECT version_num FROM alembic_version")


def register_health(app: Flask) -> None:
    """Register `/health`, `/healthz` and `/readyz`."""

    @app.get("/health", endpoint="health")
    @app.get("/healthz", endpoint="healthz")
    @public
    def alive() -> Response:
        """The process answers; nothing else is asked."""
        return jsonify({"status": "ok"})

    @app.get("/readyz")
    @public
    def ready() -> tuple[Response, int]:
        """503 without the database or with another schema; without the broker work only waits."""
        body, status = readiness(front())
        return jsonify(body), status


def readiness(asked: Front) -> tuple[dict[str, Any], int]:
    """What can be reached, and the status to answer with."""
    database, schema = _database(asked.house)
    broker = _broker(asked)
    is_ready = database and schema
    status = "ok" if is_ready and broker else "degraded" if is_ready else "unavailable"
    checks = {"database": database, "schema": schema, "broker": broker}
    return {"status": status, "checks": checks}, 200 if is_ready else 503


def _database(house: House) -> tuple[bool, bool]:
    """Asked a second time: the first may only find out that a kept connection has died."""
    for _ in range(2):
        with (
            suppress(SQLAlchemyError),
            scoped_transaction(house.sessions, SYSTEM) as session,
        ):
            found = session.execute(_REVISION).scalar_one_or_none()
            return True, found == newest_revision()
    return False, False


def _broker(asked: Front) -> bool:
    try:
        asked.lookout.ping()
    except BrokerAway:
        return False
    return True
