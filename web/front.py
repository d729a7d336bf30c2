"""What every view finds in `current_app`: the house, the broker's bell and the waiting room."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from pipelines.queue.broker_port import HouseBroker
from pipelines.wiring import House
from web.waiting import Waiter

EXTENSION = "largesse"


@dataclass(frozen=True, slots=True)
class Front:
    """The front of one web process, made once by `create_app`."""

    house: House
    #: For ringing: it waits no longer than a request may be held up by that.
    broker: HouseBroker
    #: For asking the broker how it is, where a short wait hurts nobody.
    lookout: HouseBroker
    waiter: Waiter


def front() -> Front:
    """The front of the app that serves this request."""
    return cast("Front", current_app.extensions[EXTENSION])
