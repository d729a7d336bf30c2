"""The account at Stripe: its clock, its switches, and one change of it at a time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ops.sandbox.store import Store
from ops.sandbox.stripe_endpoints import Standing, stand
from ops.sandbox.stripe_objects import Facts, Moment, Objects
from ops.sandbox.stripe_sessions import expire_due
from ops.sandbox.stripe_switches import Switches
from ops.sandbox.switches import Switchboard

#: From one try to deliver to the next; after the last the event is given up.
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)


class Account:
    """What all pages of Stripe work on."""

    def __init__(self, store: Store, standing: Standing | None = None) -> None:
        self.store = store
        self._standing = standing
        self.switches = Switchboard(Switches())
        #: `on`, `held` or `off`: what becomes of events that are made.
        self.delivery = "on"
        self.retry_seconds = RETRY_SECONDS
        #: Set whenever there may be something to deliver.
        self.stirred = threading.Event()

    def now(self) -> int:
        return int(time.time() + self.switches.current.clock_ahead_seconds)

    @contextmanager
    def moment(self, cause: Facts | None = None) -> Iterator[Moment]:
        """One change, or one look; sessions whose time is over have ended before it."""
        switches = self.switches.current
        with self.store.transaction() as connection:
            moment = Moment(Objects(connection), self.now(), self.delivery, switches=switches)
            expire_due(moment)
            moment.cause = cause or moment.cause
            yield moment
        if moment.is_stirring:
            self.stirred.set()

    def restore(self) -> None:
        """As at the start: nothing is set, and the endpoint of the start is in its place."""
        self.switches.clear()
        self.delivery = "on"
        self.retry_seconds = RETRY_SECONDS
        if self._standing is not None:
            with self.moment() as moment:
                stand(moment, self._standing)
