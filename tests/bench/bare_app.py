"""The bare limit of an accept: a Flask route that does one INSERT and one COMMIT."""

import os
import sys

import psycopg_pool
from flask import Flask, Response, request

from web.serving import Server

THREADS = 18


def bare_app(url: str) -> Flask:
    """One route, no auth, no checks, no limits."""
    app = Flask("bare")
    pool: psycopg_pool.ConnectionPool = psycopg_pool.ConnectionPool(
        url, min_size=THREADS, max_size=THREADS, open=False
    )

    @app.post("/accept")
    def accept() -> Response:
        body = request.get_json()
        pool.open()
        with pool.connection() as connection:
            connection.execute("INSERT INTO bare_accepts (body) VALUES (%s)", (str(body),))
        return Response('{"ok": true}', 202, content_type="application/json")

    return app


def main() -> int:
    options = {
        "bind": f"127.0.0.1:{os.environ['PORT']}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": THREADS,
        "control_socket_disable": True,
        "loglevel": "warning",
    }
    Server(bare_app(os.environ["BARE_URL"]), options).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
