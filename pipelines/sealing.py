"""Seal codes, PINs, secrets and personal data; find them by blind index; never show them."""

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NoReturn, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipelines.errors import Fault
from pipelines.telemetry import get_logger

log = get_logger(__name__)

MASTER_KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION_MAX = 255
#: A shorter value (every PIN) is masked whole: its last four would be half of it or more.
SHOWN_FROM_CHARACTERS = 9


class Purpose(StrEnum):
    """What a key is for; a value sealed for one purpose does not open under another."""

    CODES = "codes"
    PINS = "pins"
    SECRETS = "secrets"
    PII = "pii"


class DecryptionFailed(Fault):
    """A sealed value did not open: wrong row, wrong key, or changed bytes."""


class Secret:
    """Text that only `reveal` gives out; every other way to look at it shows `****1234`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself; the caller has audited the opening (decision 0030 lists who may ask)."""
        return self._value

    def __str__(self) -> str:
        return masked(self._value)

    def __repr__(self) -> str:
        return f"Secret({masked(self._value)})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (s._value.encode("utf-8", "surrogatepass") for s in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret is not serialised; seal it")


def masked(text: str) -> str:
    """`****1234`, or `****` alone for a value too short to show any of."""
    return f"****{text[-4:]}" if len(text) >= SHOWN_FROM_CHARACTERS else "****"


