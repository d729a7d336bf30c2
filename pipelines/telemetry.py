"""Structured logs: one JSON line per fact, request and task ids bound, secrets removed."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

#: Keys whose values never reach a log line, whatever they hold.
SECRET_KEYS = re.compile(
    r"(card_number|^pin$|pincode|secret|token|authorization|cookie|password|email|phone|api_key"
    r"|_key$|recipient|payload|^args$|^body$|^dsn$|database_url|queue_url|redis_url)",
    re.IGNORECASE,
)
#: Keys that look secret by name and are not.
HARMLESS_KEYS = frozenset({"dedupe_key", "idempotency_key_id", "lease_token_present"})
#: Values that are secret wherever they stand.
SECRET_VALUES = (
    re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    re.compile(r"\b(?:sk|rk|whsec|lg_live|lg_test)_[\w-]{8,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    # Card-like digits, but not the digits inside a UUID or another hexadecimal word.
    re.compile(r"(?<![0-9A-Fa-f-])\d(?:[ -]?\d){12,18}(?![0-9A-Fa-f-])"),
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
)
MASK = "[removed]"


def scrub_text(text: str) -> str:
    """`text` without the values that are secret by shape, control characters escaped."""
    for pattern in SECRET_VALUES:
        text = pattern.sub(MASK, text)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _scrub(value: object) -> object:
    match value:
        case str():
            return scrub_text(value)
        case dict():
            return {k: MASK if _is_secret_key(str(k)) else _scrub(v) for k, v in value.items()}
        case list() | tuple() | set():
            return [_scrub(v) for v in value]
        case _:
            return value


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
        message = str(record.msg) if record.args else record.getMessage()
        structlog.get_logger(record.name).log(record.levelno, message, fault=fault)


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
