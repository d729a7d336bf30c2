"""Count requests in moving windows: together in Redis, alone and at half while it is away."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import redis

from pipelines.access.rate_policies import Rule
from pipelines.queue.broker_redis import redis_client
from pipelines.telemetry import get_logger

log = get_logger(__name__)
T = TypeVar("T")

PREFIX = "largesse:rate"
#: How long one request waits for Redis before this process counts by itself.
PATIENCE_SECONDS = 0.05
#: Then Redis is left alone for so long, and one request asks it again.
AWAY_SECONDS = 5.0
#: Subjects that a process remembers by itself; those beyond share one count.
SUBJECTS_MAX = 20_000
OTHERS = "others"
SWEEP_SECONDS = 1.0
#: Hours of misses that are kept to compare the present one with.
HOURS_KEPT = 24
# A window is a list of when its requests came, the oldest first: what has left it is taken off, and
# costs each request once. By Redis' own clock, which all fronts share. For each key it is given
# quota, seconds, and whether to count; the first that is refused ends the count.
_COUNT = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local told = {}
for place, key in ipairs(KEYS) do
  local quota, seconds = tonumber(ARGV[place * 3 - 2]), tonumber(ARGV[place * 3 - 1])
  local oldest = redis.call('LINDEX', key, 0)
  while oldest and tonumber(oldest) <= now - seconds do
    redis.call('LPOP', key)
    oldest = redis.call('LINDEX', key, 0)
  end
  local left = quota - redis.call('LLEN', key)
  local is_allowed = left > 0
  if is_allowed and ARGV[place * 3] == '1' then
    redis.call('RPUSH', key, string.format('%.6f', now))
    redis.call('EXPIRE', key, seconds)
    oldest, left = oldest or now, left - 1
  end
  local wait = oldest and seconds - (now - tonumber(oldest)) or seconds
  told[place] = {is_allowed and 1 or 0, left, math.ceil(wait)}
  if not is_allowed then break end
end
return told
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands with a rule: what it has left, and seconds until it has more."""

    is_allowed: bool
    remaining: int
    seconds: int


#: A rule, and whom to count by it: a digest.
Asked = tuple[Rule, str]


class Windows(Protocol):
    """Counts by rule and subject; a subject is a digest."""

    def hit_each(self, asked: Sequence[Asked]) -> list[Standing]:
        """Count a request by each in their order, unless that would be one too many.

        The first that would be is the last that is told.
        """

    def look(self, rule: Rule, subject: str) -> Standing:
        """How the subject stands, without counting; allowed if one more would be."""

    def clear(self, rule: Rule, subject: str) -> None:
        """Forget what was counted."""

    def tally(self, hour: int) -> list[int]:
        """Add one to an hour's total; all totals that are kept, this hour's first."""


class RedisWindows:
    """Counts that all processes share; raises `redis.RedisError`."""

    def __init__(self, url: str) -> None:
        self._client = redis_client(url, socket_timeout=PATIENCE_SECONDS)
        self._count = self._client.register_script(_COUNT)

    def hit_each(self, asked: Sequence[Asked]) -> list[Standing]:
        return self._told(asked, counts=1)

    def look(self, rule: Rule, subject: str) -> Standing:
        return self._told([(rule, subject)], counts=0)[0]

    def clear(self, rule: Rule, subject: str) -> None:
        self._client.delete(_name(rule, subject))

    def _told(self, asked: Sequence[Asked], *, counts: int) -> list[Standing]:
        keys = [_name(rule, subject) for rule, subject in asked]
        values = [number for rule, _ in asked for number in (rule.quota, rule.seconds, counts)]
        told = self._count(keys, values)
        return [
            _standing(rule, left, wait, is_allowed=bool(is_allowed))
            for (rule, _subject), (is_allowed, left, wait) in zip(asked, told, strict=False)
        ]

    def tally(self, hour: int) -> list[int]:
        keys = [f"{PREFIX}:misses:{hour - back}" for back in range(HOURS_KEPT + 1)]
        with self._client.pipeline(transaction=False) as pipe:
            pipe.incr(keys[0])
            pipe.expire(keys[0], (HOURS_KEPT + 1) * 3600)
            pipe.mget(keys)
            return [int(total or 0) for total in pipe.execute()[2]]


