"""How commands end: one place that turns refusals and faults into a sentence and an exit code."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

import click
import psycopg
import redis
import sqlalchemy.exc

from ops.client import ServerRefused, Unreachable
from ops.home import AlreadyRunning
from ops.stack_record import NoStack
from pipelines.errors import Fault, Refusal
from pipelines.settings import SettingsBroken

EXIT_CODES = """\b
Exit status:
  0    done, and all is well
  1    done, and something is wrong: a check failed, a job did not succeed
  2    used wrongly, or settings are missing or unsafe
  3    a stack already runs on this data folder, or its port is taken; `prove`: not finished
  4    the server refused the request
  5    no running stack or server could be reached
  130  interrupted
"""
FAILED, USAGE, ALREADY_RUNNING, REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130
#: `prove` alone ends with it, and needs no stack of its own to be started.
INCOMPLETE = 3
ERRORS_SHOWN_MAX = 10
#: What the API's sentences call an option, and what it is called on a command line.
OPTIONS = {
    "overlap_seconds` 0": "--end-all",
    "force=true": "--force",
    "on_error=skip": "--on-error skip",
    "on_error=abort": "--on-error abort",
    "preview=true": "--preview",
}
ROWS_NOTE = "  (rows are counted without the header)"


class Ending(click.ClickException):
    """A command's end with an exit code and a sentence that says what to do."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class Commands(click.Group):
    """A group whose commands may raise what the product raises."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (
            Refusal,
            Fault,
            SettingsBroken,
            psycopg.Error,
            redis.RedisError,
            sqlalchemy.exc.DBAPIError,
        ) as error:
            raise Ending(_exit_code(error), _words(error)) from None


def _exit_code(error: Exception) -> int:
    match error:
        case AlreadyRunning():
            return ALREADY_RUNNING
        case ServerRefused():
            return REFUSED
        case Unreachable() | NoStack() | psycopg.OperationalError() | redis.RedisError():
            return UNREACHABLE
        case sqlalchemy.exc.OperationalError():
            return UNREACHABLE
        case Refusal() | SettingsBroken():
            return USAGE
        case _:
            return FAILED


def _words(error: Exception) -> str:
    match error:
        case Refusal():
            return _for_commands("\n".join([error.detail, *_row_errors(error)]))
        case psycopg.Error() | redis.RedisError() | sqlalchemy.exc.DBAPIError():
            # The driver's own words may quote the row or the address they are about.
            return f"The database or message store failed ({type(error).__name__}). Run `largesse doctor`."
        case _:
            return str(error)


def _for_commands(words: str) -> str:
    """The API's options as this command spells them."""
    for said, option in OPTIONS.items():
        words = re.sub(rf"`?\b{said}\b`?", option, words)
    return words


def _row_errors(refusal: Refusal) -> list[str]:
    lines = []
    for error in refusal.errors[:ERRORS_SHOWN_MAX]:
        row = f"row {error.row}, {error.field}" if error.field else f"row {error.row}"
        where = row if error.row is not None else error.pointer
        lines.append(f"  {where}: {error.detail} ({error.code})")
    left = len(refusal.errors) - len(lines)
    if left > 0:
        lines.append(f"  and {left} more")
    if any(error.row is not None for error in refusal.errors):
        lines.append(ROWS_NOTE)
    return lines


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that everything started is stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
