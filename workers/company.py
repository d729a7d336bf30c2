"""Who may work beside whom in one process: what may have killed a worker works alone.

A task in hand when its worker died is either what killed it or a bystander. Done alone it cannot
be hurt by another, so that its next death is its own doing and nobody else is blamed for it.

This holds for vendors' calls too, of which one may take a minute and a half. The suspect's patience
is short, so a slow call delays it and not the others, who go on until it is rung again. It does not
starve: ordinary calls are over within that time, and a vendor whose calls are all slow trips its
breaker. Once alone it is brief: an order that was marked as sent is not sent again, only noted as
unknown or asked after.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Company:
    """The threads of one process: many together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._has_loner = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work beside others; waits while somebody works alone or is about to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._has_loner)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, patience: float) -> Iterator[bool]:
        """Work while nobody else does; waits until those at work are done, lets nobody begin.

        False: they were not done within `patience` seconds, and whoever waited may begin again.
        Else one long neighbour would stand still a whole process.
        """
        deadline = time.monotonic() + patience
        if not self._claim(deadline):
            yield False
            return
        try:
            with self._changed:
                left = deadline - time.monotonic()
                is_alone = self._changed.wait_for(lambda: self._together == 0, left)
            yield is_alone
        finally:
            with self._changed:
                self._has_loner = False
                self._changed.notify_all()

    def _claim(self, deadline: float) -> bool:
        with self._changed:
            left = deadline - time.monotonic()
            if not self._changed.wait_for(lambda: not self._has_loner, left):
                return False
            self._has_loner = True
            self._changed.notify_all()
            return True
