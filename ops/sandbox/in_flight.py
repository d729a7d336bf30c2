"""Let one order per reference run at a time, as vendors do whose references are idempotent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StillRunning(Exception):
    """An order of this reference is being executed just now."""


class InFlight:
    """The references of one vendor's orders that are being executed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._references: set[str] = set()

    @contextmanager
    def alone(self, reference: str | None, *, waits: bool) -> Iterator[None]:
        """Hold the reference, if there is one; raises `StillRunning` instead of waiting for it."""
        if reference is None:
            yield
            return
        with self._changed:
            while reference in self._references:
                if not waits:
                    raise StillRunning
                self._changed.wait()
            self._references.add(reference)
        try:
            yield
        finally:
            with self._changed:
                self._references.discard(reference)
                self._changed.notify_all()
