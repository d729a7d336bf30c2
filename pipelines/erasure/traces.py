"""How a person is recognised in what is kept: pure."""

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

from pipelines.access.users import normalised
from pipelines.jobs.addresses import normalised_email, person_key

#: How an upload's bytes may spell an address.
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
_PART_OF_AN_ADDRESS = r"[\w.+%-]"


@dataclass(frozen=True, slots=True)
class Traces:
    """What stands for one person: their key, their address as text and as bytes."""

    person_key: bytes
    address: str
    #: The address as a whole word, as PostgreSQL's regular expressions have it.
    pattern: str
    spellings: tuple[bytes, ...]
    #: As accounts and clients' people keep it.
    compared: list[str]

    @classmethod
    def of(cls, email: str, person_secret: bytes) -> "Traces":
        address = normalised_email(email)
        bounded = rf"(^|(?!{_PART_OF_AN_ADDRESS}).){re.escape(address)}($|(?![\w-]).)"
        compared = sorted({address, normalised(address)})
        key = person_key(email, person_secret)
        return cls(key, address, bounded, tuple(_spellings(address)), compared)


def pseudonym(erasure_id: UUID) -> bytes:
    """What stands for the person afterwards: the same everywhere, and nobody's address gives it."""
    return hashlib.sha256(b"largesse erased person " + erasure_id.bytes).digest()


def _spellings(address: str) -> set[bytes]:
    found = set()
    for encoding in _ENCODINGS:
        try:
            found.add(address.encode(encoding))
        except UnicodeEncodeError:
            continue
    return found
