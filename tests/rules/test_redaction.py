"""SEC-26: no secret reaches a log line, by whatever name, in whatever shape, from whichever library."""

import io
import json
import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
import structlog
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from pipelines import telemetry
from pipelines.sealing import Secret
from pipelines.telemetry import MASK, redact, scrub_text
from web.serving import HouseLogger

TAIL = "Kq7Zr2Xw9LmN4TbVhY8sPd3G"
#: Secrets that are known by their shape, wherever they stand.
SHAPES = {
    "API key": f"lg_live_abcd1234_{TAIL}",
    "test API key": f"lg_test_abcd1234_{TAIL}",
    "signed token": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{TAIL}",
    "forged token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "Stripe key": f"sk_live_{TAIL}",
    "restricted key": f"rk_live_{TAIL}",
    "webhook secret": f"whsec_{TAIL}",
    "opaque token": f"{TAIL}{TAIL[::-1]}",
    "card": "4111111111111111",
    "card in groups": "4111 1111 1111 1111",
    "card with dashes": "4111-1111-1111-1111",
    "long card": "6011000990139424123",
    "short card": "4222222222222",
    "address": "ann.archer@shop.acme.io",
    "header": f"Bearer {TAIL}",
    "address with a password": f"redis://user:{TAIL}@host:6379/0",
}
#: The part that must be gone.
CORES = SHAPES | {
    "header": TAIL,
    "address with a password": TAIL,
}
NAMES = [
    "pin", "card_pin", "card_number", "password", "new_password", "token", "access_token", "Secret",
    "client_secret", "Authorization", "Set-Cookie", "csrf", "email", "phone", "api_key", "apikey",
    "master_key", "recipients", "payload", "args", "kwargs", "body", "totp", "recovery_codes",
    "redemption_code", "database_url", "credentials",
]  # fmt: skip
#: Text around a secret that neither hides nor changes it.
AROUND = st.text(st.sampled_from(" .,:;!?()[]{}<>\"'/|\r\n\t\x00"), max_size=6)


def line(**event: object) -> str:
    """The line as it is written."""
    made = redact(None, "info", {"event": "told", **event})
    return json.dumps(made, default=repr)


@pytest.mark.parametrize("name", SHAPES)
@given(before=AROUND, after=AROUND)
def test_sec026_a_secret_is_known_by_its_shape(name: str, before: str, after: str) -> None:
    """SEC-26: in text, in the event itself, as a key, deep inside."""
    told = f"{before}{SHAPES[name]}{after}"

    for shape in (
        {"detail": told},
        {"event_text": [told]},
        {"detail": {"deep": ({"deeper": {told}},)}},
        {"detail": {told: 1}},
        {"detail": told.encode()},
        {"detail": ValueError(told)},
        {"detail": SimpleNamespace(value=told)},
    ):
        assert CORES[name] not in line(**shape)
    assert CORES[name] not in scrub_text(told)


@pytest.mark.parametrize("name", NAMES)
@given(value=st.one_of(st.text(min_size=4), st.integers(min_value=1000), st.binary(min_size=4)))
def test_sec026_a_secret_is_known_by_its_name(name: str, value: object) -> None:
    """SEC-26: whatever it looks like, here or deep inside."""
    made = redact(None, "info", {name: value, "deep": [{name: {"deeper": value}}]})

    assert made == {name: MASK, "deep": [{name: MASK}]}


@pytest.mark.parametrize(
    "said",
    [
        "pin=0417", "pin: 0417", '{"pin": "0417"}', "{'pin': '0417'}", "?token=0417&x=1",
        "password = 0417", "PASSWORD='a 0417 b'", "DETAIL: Key (code, pin)=(A, 0417) already exists.",
        "Failing row contains (1, 0417, (x)).", "Cookie: 0417", "GET /r/abcdefghij0417klmnopqrst 200",
    ],
)  # fmt: skip
def test_sec026_a_name_and_its_value_in_text_are_known_too(said: str) -> None:
    """SEC-26: what drivers and query strings say."""
    assert "0417" not in scrub_text(said)


def test_sec026_a_number_as_long_as_a_card_is_taken_for_one() -> None:
    assert line(value=4111111111111111) == line(value=MASK)
    assert '"rows": 999999999999' in line(rows=999_999_999_999)


