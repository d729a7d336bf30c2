"""Run the outside companies: `python -m ops.sandbox --port 8100 [--smtp-port 8125]`."""

import argparse
import os
import signal
from collections.abc import Mapping
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from ops.sandbox.app import SmtpAddress, create_app
from ops.sandbox.stripe_endpoints import Standing

THREADS = 48

#: Clients keep idle connections about this long; closing first would look like a fault.
KEEPALIVE_SECONDS = 300


class Sandbox(BaseApplication):  # type: ignore[misc]
    """Gunicorn with one worker process, so that one store and one lock serve all threads."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        data: str | None,
        smtp: SmtpAddress | None,
        hooks: Standing | None,
    ) -> None:
        self._bind = f"{host}:{port}"
        self._data = data
        self._smtp = smtp
        self._hooks = hooks
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": KEEPALIVE_SECONDS,
            "timeout": 0,
            "graceful_timeout": 0,
            "control_socket_disable": True,
            "accesslog": None,
            "loglevel": "warning",
            "proc_name": "largesse-sandbox",
            "post_worker_init": leave_at_once_on_signals,
            "worker_exit": leave_at_once,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Open the store in the worker process: SQLite and threads must not cross a fork."""
        return create_app(self._data, smtp=self._smtp, hooks=self._hooks)


def leave_at_once_on_signals(worker: Any) -> None:
    """Do not wait for hanging requests: SQLite's log is whole after any exit."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: os._exit(0))


def leave_at_once(server: Any, worker: Any) -> None:
    """Do not join threads that sleep in a slow answer, when the parent process is gone."""
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument(
        "--smtp-port", type=int, help="serve SMTP here; without it no mail is taken"
    )
    parser.add_argument("--data", metavar="FILE.sqlite3", help="keep the state in this file")
    parser.add_argument(
        "--stripe-webhooks",
        metavar="URL",
        help="tell this address of Stripe's events, signed with STRIPE_WEBHOOK_SECRETS",
    )
    options = parser.parse_args()
    smtp = SmtpAddress(options.host, options.smtp_port) if options.smtp_port else None
    hooks = standing_endpoint(options.stripe_webhooks, os.environ)
    Sandbox(host=options.host, port=options.port, data=options.data, smtp=smtp, hooks=hooks).run()


def standing_endpoint(url: str | None, environment: Mapping[str, str]) -> Standing | None:
    """The endpoint of the start. Its secrets are the receiver's, and never an argument."""
    written = environment.get("STRIPE_WEBHOOK_SECRETS", "")
    secrets = tuple(part.strip() for part in written.split(",") if part.strip())
    return Standing(url, secrets) if url and secrets else None


if __name__ == "__main__":
    main()
