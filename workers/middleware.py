"""What surrounds every message: size and shape checks going out, no tracebacks anywhere."""

import json
from typing import Any

from dramatiq import Broker, Message, Middleware
from dramatiq.middleware import MiddlewareError

#: A doorbell is an id and a version; anything longer carries something it must not (EC-123).
MESSAGE_BYTES_MAX = 1024


class DoorbellsOnly(Middleware):
    """Refuse to enqueue anything but `{task_id, v}`, and keep tracebacks out of Redis."""

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        message.options.pop("traceback", None)
        if set(message.kwargs) != {"task_id", "v"} or message.args:
            raise MiddlewareError("a message carries a task id and a version, nothing else")
        if len(json.dumps(message.kwargs)) > MESSAGE_BYTES_MAX:
            raise MiddlewareError("a message is longer than a doorbell")