class MemoryWindows:
    """Counts of this process alone, bounded however many subjects there are."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        #: By rule and subject: the window's length and when each request of it came.
        self._hits: dict[tuple[str, str], tuple[int, deque[float]]] = {}
        self._swept_at = -math.inf
        self._hours: dict[int, int] = {}

    def hit_each(self, asked: Sequence[Asked]) -> list[Standing]:
        told: list[Standing] = []
        with self._lock:
            for rule, subject in asked:
                told.append(self._count(rule, subject))
                if not told[-1].is_allowed:
                    break
        return told

    def look(self, rule: Rule, subject: str) -> Standing:
        with self._lock:
            return self._count(rule, subject, by=0)

    def clear(self, rule: Rule, subject: str) -> None:
        with self._lock:
            self._hits.pop((rule.name, subject), None)

    def tally(self, hour: int) -> list[int]:
        with self._lock:
            self._hours[hour] = self._hours.get(hour, 0) + 1
            for old in [kept for kept in self._hours if kept < hour - HOURS_KEPT]:
                del self._hours[old]
            return [self._hours.get(hour - back, 0) for back in range(HOURS_KEPT + 1)]

    def _count(self, rule: Rule, subject: str, *, by: int = 1) -> Standing:
        now = self._now()
        hits = self._window(rule, subject, now)
        is_allowed = len(hits) < rule.quota
        if is_allowed:
            hits.extend([now] * by)
        left = rule.quota - len(hits)
        return _standing(rule, left, _left(hits, rule, now), is_allowed=is_allowed)

    def _window(self, rule: Rule, subject: str, now: float) -> deque[float]:
        """What the subject asked for within the rule's time, the oldest first."""
        key = (rule.name, subject)
        if key not in self._hits and len(self._hits) >= SUBJECTS_MAX:
            self._sweep(now)
            if len(self._hits) >= SUBJECTS_MAX:
                key = (rule.name, OTHERS)
        _seconds, hits = self._hits.setdefault(key, (rule.seconds, deque()))
        while hits and hits[0] <= now - rule.seconds:
            hits.popleft()
        return hits

    def _sweep(self, now: float) -> None:
        """Forget who has been quiet; a flood of new subjects must not cause one sweep each."""
        if now < self._swept_at + SWEEP_SECONDS:
            return
        self._swept_at = now
        quiet = [
            key
            for key, (seconds, hits) in self._hits.items()
            if not hits or hits[-1] <= now - seconds
        ]
        for key in quiet:
            del self._hits[key]


class SharedWindows:
    """Redis while it answers; else this process's memory at half of each limit, never no limit.

    A request waits for a silent Redis once, and the next ones not at all until it is asked again.
    """

    def __init__(self, url: str | None, now: Callable[[], float] = time.monotonic) -> None:
        self._redis = RedisWindows(url) if url is not None else None
        self._memory = MemoryWindows(now)
        self._now = now
        self._lock = threading.Lock()
        #: Since when Redis is left alone; None while it answers.
        self._ask_at: float | None = None
        if self._redis is None:
            log.warning("rates.in_memory", reason="no_redis")

    @property
    def is_shared(self) -> bool:
        """Whether all processes count together."""
        return self._redis is not None and self._ask_at is None

    def hit(self, rule: Rule, subject: str) -> Standing:
        """Count a request, unless that would be one too many."""
        return self.hit_each([(rule, subject)])[0]

    def hit_each(self, asked: Sequence[Asked]) -> list[Standing]:
        """All of them in one trip; the first that is refused is the last that is told."""
        return self._ask(
            lambda shared: shared.hit_each(asked),
            lambda own: own.hit_each([(rule.halved(), subject) for rule, subject in asked]),
        )

    def look(self, rule: Rule, subject: str) -> Standing:
        return self._ask(
            lambda shared: shared.look(rule, subject),
            lambda own: own.look(rule.halved(), subject),
        )

    def clear(self, rule: Rule, subject: str) -> None:
        self._memory.clear(rule, subject)
        self._ask(lambda shared: shared.clear(rule, subject), lambda _own: None)

    def tally(self, hour: int) -> list[int]:
        return self._ask(lambda shared: shared.tally(hour), lambda own: own.tally(hour))

    def _ask(self, together: Callable[[Windows], T], alone: Callable[[Windows], T]) -> T:
        if self._redis is not None and self._may_ask():
            try:
                answer = together(self._redis)
            except redis.RedisError as fault:
                self._leave_alone(type(fault).__name__)
            else:
                self._welcome_back()
                return answer
        return alone(self._memory)

    def _may_ask(self) -> bool:
        """While Redis is away one request in a while pays for asking it."""
        if self._ask_at is None:
            return True
        with self._lock:
            if self._ask_at is None or self._now() < self._ask_at:
                return self._ask_at is None
            self._ask_at = self._now() + AWAY_SECONDS
            return True

    def _leave_alone(self, fault: str) -> None:
        with self._lock:
            was_shared, self._ask_at = self._ask_at is None, self._now() + AWAY_SECONDS
        if was_shared:
            log.warning("rates.in_memory", reason=fault)

    def _welcome_back(self) -> None:
        if self._ask_at is None:
            return
        with self._lock:
            was_away, self._ask_at = self._ask_at is not None, None
        if was_away:
            log.info("rates.shared_again")


def _name(rule: Rule, subject: str) -> str:
    """A rule that is halved, or was changed, counts apart."""
    return f"{PREFIX}:{rule.name}:{rule.quota}:{subject}"


def _standing(rule: Rule, left: int, wait: float, *, is_allowed: bool) -> Standing:
    bounded = min(max(1, math.ceil(wait)), rule.seconds)
    return Standing(is_allowed, max(0, left), bounded)


def _left(hits: deque[float], rule: Rule, now: float) -> float:
    return hits[0] + rule.seconds - now if hits else rule.seconds
