"""Share a vendor's access token between all workers: sealed in one row, renewed by one at a time.

A process that starts takes the token that is good, for a vendor may grant only one in a day. Who
renews holds a claim that ends by itself, so that a dead worker's is taken over.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM, set_aside
from pipelines.errors import Fault
from pipelines.sealing import DecryptionFailed, Keyring, Purpose

_NAMES = uuid.UUID("6f6b3b1c-6a2e-5d0e-9d0b-5a1f6f3c8e11")
_TABLE, _COLUMN = "vendor_tokens", "token_sealed"

_FIND = text("""
SELECT token_sealed, extract(epoch FROM good_until - clock_timestamp()) AS seconds
FROM vendor_tokens WHERE id = :id AND token_sealed IS NOT NULL AND good_until > clock_timestamp()
""")
_CLAIM = text("""
INSERT INTO vendor_tokens AS t (id, vendor, renewed_until)
VALUES (:id, :vendor, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (id) DO UPDATE SET renewed_until = excluded.renewed_until
WHERE (t.renewed_until IS NULL OR t.renewed_until < clock_timestamp())
  AND (t.token_sealed IS NULL OR t.good_until <= clock_timestamp())
RETURNING renewed_until
""")
# A claim is known by its end, which is later than that of every claim before it.
_KEEP = text("""
UPDATE vendor_tokens SET token_sealed = :sealed, renewed_until = NULL,
    good_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = :id AND renewed_until = :claim
RETURNING 1
""")
_RELEASE = text(
    "UPDATE vendor_tokens SET renewed_until = NULL WHERE id = :id AND renewed_until = :claim"
)
_LOCK = text("SELECT token_sealed FROM vendor_tokens WHERE id = :id FOR NO KEY UPDATE")
_DROP = text("UPDATE vendor_tokens SET token_sealed = NULL WHERE id = :id")


class TokensAway(Fault):
    """The shared tokens cannot be reached; nothing has been ordered then."""


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token and the seconds for which it may still be used."""

    token: str = field(repr=False)
    seconds: float


class TokenStore(Protocol):
    """Where the tokens of one account are shared; each verb may raise `TokensAway`."""

    def find(self, account: UUID) -> HeldToken | None:
        """The account's good token."""

    def claim(self, account: UUID, *, vendor: str, seconds: float) -> datetime | None:
        """The claim, if the caller alone may fetch a token, for so many seconds."""

    def keep(self, account: UUID, held: HeldToken, *, claim: datetime) -> bool:
        """Share a token that was fetched under the claim, and end it.

        False: it was too late, and another has claimed since; what that one fetched stays.
        """

    def release(self, account: UUID, *, claim: datetime) -> None:
        """End the claim, if it still stands: no token was to be had."""

    def drop(self, account: UUID, token: str) -> None:
        """The vendor refused this token; a newer one stays."""


def account_id(*parts: str) -> UUID:
    """The id of an account by what names it: vendor, addresses, client."""
    return uuid.uuid5(_NAMES, "\0".join(parts))


class SharedTokens:
    """The tokens in the database, in the system's scope; every verb is its own transaction."""

    def __init__(self, sessions: Sessions, keyring: Keyring) -> None:
        self._sessions = sessions
        self._keyring = keyring

    def find(self, account: UUID) -> HeldToken | None:
        with self._session() as session:
            row = session.execute(_FIND, {"id": account}).one_or_none()
        if row is None:
            return None
        token = self._opened(account, bytes(row.token_sealed))
        if token is None:
            self.drop(account, "")  # of no use to anybody, and in the way of a new one
            return None
        return HeldToken(token, float(row.seconds))

    def claim(self, account: UUID, *, vendor: str, seconds: float) -> datetime | None:
        values = {"id": account, "vendor": vendor, "seconds": seconds}
        with self._session() as session:
            claim: datetime | None = session.execute(_CLAIM, values).scalar_one_or_none()
        return claim

    def keep(self, account: UUID, held: HeldToken, *, claim: datetime) -> bool:
        sealed = self._keyring.seal(
            Purpose.SECRETS, held.token, table=_TABLE, row_id=account, column=_COLUMN
        )
        values = {"id": account, "sealed": sealed, "seconds": held.seconds, "claim": claim}
        with self._session() as session:
            return session.execute(_KEEP, values).scalar_one_or_none() is not None

    def release(self, account: UUID, *, claim: datetime) -> None:
        with self._session() as session:
            session.execute(_RELEASE, {"id": account, "claim": claim})

    def drop(self, account: UUID, token: str) -> None:
        with self._session() as session:
            sealed = session.execute(_LOCK, {"id": account}).scalar_one_or_none()
            if sealed is not None and self._opened(account, bytes(sealed)) in {token, None}:
                session.execute(_DROP, {"id": account})

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            # A worker buys in its tenant's scope; tokens are nobody's.
            with set_aside(), scoped_transaction(self._sessions, SYSTEM) as session:
                yield session
        except (DBAPIError, PoolTimeout):
            # What failed is not shown with it: no statement stands in a log.
            raise TokensAway("the shared tokens cannot be reached") from None

    def _opened(self, account: UUID, sealed: bytes) -> str | None:
        """None: sealed under a key that is gone, so it is as if there were no token."""
        try:
            secret = self._keyring.open_sealed(
                Purpose.SECRETS, sealed, table=_TABLE, row_id=account, column=_COLUMN
            )
        except DecryptionFailed:
            return None
        return secret.reveal()
