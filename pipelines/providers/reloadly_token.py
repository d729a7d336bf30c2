"""Keep Reloadly's access token: shared by all processes, renewed by one before it lapses."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from pipelines.providers.asking import retry_after_seconds
from pipelines.providers.exact import Unreadable, decode_json
from pipelines.providers.ports import AuthFailed, NotSent, Throttled
from pipelines.providers.token_store import HeldToken, TokensAway, TokenStore, account_id
from pipelines.providers.transport import Answer, AnswerLost, ConnectFailed, VendorTransport

#: A token is renewed this long before its end, or at nine tenths of a short life.
_RENEW_BEFORE_SECONDS = 60.0
#: While another process fetches, its token is looked for this often.
_LOOK_SECONDS = 0.05
#: A claim outlives its call by this, so that nobody fetches beside it.
_CLAIM_MARGIN_SECONDS = 2.0
_LIFE_DEFAULT_SECONDS = 300.0
_LIFE_MAX_SECONDS = 90 * 24 * 3600
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")

TokenRefusal = NotSent | Throttled | AuthFailed


class TokenKeeper:
    """One token for one account and environment, shared by all threads of this process.

    With `store` it is shared by all processes: one that starts fetches none while one is good.
    """

    def __init__(
        self,
        transport: VendorTransport,
        *,
        auth_url: str,
        audience: str,
        client_id: str,
        client_secret: str,
        store: TokenStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._url = f"{auth_url.rstrip('/')}/oauth/token"
        self._credentials = {
            "client_id": client_id,
            "client_secret": client_secret,
            "grant_type": "client_credentials",
            "audience": audience,
        }
        self._store = store
        self._account = account_id("reloadly", self._url, client_id, audience)
        self._clock = clock
        self._lock = threading.Lock()
        self._fetches = 0
        self._last: str | TokenRefusal = NotSent("token_not_fetched")
        self._good_until = float("-inf")

    def token(self, *, deadline_seconds: float) -> str | TokenRefusal:
        """A token, or why there is none; nothing has been ordered then.

        Threads that wait while one fetches share its result, good or bad: asking one after
        another would make the last of them wait for all.
        """
        seen = self._fetches
        with self._lock:
            if self._clock() < self._good_until or self._fetches != seen:
                return self._last
            self._last, good_seconds = self._shared(deadline_seconds)
            self._fetches += 1
            self._good_until = self._clock() + good_seconds
            return self._last

    def discard(self, token: str) -> None:
        """Reloadly refused this token; a newer one, fetched meanwhile, stays."""
        with self._lock:
            if self._last == token:
                self._good_until = float("-inf")
        if self._store is not None:
            with suppress(TokensAway):
                self._store.drop(self._account, token)

    def _shared(self, deadline_seconds: float) -> tuple[str | TokenRefusal, float]:
        """The shared token and the seconds it is good for; fetched here if nobody else does."""
        if self._store is None:
            return self._fetch(deadline_seconds)
        give_up_at = self._clock() + deadline_seconds
        try:
            while True:
                if held := self._store.find(self._account):
                    return held.token, held.seconds
                left = give_up_at - self._clock()
                if left <= 0:
                    return NotSent("token_awaited"), 0.0
                claim = self._store.claim(
                    self._account, vendor="reloadly", seconds=left + _CLAIM_MARGIN_SECONDS
                )
                if claim is not None:
                    return self._fetched_for_all(self._store, left, claim)
                time.sleep(_LOOK_SECONDS)
        except TokensAway:
            return NotSent("token_store_away"), 0.0

    def _fetched_for_all(
        self, store: TokenStore, deadline_seconds: float, claim: datetime
    ) -> tuple[str | TokenRefusal, float]:
        """What was fetched; if it came too late, the newer one that another has shared."""
        fetched, good_seconds = self._fetch(deadline_seconds)
        with suppress(TokensAway):  # then the claim ends by itself, and the token is ours alone
            if not isinstance(fetched, str):
                store.release(self._account, claim=claim)
            elif not store.keep(self._account, HeldToken(fetched, good_seconds), claim=claim) and (
                newer := store.find(self._account)
            ):
                return newer.token, newer.seconds
        return fetched, good_seconds

    def _fetch(self, deadline_seconds: float) -> tuple[str | TokenRefusal, float]:
        try:
            answer = self._transport.request(
                "POST",
                self._url,
                headers={"Accept": "application/json"},
                json=self._credentials,
                deadline_seconds=deadline_seconds,
            )
        except (ConnectFailed, AnswerLost) as fault:
            return NotSent(f"token_{fault}"), 0.0
        token, life = read_token(answer)
        return token, life - min(_RENEW_BEFORE_SECONDS, life / 10)


def read_token(answer: Answer) -> tuple[str | TokenRefusal, float]:
    """The token and the seconds it lives, or why there is none."""
    match answer.status:
        case 200:
            return _granted(answer)
        case 400 | 401 | 403:
            return AuthFailed("credentials_refused"), 0.0
        case 429:
            return Throttled(retry_after_seconds(answer)), 0.0
        case status:
            return NotSent(f"token_http_{status}"), 0.0


def _granted(answer: Answer) -> tuple[str | TokenRefusal, float]:
    try:
        body = decode_json(answer.body)
    except Unreadable:
        return NotSent("token_unreadable"), 0.0
    token = body.get("access_token") if isinstance(body, dict) else None
    life = body.get("expires_in") if isinstance(body, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return NotSent("token_unreadable"), 0.0
    if not isinstance(life, int) or life <= 1:
        return token, _LIFE_DEFAULT_SECONDS
    return token, float(min(life, _LIFE_MAX_SECONDS))
