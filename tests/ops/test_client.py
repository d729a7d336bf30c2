"""The API's client and the progress line, against a plain HTTP server that answers as told."""

import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from rich.console import Console

from ops.__main__ import main
from ops.client import Api, ServerRefused, Unreachable
from ops.home import free_port
from ops.progress import Lines, line_of, watch_job
from pipelines.errors import Interrupted

RUNNING = {
    "id": "j1",
    "state": "running",
    "counts": {
        "total": 1000,
        "pending": 400,
        "running": 8,
        "retrying": 2,
        "succeeded": 580,
        "failed": 6,
        "skipped": 2,
        "needs_review": 2,
        "cancelled": 0,
    },
    "progress": {"percent": 59.0, "rate_per_second": 210.5, "eta_seconds": 2},
    "sources": {"csv": 300, "buffer": 100, "api": 180},
    "pause": None,
}
ENDED = RUNNING | {
    "state": "succeeded",
    "counts": dict.fromkeys(RUNNING["counts"], 0) | {"total": 3, "succeeded": 3},
    "progress": {"percent": 100.0, "rate_per_second": None, "eta_seconds": None},
    "sources": {"csv": 3, "buffer": 0, "api": 0},
}
PROBLEM = {
    "status": 422,
    "title": "Invalid",
    "code": "rows_refused",
    "detail": "2 rows were refused.",
    "errors": [
        {"row": 3, "field": "email", "code": "invalid_email", "detail": "Write one address."},
        {"pointer": "/brand_id", "code": "required", "detail": "This value is required."},
    ],
}


