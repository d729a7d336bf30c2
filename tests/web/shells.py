"""The command `largesse` against a front that really serves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from ops.__main__ import main
from tests.web.conftest import Caller


class Shell:
    """Runs `largesse` as one caller."""

    def __init__(self, url: str, token: str) -> None:
        self._environment = {"LARGESSE_URL": url, "LARGESSE_TOKEN": token}

    def run(self, *arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's name
        return CliRunner(env=self._environment).invoke(main, list(arguments), input=input)


@contextmanager
def a_shell(app: Flask, caller: Caller) -> Iterator[Shell]:
    """The front serves as long as the block."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Shell(f"http://127.0.0.1:{server.port}", caller.headers["Authorization"][7:])
    server.shutdown()
    thread.join()
    server.server_close()
