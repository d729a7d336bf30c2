"""Hold a vendor's switches: how it behaves while nothing is wrong."""

import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ops.sandbox.faults import BadControl

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


class Switchboard(Generic[S]):
    """One frozen dataclass of switches, exchanged as a whole; each type is its default's."""

    def __init__(self, defaults: S) -> None:
        self._defaults = defaults
        self._lock = threading.Lock()
        self._current = defaults

    @property
    def current(self) -> S:
        with self._lock:
            return self._current

    def replace(self, body: Any) -> None:
        """Set the named switches and put all others back to their defaults."""
        if not isinstance(body, dict):
            raise BadControl("switches must be a JSON object")
        known = asdict(self._defaults)
        for name, value in body.items():
            if name not in known:
                raise BadControl(f"unknown switch; known are {', '.join(known)}")
            if not _fits(value, known[name]):
                raise BadControl(f"{name} has a wrong value")
        with self._lock:
            self._current = replace(self._defaults, **body)

    def clear(self) -> None:
        with self._lock:
            self._current = self._defaults

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = asdict(self.current)
        return shown


def _fits(value: object, default: object) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)
