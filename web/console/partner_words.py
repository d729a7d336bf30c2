"""Partners, and what was refused to them, in words: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from pipelines.partners.refusals import (
    InvalidToken,
    OriginNotAllowed,
    TokenExpired,
    TokenLifetime,
    TokenNotYetValid,
    TokenReplayed,
)
from web.console.job_words import StateWords

ACTIVE, DISABLED = "active", "disabled"
STATES: Mapping[str, StateWords] = {
    ACTIVE: StateWords("Active", "check", "good"),
    DISABLED: StateWords("Disabled", "stop", "bad"),
}
#: Each code as its managers read it: what happened, and what helps.
REFUSALS: Mapping[str, tuple[str, str]] = {
    InvalidToken.code: (
        "Not accepted",
        "Another secret signed it, or a member is missing or wrong. Check a token says which.",
    ),
    TokenReplayed.code: (
        "Replayed",
        "The token had opened a session already. Many may be somebody who tries stolen ones.",
    ),
    TokenExpired.code: (
        "Expired",
        "Tokens were kept too long. They are made when the page asks for one, not before.",
    ),
    TokenLifetime.code: (
        "Made to live too long",
        "exp is at most iat + 180 seconds.",
    ),
    TokenNotYetValid.code: (
        "Of the future",
        "The clock of the server that signs is ahead of ours.",
    ),
    OriginNotAllowed.code: (
        "Site not allowed",
        "A page asked whose origin is not on the list. Add it, if it is the partner’s.",
    ),
}


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """One reason for which tokens were refused, and how often."""

    code: str
    word: str
    remedy: str
    times: int
    last_at: datetime


def state_of(row: Row[Any]) -> StateWords:
    return STATES[ACTIVE if row.disabled_at is None else DISABLED]


def masked(last4: str) -> str:
    """A secret by its last characters, as it may be told for ever (S0-06)."""
    return f"••••••••{last4}"


def refusal_lines(rows: Sequence[Row[Any]]) -> list[RefusalLine]:
    """What was refused, by its code; one that has no words yet is told by itself."""
    found = []
    for row in rows:
        word, remedy = REFUSALS.get(row.reason, (row.reason, ""))
        found.append(RefusalLine(row.reason, word, remedy, int(row.times), row.last_at))
    return found
