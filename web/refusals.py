"""Count the refusals of discount codes in memory, and add them to the house's with each beat (decision 0049).

A request only counts: no question to the database or to Redis more. A process that dies takes with it
what it counted since its last beat.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from flask import Flask, current_app

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.books.codes import canonical, is_code
from pipelines.discounts.refused import COUNTED, RefusedFor, Times, add_refusals
from pipelines.errors import Refusal

EXTENSION = "largesse.refusals"
#: Different refusals that are kept apart until the next beat; of more their codes are not known.
KEPT_APART_MAX = 2_000


class RefusalTally:
    """What was refused since it was last written; requests count from their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[RefusedFor, Times] = {}

    def count(self, what: RefusedFor, times: Times) -> None:
        with self._lock:
            self._add(what, times)

    def write(self, sessions: Sessions) -> None:
        """Add all of it, if there is any; what could not be added, as far as is known, is counted on."""
        with self._lock:
            taken, self._counted = self._counted, {}
        if not taken:
            return
        try:
            with scoped_transaction(sessions, SYSTEM) as session:
                add_refusals(session, taken, now=clock.now(session))
        except Exception:
            with self._lock:
                for what, times in taken.items():
                    self._add(what, times)
            raise

    def _add(self, what: RefusedFor, times: Times) -> None:
        if what not in self._counted and len(self._counted) >= KEPT_APART_MAX:
            what = RefusedFor(what.client_id, None, what.reason)
        self._counted[what] = self._counted.get(what, Times()) + times


def register_refusals(app: Flask) -> RefusalTally:
    """The tally of this app, which whoever serves it writes now and then."""
    tally = RefusalTally()
    app.extensions[EXTENSION] = tally
    return tally


def refusals_of(app: Flask) -> RefusalTally:
    return cast("RefusalTally", app.extensions[EXTENSION])


def count_refusal(client_id: UUID, typed: str, refusal: Refusal, times: Times) -> None:
    """Count that a code was refused, if it is of a kind that is said of a code."""
    if refusal.code not in COUNTED:
        return
    code = canonical(typed)
    what = RefusedFor(client_id, code if is_code(code) else None, refusal.code)
    refusals_of(current_app).count(what, times)


@contextmanager
def counting_refusals(client_id: UUID, typed: str) -> Iterator[None]:
    """Whatever refuses the code in the block is counted as refused when it was applied."""
    try:
        yield
    except Refusal as refusal:
        count_refusal(client_id, typed, refusal, Times(applied=1))
        raise
