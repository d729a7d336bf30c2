"""Call a vendor that knows us by one key which does not change."""

import time
from collections.abc import Callable

from pipelines.providers.asking import ask
from pipelines.providers.ports import NotSent, Unknown
from pipelines.providers.transport import Answer, VendorTransport


class BearerDoor:
    """One account's way in; shared by all threads of a process."""

    def __init__(
        self,
        transport: VendorTransport,
        *,
        base_url: str,
        key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": "application/json", "Authorization": f"Bearer {key}"}
        self._clock = clock

    def until(self, seconds: float) -> float:
        """The deadline `seconds` from now, for calls that share it."""
        return self._clock() + seconds

    def call(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        json: object = None,
        send_by: float | None = None,
    ) -> Answer | NotSent | Unknown:
        """One call, over by `deadline`; whatever the vendor says, nothing is sent twice."""
        return ask(
            self._transport,
            method,
            self._base_url + path,
            headers=self._headers,
            json=json,
            seconds=deadline - self._clock(),
            send_by=send_by,
        )
