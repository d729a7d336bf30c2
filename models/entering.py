"""Begin a transaction and take a scope in one trip: role, tenant ids, and what time it is."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
from sqlalchemy.engine import Connection

from models import clock, plain_text
from models.scope import Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def enter(connection: Connection, scope: Scope) -> datetime:
    """Begin, as the scope; the transaction's time. Raises `DBAPIError`.

    Of the scope nothing is a stranger's text: a role's name of ours, and two ids.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    sql = f"""{_begin(driver)}; SELECT set_config('role', '{scope.role.value}', true),
    set_config('app.agency_id', '{scope.agency_id or ""}', true),
    set_config('app.client_id', '{scope.client_id or ""}', true),
    (extract(epoch FROM {clock.SQL}) * 1000000)::bigint"""
    for told in connection.dispatch.before_cursor_execute:
        told(connection, None, sql, {}, None, False)
    try:
        answer = driver.pgconn.exec_(sql.encode())
        if answer.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(answer)
    except BaseException as fault:
        plain_text.fail(connection, sql, {}, None, fault)
    microseconds = int(answer.get_value(0, 3) or 0)
    return _EPOCH + timedelta(microseconds=microseconds)


def _begin(driver: "psycopg.Connection[Any]") -> str:
    """As the driver would begin: with the isolation that the connection was given."""
    words = ["BEGIN"]
    if driver.isolation_level is not None:
        words.append(f"ISOLATION LEVEL {driver.isolation_level.name.replace('_', ' ')}")
    if driver.read_only:
        words.append("READ ONLY")
    return " ".join(words)
