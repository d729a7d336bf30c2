"""Begin a transaction and take a scope in one trip: role, tenant ids, and what time it is."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
from sqlalchemy.engine import Connection

from models import clock, plain_text
from models.scope import Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTER = f"""BEGIN{{how}}; SELECT set_config('role', '{{role}}', true),
    set_config('app.agency_id', '{{agency_id}}', true),
    set_config('app.client_id', '{{client_id}}', true),
    (extract(epoch FROM {clock.SQL}) * 1000000)::bigint"""


def enter(connection: Connection, scope: Scope) -> datetime:
    """Begin, as the scope; the transaction's time. Raises `DBAPIError`.

    Of the scope nothing is a stranger's text: a role's name of ours, and two ids.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    sql = _ENTER.format(
        how=_isolation(driver),
        role=scope.role.value,
        agency_id=scope.agency_id or "",
        client_id=scope.client_id or "",
    )
    for told in connection.dispatch.before_cursor_execute:
        told(connection, None, _ENTER, {}, None, False)
    try:
        answer = driver.pgconn.exec_(sql.encode())
        if answer.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(answer)
    except BaseException as fault:
        plain_text.fail(connection, _ENTER, {}, None, fault)
    microseconds = int(answer.get_value(0, 3) or 0)
    return _EPOCH + timedelta(microseconds=microseconds)


def _isolation(driver: "psycopg.Connection[Any]") -> str:
    """As the driver would begin: with the isolation that the connection was given."""
    level, words = driver.isolation_level, ""
    if level is not None:
        words += f" ISOLATION LEVEL {level.name.replace('_', ' ')}"
    return f"{words} READ ONLY" if driver.read_only else words
