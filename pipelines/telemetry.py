"""Structured logs: one JSON line per fact, request and task ids bound, secrets removed."""

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, TextIO, cast
from uuid import UUID

import structlog

#: Keys whose values never reach a log line, whatever they hold.
SECRET_KEYS = re.compile(
    r"(card_number|card_code|redemption_code|recovery|^pin$|_pin$|pincode|otp|secret|token"
    r"|authorization|cookie|csrf|credential|passw|email|phone|api_?key|_key$|recipient|payload"
    r"|plaintext|^args$|^kwargs$|^body$|^form$|^headers$|^dsn$|database_url|queue_url|redis_url)",
    re.IGNORECASE,
)
#: Keys that look secret by name and are not.
HARMLESS_KEYS = frozenset({"dedupe_key", "idempotency_key_id", "lease_token_present"})
#: Values that are secret wherever they stand.
SECRET_VALUES = (
    # A token of three parts; the last is empty where somebody forged it.
    re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,4}"),
    re.compile(r"(?<![A-Za-z0-9])(?:sk|rk|pk|whsec|lg_live|lg_test|lgw)_[\w-]{4,}"),
    re.compile(r"\b(?:Bearer|Basic)\s+[^\s,;\"']+", re.IGNORECASE),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s]*(?=@)"),
    # What a database says of a row that it refuses.
    re.compile(r"(?<=Key )\(.*?\)=\(.*\)|(?<=Failing row contains )\(.*\)", re.DOTALL),
    # A name and its value, as in a query string, a header, JSON or a repr.
    re.compile(
        r"(?i)(?<![A-Za-z])(?:card_?number|card_?code|pin|otp|passw(?:or)?d|secret|token|cookie"
        r"|authorization|api_?key)[\"']?\s*[:=]\s*(?:\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)"
    ),
    # The link that shows a card.
    re.compile(r"(?<=/r/)[\w-]{20,}"),
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    # A drawn token: long, of one word, with letters of both kinds and digits.
    re.compile(
        r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{40,}(?![\w-])", re.ASCII
    ),
)
#: Ids and digests, whose digits are not a card's.
_IDS = re.compile(
    r"(?<![0-9A-Za-z])([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{32,})(?![0-9A-Za-z])"
)
_CARD_DIGITS = re.compile(r"\d(?:[ -]?\d){12,18}")
MASK = "[removed]"


def scrub_text(text: str) -> str:
    """`text` without the values that are secret by shape, control characters escaped."""
    for pattern in SECRET_VALUES:
        text = pattern.sub(MASK, text)
    # Every second piece is an id.
    pieces = _IDS.split(text)
    pieces[::2] = [_CARD_DIGITS.sub(MASK, piece) for piece in pieces[::2]]
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in "".join(pieces))


def _scrub(value: object) -> object:
    """What JSON can hold, scrubbed; of anything else, which would show its repr, as little."""
    match value:
        case int() if _CARD_DIGITS.fullmatch(str(abs(value))):
            return MASK
        case None | int() | float():
            return value
        case str():
            return scrub_text(value)
        case dict():
            return {
                scrub_text(str(k)): MASK if _is_secret_key(str(k)) else _scrub(v)
                for k, v in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_scrub(v) for v in value]
        case _:
            return str(value) if isinstance(value, UUID | date | Decimal) else type(value).__name__


def _is_secret_key(key: str) -> bool:
    return key not in HARMLESS_KEYS and bool(SECRET_KEYS.search(key))


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """structlog processor: remove secret keys and secret-shaped values from one event."""
    for key, value in list(event.items()):
        event[key] = MASK if _is_secret_key(key) else _scrub(value)
    return event


class _LinesOrNothing:
    """The stream of the log; a line that cannot be written is lost, and its fact goes on.

    A full disk must stop no work. And the pipe to a supervisor breaks at the very moment at which
    the kernel asks the process to end, because its supervisor has died.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _StandardLibraryLines(logging.Handler):
    """Send what libraries log through the same pipeline, without tracebacks or arguments.

    Tracebacks and arguments of foreign log records may carry values (a database error quotes
    the row it refused), so only the logger, the level and the scrubbed message remain.
    """

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        # Some log the exception itself: its class is said, its words are not.
        said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        message = said if record.args else _first_line(said)
        structlog.get_logger(record.name).log(record.levelno, message, fault=fault)


def _first_line(said: str) -> str:
    """A message of several lines has a traceback or a statement in it."""
    return said.splitlines()[0] if said else said


def tell_ends_by_class() -> None:
    """What nobody caught ends a process or a thread with one line, not with a traceback.

    For the processes of the Procfile: the words of an exception may quote what it is about.
    """
    sys.excepthook = lambda kind, _fault, trace: _tell_end(kind, trace)
    threading.excepthook = lambda told: _tell_end(told.exc_type, told.exc_traceback)


def _tell_end(kind: type[BaseException], trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return
    frames = [f"{Path(f.f_code.co_filename).name}:{line}" for f, line in walk_tb(trace)]
    get_logger(__name__).error("process.uncaught", fault=kind.__name__, at=frames[-5:])


def configure(process: str, *, level: int = logging.INFO) -> None:
    """Set up logging for this process; call once at boot. `process` is the Procfile name."""
    lines = _LinesOrNothing(sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, lines)),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    root = logging.getLogger()
    root.handlers[:] = [_StandardLibraryLines()]
    root.setLevel(logging.WARNING)


def get_logger(name: str) -> Any:
    """A logger for facts: `log.info("chunk.settled", job_id=..., done=498)`."""
    return structlog.get_logger(name)
