"""How gunicorn serves the front: one process of threads, quiet, ended gracefully."""

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from pipelines.settings import Environment, Settings

#: Idle connections of storefronts are kept this long.
KEEP_ALIVE_SECONDS = 5
#: A worker whose main thread is silent this long is replaced; request threads do not count.
SILENT_SECONDS = 60


def gunicorn_settings(settings: Settings, *, drain_seconds: float) -> dict[str, Any]:
    """What differs from gunicorn's own defaults.

    There is no access log: it would carry query strings, and metrics count requests.
    """
    host = "0.0.0.0" if settings.environment is Environment.PRODUCTION else "127.0.0.1"  # noqa: S104
    return {
        "bind": f"{host}:{settings.port}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": settings.pool_size,
        "keepalive": KEEP_ALIVE_SECONDS,
        "timeout": SILENT_SECONDS,
        "graceful_timeout": max(1, int(drain_seconds)),
        "limit_request_line": 8190,
        "limit_request_field_size": 8190,
        "control_socket_disable": True,
        "loglevel": "warning",
        "logger_class": HouseLogger,
        "proc_name": "largesse-web",
    }


class HouseLogger(Logger):  # type: ignore[misc]
    """gunicorn's words go where everybody's go: its own lines end with the traceback, and name
    addresses with their query strings (SEC-26)."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with settings from our own, not from its files or the command line."""

    def __init__(self, app: Flask, options: dict[str, Any]) -> None:
        self._app = app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app