@pytest.mark.parametrize(
    "harmless",
    [
        "05041337-5041-4133-8504-133705041337",
        "01a21ad0-1aee-7761-8edb-75e5f7d4cd5e",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "2026-11-27T02:22:55.810731Z",
        "chunk.settled",
        "TooManyConnections",
        "pipelines.provisioning.order_outcome",
        "1,000,000 rows in 0.46 s",
    ],
)
def test_what_says_nothing_stays_as_it_is(harmless: str) -> None:
    assert scrub_text(harmless) == harmless


def test_ids_and_times_are_told_and_other_objects_only_by_their_class() -> None:
    identity, at = UUID(int=7), datetime(2026, 11, 27, tzinfo=UTC)

    made = redact(None, "info", {"job_id": identity, "at": at, "card": Secret("A" * 12), "n": 1.5})

    assert made == {"job_id": str(identity), "at": str(at), "card": "Secret", "n": 1.5}


@given(st.text())
def test_sec026_a_line_stays_one_line_of_what_can_be_printed(said: str) -> None:
    """SEC-26: nobody writes a second line into the log."""
    assert scrub_text(said).isprintable()
    assert len(line(detail=said).splitlines()) == 1


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The log of a process that was configured as every process is."""
    out, root = io.StringIO(), logging.getLogger()
    was = (
        structlog.get_config(),
        root.handlers[:],
        root.level,
        structlog.contextvars.get_contextvars(),
    )
    monkeypatch.setattr("sys.stderr", out)
    telemetry.configure("test")
    structlog.configure(cache_logger_on_first_use=False)
    yield out
    structlog.configure(**was[0])
    root.handlers[:], root.level = was[1], was[2]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**was[3])


@pytest.mark.parametrize(
    "library", ["dramatiq.worker.WorkerThread", "sqlalchemy.engine", "gunicorn.error", "urllib3"]
)
def test_sec026_what_libraries_log_goes_the_same_way(lines: io.StringIO, library: str) -> None:
    """SEC-26, SEC-28: no argument, no traceback, no words of an exception."""
    logger = logging.getLogger(library)
    try:
        raise ValueError(TAIL)
    except ValueError as fault:
        logger.exception("Failed with args %r", (TAIL,))
        logger.error(fault)
        logger.error(f"Failed\nTraceback:\n  {TAIL}", exc_info=True)  # noqa: G004, G201
        logger.warning("token=%s", TAIL)
        logger.warning(f"password={TAIL}")  # noqa: G004

    told = [json.loads(each) for each in lines.getvalue().splitlines()]
    assert TAIL not in lines.getvalue()
    assert [(each["event"], each["fault"]) for each in told] == [
        ("Failed with args %r", "ValueError"),
        ("ValueError", None),
        ("Failed", "ValueError"),
        (MASK, None),
        (MASK, None),
    ]


def test_sec026_the_front_s_server_has_no_lines_of_its_own(lines: io.StringIO) -> None:
    """SEC-26: gunicorn would print the address that failed, its query string and a traceback."""
    logger = HouseLogger(Config())
    try:
        raise ValueError(TAIL)
    except ValueError:
        logger.exception("Error handling request %s", f"/?state={TAIL}")

    (told,) = [json.loads(each) for each in lines.getvalue().splitlines()]
    assert (told["event"], told["fault"]) == ("Error handling request %s", "ValueError")


def test_sec028_what_nobody_caught_ends_with_its_class_and_place(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-28: the interpreter's own traceback would end with the exception's words."""
    monkeypatch.setattr("sys.excepthook", None)
    monkeypatch.setattr("threading.excepthook", None)
    telemetry.tell_ends_by_class()
    try:
        raise RuntimeError(TAIL)
    except RuntimeError as fault:
        import sys

        sys.excepthook(type(fault), fault, fault.__traceback__)

    (told,) = [json.loads(each) for each in lines.getvalue().splitlines()]
    assert (told["event"], told["fault"]) == ("process.uncaught", "RuntimeError")
    assert told["at"][-1].startswith("test_redaction.py:")
    assert TAIL not in lines.getvalue()