class Keyring:
    """Master keys by version; one derived key per purpose and version, ready to use.

    The blind index has its own key, derived from `index_version`: it stays when the current
    version moves on. It never changes: redemption codes are kept as their index alone.
    """

    __slots__ = (
        "_check_values",
        "_ciphers",
        "_counting",
        "_index_key",
        "_lasting_master",
        "_unopened",
        "current",
        "index_version",
        "versions",
    )

    def __init__(self, masters: Mapping[int, bytes], *, current: int, index_version: int) -> None:
        for version, master in masters.items():
            if not 1 <= version <= VERSION_MAX:
                raise ValueError(f"A key version is 1 to {VERSION_MAX}.")
            if len(master) != MASTER_KEY_BYTES:
                raise ValueError(f"Master key {version} must have {MASTER_KEY_BYTES} bytes.")
        for version in (current, index_version):
            if version not in masters:
                raise ValueError(f"There is no master key for version {version}.")
        self.current = current
        self.index_version = index_version
        self.versions = frozenset(masters)
        self._unopened = 0
        self._counting = threading.Lock()
        self._check_values = {v: _derived(m, "check") for v, m in masters.items()}
        self._ciphers = {
            (purpose, version): AESGCM(_derived(master, f"seal/{purpose}"))
            for version, master in masters.items()
            for purpose in Purpose
        }
        self._lasting_master = masters[index_version]
        self._index_key = _derived(self._lasting_master, "index")

    @classmethod
    def parse(cls, text: str, *, index_version: int | None = None) -> Self:
        """Read `2:<base64>,1:<base64>`, the current version first; the oldest keeps the index."""
        masters: dict[int, bytes] = {}
        for part in text.split(","):
            number, _colon, encoded = part.strip().partition(":")
            if not (number.isascii() and number.isdigit() and len(number) <= 3):
                raise ValueError("Write each master key as version:base64, such as 1:mK3...=")
            if int(number) in masters:
                raise ValueError(f"Key version {int(number)} is given twice.")
            masters[int(number)] = _decoded(encoded, version=int(number))
        return cls(
            masters,
            current=next(iter(masters)),
            index_version=min(masters) if index_version is None else index_version,
        )

    def lasting_key(self, label: str) -> bytes:
        """A 32-byte key for `label` that stays through rotations, as the blind index does."""
        return _derived(self._lasting_master, f"lasting/{label}")

    def missing(self, live_versions: Iterable[int]) -> frozenset[int]:
        """The versions that stored values name and this ring lacks; boot refuses if there are."""
        return frozenset(live_versions) - self.versions

    def check_value(self, version: int) -> bytes:
        """What tells this key from another one under the same number, and tells nothing of it."""
        return self._check_values[version]

    @property
    def unopened(self) -> int:
        """Values that did not open since this process began: somebody must look (SEC-14)."""
        return self._unopened

    def seal(
        self,
        purpose: Purpose,
        plaintext: str | Secret,
        *,
        table: str,
        row_id: UUID | str,
        column: str,
    ) -> bytes:
        """The value encrypted for one cell: version byte, nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[purpose, self.current]
        place = f"{table}:{row_id}:{column}".encode()
        sealed = cipher.encrypt(nonce, _utf8(plaintext), place)
        return bytes((self.current,)) + nonce + sealed

    def open_sealed(
        self, purpose: Purpose, sealed: bytes, *, table: str, row_id: UUID, column: str
    ) -> Secret:
        """The value of one cell, whichever version sealed it."""
        plaintext = self._open(purpose, sealed, f"{table}:{row_id}:{column}".encode())
        if plaintext is None:
            self._note_unopened(sealed, table=table, row_id=row_id, column=column)
            raise DecryptionFailed("decryption_failed")
        return Secret(plaintext.decode())

    def _open(self, purpose: Purpose, sealed: bytes, place: bytes) -> bytes | None:
        if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES:
            return None
        cipher = self._ciphers.get((purpose, sealed[0]))
        if cipher is None:
            return None
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, ciphertext, place)
        except InvalidTag:
            return None

    def opens(
        self,
        purposes: Iterable[Purpose],
        sealed: bytes,
        *,
        table: str,
        row_id: UUID,
        column: str,
    ) -> bool:
        """Whether the value is one of these keys', sealed for one of these purposes."""
        place = f"{table}:{row_id}:{column}".encode()
        return any(self._open(purpose, sealed, place) is not None for purpose in purposes)

    def rewrap(
        self,
        purposes: Iterable[Purpose],
        sealed: bytes,
        *,
        table: str,
        row_id: UUID,
        column: str,
    ) -> bytes | None:
        """The same value sealed under the current version; None if it opens for none of these."""
        place = f"{table}:{row_id}:{column}".encode()
        for purpose in purposes:
            plaintext = self._open(purpose, sealed, place)
            if plaintext is not None:
                text = plaintext.decode()
                return self.seal(purpose, text, table=table, row_id=row_id, column=column)
        self._note_unopened(sealed, table=table, row_id=row_id, column=column)
        return None

    def _note_unopened(self, sealed: bytes, *, table: str, row_id: UUID, column: str) -> None:
        """Where, and under which version; never what."""
        with self._counting:
            self._unopened += 1
        version = sealed[0] if sealed else None
        place = {"table": table, "row_id": str(row_id), "column": column}
        log.error("sealing.decryption_failed", version=version, **place)

    def blind_index(self, value: str | Secret, *, scope: bytes) -> bytes:
        """What equal values of one scope share, and nobody can turn back. Never for PINs.

        The scope's length goes in front, so that no scope and value can be cut another way.
        """
        named = len(scope).to_bytes(4, "big") + scope + _utf8(value)
        return hmac.digest(self._index_key, named, hashlib.sha256)

    def __repr__(self) -> str:
        return f"Keyring(current={self.current}, versions={sorted(self.versions)})"


def _derived(master: bytes, label: str) -> bytes:
    info = f"largesse/{label}".encode()
    return HKDF(algorithm=SHA256(), length=MASTER_KEY_BYTES, salt=None, info=info).derive(master)


def _decoded(encoded: str, *, version: int) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"Master key {version} is not base64.") from None


def _utf8(value: str | Secret) -> bytes:
    """Python's own error would carry the whole value, so it is not even the context of ours."""
    text = value.reveal() if isinstance(value, Secret) else value
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    raise ValueError("a value to seal must be encodable as UTF-8")
