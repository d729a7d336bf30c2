"""Give each request its id, from the caller or new, through logs, tasks, audit and the answer."""

import re
import secrets

import structlog
from flask import Flask, Response, g, request

from pipelines.audit import circumstances
from web.rate_limits import rates

HEADER = "X-Request-Id"
_AGENT_CHARACTERS = 12
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def register_request_ids(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_echo)
    app.teardown_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if _SAFE.fullmatch(given) else secrets.token_hex(16)
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    circumstances.come_from(request.remote_addr, agent=_agent())


def _agent() -> str | None:
    """The program that asks, by a digest under a key of ours; None if it does not say."""
    said = request.headers.get("User-Agent", "")
    return rates().digest(f"agent:{said}")[:_AGENT_CHARACTERS] if said else None


def _echo(response: Response) -> Response:
    response.headers[HEADER] = g.get("request_id", "")
    return response


def _end(_error: BaseException | None) -> None:
    """Threads are reused: an id that outlived its request would sign another one's work."""
    structlog.contextvars.unbind_contextvars("request_id")
    circumstances.forget()
