"""What Redis knows of spent tokens: a quick no to who replays one, while PostgreSQL decides (S0-25..28)."""

import time
from uuid import UUID

import redis
from flask import current_app

from pipelines.queue.broker_redis import redis_client
from web.rate_windows import AWAY_SECONDS, PATIENCE_SECONDS

EXTENSION = "largesse.spent_tokens"
PREFIX = "largesse:jti"


class RedisSpent:
    """Keys that live as long as their tokens; away or emptied it knows nothing, and says so."""

    def __init__(self, url: str | None) -> None:
        self._client = None if url is None else redis_client(url, socket_timeout=PATIENCE_SECONDS)
        self._ask_at = 0.0

    def knows(self, partner_id: UUID, digest: bytes) -> bool:
        if self._client is None or time.monotonic() < self._ask_at:
            return False
        try:
            return bool(self._client.exists(_key(partner_id, digest)))
        except redis.RedisError:
            self._ask_at = time.monotonic() + AWAY_SECONDS
            return False

    def keep(self, partner_id: UUID, digest: bytes, *, seconds: int) -> None:
        if self._client is None or time.monotonic() < self._ask_at:
            return
        try:
            self._client.set(_key(partner_id, digest), b"", ex=seconds, nx=True)
        except redis.RedisError:
            self._ask_at = time.monotonic() + AWAY_SECONDS


def spent_tokens() -> RedisSpent:
    """That of the app which serves this request."""
    found: RedisSpent = current_app.extensions[EXTENSION]
    return found


def _key(partner_id: UUID, digest: bytes) -> str:
    return f"{PREFIX}:{partner_id}:{digest.hex()}"
