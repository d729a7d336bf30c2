"""Decide which request suffers which fault: by order, by rate or by request header."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: A request names its own fault in this header: `slow` or `slow; seconds=0.5`.
HEADER = "X-Sandbox-Fault"

Param = bool | int | float | str
TRIGGERS = ("rate", "next", "always")


class BadControl(ValueError):
    """A control request asks for something the sandbox does not know."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A way to misbehave: the point where it strikes and its parameters with their defaults."""

    name: str
    point: str
    defaults: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that happens to this request."""

    name: str
    params: Mapping[str, Param]

    def number(self, name: str) -> float:
        return float(self.params[name])

    def text(self, name: str) -> str:
        return str(self.params[name])

    def flag(self, name: str) -> bool:
        return bool(self.params[name])


@dataclass(slots=True)
class Armed:
    kind: FaultKind
    params: Mapping[str, Param]
    rate: float = 0.0
    left: int = 0
    is_always: bool = False


class FaultBoard:
    """The armed faults of one vendor.

    A request suffers one fault at most: the one its header names, else a counted one, else a
    permanent one, else by rate. Rates are slices of one draw, so each is met exactly and their
    sum may not pass 1. Each point draws from its own stream of the seed: look-ups do not shift
    what orders draw.
    """

    def __init__(self, kinds: Iterable[FaultKind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._lock = threading.Lock()
        self._arm([], seed=0)

    def replace(self, body: Any) -> None:
        """Arm exactly what the body says; an unknown word arms nothing and raises."""
        if not isinstance(body, dict):
            raise BadControl("faults must be a JSON object")
        wanted = dict(body)
        seed = wanted.pop("seed", 0)
        if not isinstance(seed, int):
            raise BadControl("seed must be a whole number")
        armed = [_armed(self._kind(name), entry) for name, entry in wanted.items()]
        order = list(self._kinds)
        armed.sort(key=lambda fault: order.index(fault.kind.name))
        _check_rates(armed)
        self._arm(armed, seed=seed)

    def clear(self) -> None:
        self._arm([], seed=0)

    def shown(self) -> dict[str, Any]:
        with self._lock:
            armed = {fault.kind.name: _shown(fault) for fault in self._armed}
            known = {
                kind.name: {"point": kind.point, **kind.defaults} for kind in self._kinds.values()
            }
            return {"seed": self._seed, "armed": armed, "fired": dict(self._fired), "known": known}

    def draw(self, point: str, header: str | None = None) -> Strike | None:
        """Say what happens to this request at this point, and count it."""
        asked = self._asked(header) if header else None
        with self._lock:
            if asked is not None and self._kinds[asked.name].point == point:
                strike: Strike | None = asked
            else:
                strike = self._drawn(point)
            if strike is not None:
                self._fired[strike.name] += 1
            return strike

    def _arm(self, armed: list[Armed], *, seed: int) -> None:
        points = {kind.point for kind in self._kinds.values()}
        with self._lock:
            self._armed = armed
            self._seed = seed
            self._fired: Counter[str] = Counter()
            self._streams = {point: random.Random(f"{seed}:{point}") for point in points}

    def _drawn(self, point: str) -> Strike | None:
        armed = [fault for fault in self._armed if fault.kind.point == point]
        chosen = self._by_rate(armed, point)
        for fault in armed:
            if fault.left > 0:
                fault.left -= 1
                return Strike(fault.kind.name, fault.params)
        chosen = next((fault for fault in armed if fault.is_always), chosen)
        return None if chosen is None else Strike(chosen.kind.name, chosen.params)

    def _by_rate(self, armed: list[Armed], point: str) -> Armed | None:
        """Draw whenever a rate is armed, used or not, so that the stream stays in step."""
        rated = [fault for fault in armed if fault.rate > 0]
        if not rated:
            return None
        drawn = self._streams[point].random()
        for fault in rated:
            if drawn < fault.rate:
                return fault
            drawn -= fault.rate
        return None

    def _kind(self, name: str) -> FaultKind:
        if name not in self._kinds:
            raise BadControl(f"unknown fault; known are {', '.join(self._kinds)}")
        return self._kinds[name]

    def _asked(self, header: str) -> Strike:
        name, *pairs = (part.strip() for part in header.split(";"))
        kind = self._kind(name)
        given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return Strike(name, _params(kind, {key: _read(value) for key, value in given.items()}))


def _armed(kind: FaultKind, entry: Any) -> Armed:
    if not isinstance(entry, dict):
        raise BadControl(f"{kind.name} must be a JSON object")
    triggers = [name for name in TRIGGERS if name in entry]
    if len(triggers) != 1:
        raise BadControl(f"{kind.name} needs one of {', '.join(TRIGGERS)}")
    trigger = triggers[0]
    value = entry[trigger]
    params = _params(kind, {name: given for name, given in entry.items() if name != trigger})
    if trigger == "rate" and _is_number(value) and 0 <= value <= 1:
        return Armed(kind, params, rate=float(value))
    if trigger == "next" and type(value) is int and value >= 0:
        return Armed(kind, params, left=int(value))
    if trigger == "always" and isinstance(value, bool):
        return Armed(kind, params, is_always=value)
    raise BadControl(f"{kind.name}: {trigger} has a wrong value")


def _params(kind: FaultKind, given: Mapping[str, Any]) -> dict[str, Param]:
    for name, value in given.items():
        default = kind.defaults.get(name)
        if default is None:
            raise BadControl(f"{kind.name} has no parameter {name}")
        is_fit = _is_number(value) if _is_number(default) else type(value) is type(default)
        if not is_fit:
            raise BadControl(f"{kind.name}: {name} has a wrong value")
    return {**kind.defaults, **given}


def _check_rates(armed: Iterable[Armed]) -> None:
    totals: defaultdict[str, float] = defaultdict(float)
    for fault in armed:
        totals[fault.kind.point] += fault.rate
    for point, total in totals.items():
        if total > 1 + 1e-9:
            raise BadControl(f"the rates at {point} add up to more than 1")


def _shown(fault: Armed) -> dict[str, Param]:
    if fault.is_always:
        return {"always": True, **fault.params}
    if fault.rate:
        return {"rate": fault.rate, **fault.params}
    return {"next": fault.left, **fault.params}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read(text: str) -> Param:
    if text in {"true", "false"}:
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text
