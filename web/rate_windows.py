"""Count requests in moving windows: together in Redis, alone and at half while it is away."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import redis
from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

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


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands with a rule: what it has left, and seconds until it has more."""

    is_allowed: bool
    remaining: int
    seconds: int


class Windows(Protocol):
    """Counts by rule and subject; a subject is a digest."""

    def hit(self, rule: Rule, subject: str) -> Standing:
        """Count a request, unless that would be one too many."""

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
        self._storage = RedisStorage(
            url, connection_pool=self._client.connection_pool, key_prefix=PREFIX
        )
        self._limiter = MovingWindowRateLimiter(self._storage)

    def hit(self, rule: Rule, subject: str) -> Standing:
        is_allowed = self._limiter.hit(_item(rule), rule.name, subject)
        seen = self.look(rule, subject)
        return Standing(is_allowed, seen.remaining if is_allowed else 0, seen.seconds)

    def look(self, rule: Rule, subject: str) -> Standing:
        stats = self._limiter.get_window_stats(_item(rule), rule.name, subject)
        return _standing(rule, stats.remaining, stats.reset_time - time.time())

    def clear(self, rule: Rule, subject: str) -> None:
        self._limiter.clear(_item(rule), rule.name, subject)

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

    def hit(self, rule: Rule, subject: str) -> Standing:
        with self._lock:
            now = self._now()
            hits = self._window(rule, subject, now)
            is_allowed = len(hits) < rule.quota
            if is_allowed:
                hits.append(now)
            seen = _standing(rule, rule.quota - len(hits), _left(hits, rule, now))
            return Standing(is_allowed, seen.remaining, seen.seconds)

    def look(self, rule: Rule, subject: str) -> Standing:
        with self._lock:
            now = self._now()
            hits = self._window(rule, subject, now)
            return _standing(rule, rule.quota - len(hits), _left(hits, rule, now))

    def clear(self, rule: Rule, subject: str) -> None:
        with self._lock:
            self._hits.pop((rule.name, subject), None)

    def tally(self, hour: int) -> list[int]:
        with self._lock:
            self._hours[hour] = self._hours.get(hour, 0) + 1
            for old in [kept for kept in self._hours if kept < hour - HOURS_KEPT]:
                del self._hours[old]
            return [self._hours.get(hour - back, 0) for back in range(HOURS_KEPT + 1)]

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
        return self._ask(
            lambda shared: shared.hit(rule, subject),
            lambda own: own.hit(rule.halved(), subject),
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


def _item(rule: Rule) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rule.quota, rule.seconds, namespace="w")


def _standing(rule: Rule, remaining: int, seconds: float) -> Standing:
    bounded = min(max(1, math.ceil(seconds)), rule.seconds)
    return Standing(remaining > 0, max(0, remaining), bounded)


def _left(hits: deque[float], rule: Rule, now: float) -> float:
    return hits[0] + rule.seconds - now if hits else rule.seconds
