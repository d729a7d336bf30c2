"""Say whether this process lives and whether it can serve."""

from typing import Any

import redis
from flask import Flask, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from models.database import scoped_transaction
from models.schema import newest_revision
from models.scope import SYSTEM
from pipelines.queue.broker import redis_client
from pipelines.wiring import House
from web.front import front
from web.guards import public

REDIS_TIMEOUT_SECONDS = 0.25
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
        """503 without the database or with another schema; without Redis work is only slower."""
        body, status = readiness(front().house)
        return jsonify(body), status


def readiness(house: House) -> tuple[dict[str, Any], int]:
    """What can be reached, and the status to answer with."""
    database, schema = _database(house)
    doorbell = _doorbell(house)
    is_ready = database and schema
    status = "ok" if is_ready and doorbell else "degraded" if is_ready else "unavailable"
    checks = {"database": database, "schema": schema, "redis": doorbell}
    return {"status": status, "checks": checks}, 200 if is_ready else 503


def _database(house: House) -> tuple[bool, bool]:
    try:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            found = session.execute(_REVISION).scalar_one_or_none()
    except SQLAlchemyError:
        return False, False
    return True, found == newest_revision()


def _doorbell(house: House) -> bool:
    client = redis_client(house.settings.queue_url, socket_timeout=REDIS_TIMEOUT_SECONDS)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