@contextmanager
def serving(*answers):
    """A server that gives these (status, headers, body) in turn; yields its address and requests."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, dict(self.headers), body))
            status, headers, content = left.pop(0)
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = answer  # noqa: N815  # the names that the base class calls

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_signing_in_gives_a_client_with_the_token():
    with serving((200, {}, {"access_token": "a.b.c"}), (200, {}, ENDED)) as (url, seen):
        api = Api(url).login("alice@example.com", "demo123")
        api.job("j1")

    assert api.token == "a.b.c"
    assert "a.b.c" not in repr(api)
    assert [(method, path) for method, path, _h, _b in seen] == [
        ("POST", "/api/v1/auth/login"),
        ("GET", "/api/v1/jobs/j1"),
    ]
    assert seen[1][2]["Authorization"] == "Bearer a.b.c"
    assert "Idempotency-Key" not in seen[1][2]


def test_a_busy_front_is_asked_again_with_the_same_key():
    busy = (503, {"Retry-After": "2"}, {})
    pauses = []

    with serving(busy, busy, (201, {}, {"id": "p1"})) as (url, seen):
        made = Api(url, "t", pauses.append).create_pool(kind="csv")

    assert made == {"id": "p1"}
    assert pauses == [2.0, 2.0]
    assert len({headers["Idempotency-Key"] for _m, _p, headers, _b in seen}) == 1


def test_a_front_that_stays_busy_is_a_refusal_in_the_end():
    with (
        serving(*[(429, {"Retry-After": "99"}, {})] * 6) as (url, _seen),
        pytest.raises(ServerRefused) as refused,
    ):
        Api(url, "t", lambda _seconds: None).job("j1")

    assert (refused.value.status, refused.value.code) == (429, "http_429")


def test_a_problem_becomes_a_refusal_with_its_remedies():
    with serving((422, {}, PROBLEM)) as (url, _seen), pytest.raises(ServerRefused) as refused:
        Api(url, "t").create_pool(kind="csv")

    assert refused.value.code == "rows_refused"
    assert [(e.row, e.field, e.pointer) for e in refused.value.errors] == [
        (3, "email", None),
        (None, None, "/brand_id"),
    ]


def test_an_answer_that_is_no_problem_is_still_a_refusal():
    with serving((502, {}, b"<html>")) as (url, _seen), pytest.raises(ServerRefused) as refused:
        Api(url).job("j1")

    assert (refused.value.code, refused.value.detail) == ("http_502", "HTTP 502")


def test_nobody_at_the_address_is_told():
    with pytest.raises(Unreachable) as fault:
        Api(f"http://127.0.0.1:{free_port()}").job("j1")

    assert "largesse doctor" in str(fault.value)


def test_a_line_tells_how_far_a_job_is():
    assert line_of("Recipients", RUNNING) == (
        "Recipients 590/1000 (59.0 %) 210.5/s, 2 s left csv 300 buffer 100 api 180"
    )
    assert line_of("Recipients", ENDED) == "Recipients 3/3 (100.0 %) csv 3"


def test_a_line_says_when_nothing_moves():
    assert line_of("Cards", RUNNING, 9.0).startswith("Cards 590/1000 (59.0 %) 210.5/s, 2 s left")
    assert line_of("Cards", RUNNING, 12.4) == (
        "Cards 590/1000 (59.0 %) waiting, nothing has moved for 12 s csv 300 buffer 100 api 180"
    )
    assert "nothing has moved" not in line_of("Cards", ENDED, 60.0)


def test_lines_are_due_when_something_changed_and_else_every_ten_seconds():
    moved = RUNNING | {"sources": {"csv": 301, "buffer": 100, "api": 180}}
    lines = Lines(0.0)

    told = [
        (now, still)
        for now, job in [
            (1.0, RUNNING),
            (2.0, RUNNING),
            (5.0, RUNNING),
            (12.0, RUNNING),
            (13.0, moved),
            (14.0, moved),
            (20.0, moved),
            (21.0, ENDED),
        ]
        if (still := lines.due(job, now)) is not None
    ]

    assert told == [(2.0, 1.0), (12.0, 11.0), (14.0, 1.0), (21.0, 0.0)]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_job_is_watched_to_its_end(terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)

    with serving((200, {}, RUNNING), (200, {}, ENDED)) as (url, _seen):
        job = watch_job(Api(url), "j1", "Cards", console=console, stop=threading.Event())

    assert job == ENDED
    assert "Cards" in out.getvalue()
    assert "3/3" in out.getvalue()


def test_watching_ends_when_asked_to():
    stop = threading.Event()
    stop.set()

    with serving((200, {}, RUNNING)) as (url, _seen), pytest.raises(Interrupted):
        watch_job(Api(url), "j1", "Cards", console=Console(file=io.StringIO()), stop=stop)


def run(url, *arguments, token="t"):
    return CliRunner().invoke(main, arguments, env={"LARGESSE_URL": url, "LARGESSE_TOKEN": token})


def test_submit_sends_the_file_and_watches_its_job(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")
    ask = ("submit", str(file), "--campaign", "c", "--brand", "b", "--denomination-minor", "2500")

    with serving((202, {}, RUNNING), (200, {}, ENDED), (200, {}, {"data": []})) as (url, seen):
        done = run(url, *ask, "--on-error", "skip", "--wait")

    assert (done.exit_code, done.stdout) == (0, "j1\n")
    sent = seen[0][3]
    assert b'name="on_error"\r\n\r\nskip' in sent
    assert b'filename="people.csv"' in sent
    assert b"a@example.com" in sent


def test_a_preview_shows_the_plan_and_writes_nothing(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")
    ask = ("submit", str(file), "--campaign", "c", "--brand", "b", "--denomination-minor", "2500")

    with serving((200, {}, {"rows": 1})) as (url, seen):
        done = run(url, *ask, "--preview")

    assert json.loads(done.stdout) == {"rows": 1}
    assert [path for _m, path, _h, _b in seen] == ["/api/v1/gift-cards/provision-jobs?preview=true"]


def test_import_cards_sends_the_file_to_its_pool(tmp_path):
    file = tmp_path / "cards.csv"
    file.write_text("card_number\nABCD\n")

    with serving((202, {}, RUNNING)) as (url, seen):
        done = run(url, "import-cards", str(file), "--pool", "p1", "--no-wait")

    assert (done.exit_code, done.stdout) == (0, "j1\n")
    assert seen[0][1] == "/api/v1/gift-card-pools/p1/cards?on_error=abort"
    assert seen[0][3] == b"card_number\nABCD\n"


def test_a_job_that_did_not_succeed_is_said_by_the_exit_status():
    failed = ENDED | {"state": "failed"}
    groups = {"data": [{"code": "out_of_stock", "count": 3, "retryable": True}]}

    with serving((200, {}, failed), (200, {}, groups)) as (url, _seen):
        done = run(url, "watch", "j1")

    assert done.exit_code == 1
    assert "3 out_of_stock (can be retried)" in done.stderr
    assert "The job ended failed." in done.stderr


def test_a_failed_import_names_rows_fields_and_sentences():
    failed = ENDED | {"state": "failed", "counts": ENDED["counts"] | {"failed": 11}}
    detail = "A PIN has 4 to 8 digits."
    items = [
        {"position": row, "field": "pin", "error": {"code": "invalid_pin", "detail": detail}}
        for row in range(1, 11)
    ]

    with serving((200, {}, failed), (200, {}, {"data": []}), (200, {}, {"data": items})) as (
        url,
        seen,
    ):
        done = run(url, "watch", "j1")

    assert seen[2][1] == "/api/v1/jobs/j1/items?state=failed&limit=10"
    assert "  row 1, pin: A PIN has 4 to 8 digits. (invalid_pin)\n" in done.stderr
    assert "  and 1 more\n  (rows are counted without the header)\n" in done.stderr


def test_force_is_an_option_and_refusals_call_it_by_its_name(tmp_path):
    file = tmp_path / "cards.csv"
    file.write_text("card_number\nABCD\n")
    twice = {
        "code": "duplicate_upload",
        "detail": "This file was submitted before. Send force=true to submit it again on purpose.",
    }
    ask = ("submit", str(file), "--campaign", "c", "--brand", "b", "--denomination-minor", "2500")

    with serving((409, {}, twice), (202, {}, RUNNING), (202, {}, RUNNING)) as (url, seen):
        refused = run(url, "import-cards", str(file), "--pool", "p1", "--no-wait")
        run(url, "import-cards", str(file), "--pool", "p1", "--no-wait", "--force")
        run(url, *ask, "--force")

    assert "Send --force to submit it again on purpose." in refused.stderr
    assert "force=true" not in refused.stderr
    assert seen[1][1] == "/api/v1/gift-card-pools/p1/cards?on_error=abort&force=true"
    assert b'name="force"\r\n\r\ntrue' in seen[2][3]


def test_a_refusal_lists_its_rows_and_exits_with_4():
    with serving((422, {}, PROBLEM)) as (url, _seen):
        done = run(url, "watch", "j1")

    assert done.exit_code == 4
    assert done.stderr == (
        "2 rows were refused.\n"
        "  row 3, email: Write one address. (invalid_email)\n"
        "  /brand_id: This value is required. (required)\n"
        "  (rows are counted without the header)\n"
    )


def test_an_address_where_nobody_answers_exits_with_5():
    assert run(f"http://127.0.0.1:{free_port()}", "watch", "j1").exit_code == 5


def test_a_missing_token_is_asked_for():
    done = run("http://127.0.0.1:1", "watch", "j1", token="")

    assert done.exit_code == 2
    assert "LARGESSE_TOKEN" in done.stderr


def test_a_token_elsewhere_asks_for_the_password():
    with serving((200, {}, {"access_token": "a.b.c"})) as (url, seen):
        done = CliRunner().invoke(
            main,
            ["token", "--email", "alice@example.com"],
            env={"LARGESSE_URL": url},
            input="s3cret\n",
        )

    assert done.stdout == "a.b.c\n"
    assert json.loads(seen[0][3]) == {"email": "alice@example.com", "password": "s3cret"}


def test_help_lists_the_exit_codes():
    done = CliRunner().invoke(main, ["--help"])

    assert "3    a stack already runs on this data folder" in done.output
