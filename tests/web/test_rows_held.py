"""A job whose row somebody holds for long: whoever wants to move it is asked to come again."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.driving import recipients_csv, rows, submit
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, bob

__all__ = ["bob"]

_BUSY = "Somebody else is working on this just now. Nothing was changed; try again in a moment."


@pytest.fixture
def job(house: House, seeded: Seeded) -> str:
    return str(submit(house, seeded, recipients_csv(2)))


def while_held(house: House, *asks: partial[TestResponse]) -> list[TestResponse]:
    """The answers while another session holds the job's row; transactions do not nest here."""
    with scoped_transaction(house.sessions, SYSTEM) as holder, ThreadPoolExecutor(4) as pool:
        holder.execute(text("SELECT 1 FROM jobs FOR NO KEY UPDATE"))
        return [answer.result() for answer in [pool.submit(ask) for ask in asks]]


def job_rows(house: House) -> list[tuple]:
    return [
        tuple(row)
        for row in rows(
            house,
            "SELECT state, priority, version, (SELECT count(*) FROM audit_entries), "
            "(SELECT count(*) FROM idempotency_keys) FROM jobs",
        )
    ]


def test_ec129_moves_of_a_job_that_is_held_are_busy_and_change_nothing(
    app: Flask, house: House, manager: Caller, job: str
):
    """EC-129: a chunk may hold the job's row longer than a request waits; that is no fault."""

    def ask(method: str, path: str, body: object = None) -> partial[TestResponse]:
        own = Caller(app.test_client(), manager.headers)
        return partial(own.call, method, f"/jobs/{job}{path}", body, Idempotency_Key=f"k{path}")

    before = job_rows(house)
    moves = [ask("POST", "/pause"), ask("POST", "/resume"), ask("POST", "/cancel")]
    moves.append(ask("PATCH", "", {"priority": "high"}))

    answers = while_held(house, *moves)

    for answer in answers:
        assert (answer.status_code, answer.json["code"]) == (503, "busy")
        assert answer.headers["Retry-After"] == "1"
        assert answer.json["detail"] == _BUSY
    assert job_rows(house) == before
    assert moves[0]().json["state"] == "paused"


def test_ec129_the_console_says_on_a_page_that_the_job_is_held(
    app: Flask, house: House, bob: Visitor, job: str
):
    """EC-129"""
    home = f"/console/jobs/{job}"
    cancel = dict(HIDDEN.findall(bob.get(f"{home}/cancel").text.rpartition("<form")[2]))
    change = dict(HIDDEN.findall(bob.get(f"{home}/change").text.rpartition("<form")[2]))
    before = job_rows(house)

    def send(path: str, **form: str) -> partial[TestResponse]:
        return partial(bob.client.post, path, data=form, headers=SAME_ORIGIN)

    answers = [
        *while_held(house, send(f"{home}/cancel", **cancel, reason="wrong file")),
        *while_held(house, send(f"{home}/change", **change, priority="high")),
    ]

    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "The service is busy" in answer.text
        assert _BUSY in answer.text
    assert job_rows(house) == before
