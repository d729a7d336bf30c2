"""Prove the invariants again and again while things break: they hold in every snapshot."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from pipelines.wiring import House
from tests.proof import violations

EVERY_SECONDS = 1.0


class Watch(threading.Thread):
    """Looks once a second until stopped; a database that is away just now is looked at later."""

    def __init__(self, house: House) -> None:
        super().__init__(name="invariants", daemon=True)
        self._house = house
        self._ended = threading.Event()
        self.snapshots = 0
        self.broken: dict[str, tuple[str, ...]] = {}
        self.fault: Exception | None = None

    def run(self) -> None:
        while not self._ended.is_set() and not self.broken and self.fault is None:
            try:
                found = violations(self._house)
                self.broken = {name: rows for name, rows in found.items() if rows}
                self.snapshots += 1
            except DBAPIError:
                pass  # the scenario is at work on the database
            except Exception as fault:
                self.fault = fault
            self._ended.wait(EVERY_SECONDS)

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=60)

    def end(self) -> None:
        """Stop, and fail if any snapshot was broken or none could be had."""
        self.stop()
        assert self.fault is None, self.fault
        assert self.broken == {}, f"broken while it ran: {self.broken}"
        assert self.snapshots > 0, "not one snapshot could be looked at"


@contextmanager
def watched(house: House) -> Iterator[Watch]:
    """Watch while the block runs; a block that fails says why, and the watch is only stopped."""
    watch = Watch(house)
    watch.start()
    try:
        yield watch
    except BaseException:
        watch.stop()
        if watch.broken:
            raise AssertionError(f"broken while it ran: {watch.broken}") from None
        raise
    watch.end()
