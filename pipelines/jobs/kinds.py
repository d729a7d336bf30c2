"""What a kind of job must bring: `jobs` knows no kind, wiring registers them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.errors import Kind, Refusal

PROVISIONING = "provisioning"
CARD_IMPORT = "card_import"


class OnError(StrEnum):
    """What a row that cannot be worked in means for the rest of its file."""

    ABORT = "abort"
    SKIP = "skip"


#: Called when a round ends, with the job row (locked); returns nothing.
Settle = Callable[[Session, Row[Any], datetime], None]
#: Takes a new hold for the failed items of the job and reopens them; returns how many.
Reopen = Callable[[Session, Row[Any], int, datetime], int]


@dataclass(frozen=True, slots=True)
class JobKind:
    """The parts of a kind that the generic job machinery calls."""

    name: str
    settle: Settle
    reopen: Reopen | None = None


class InvalidJobState(Refusal):
    """The job's state does not allow this move; `state` names it."""

    code = "invalid_job_state"
    kind = Kind.CONFLICT

    def __init__(self, *, state: str, move: str) -> None:
        super().__init__(f"A job that is {state} cannot be {move}.", extra={"state": state})


class NothingToRetry(Refusal):
    """No failed item can be tried again as it is."""

    code = "nothing_to_retry"
    kind = Kind.CONFLICT
    detail = "No failed item can be tried again. Correct the rows and submit them as a new job."
