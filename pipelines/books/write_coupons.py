"""Write new coupons of a book, thousands with one statement; a code that its client has is left out."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_ids
from pipelines.books.deck import new_places
from pipelines.jobs.copying import copy_lines
from pipelines.sealing import Keyring, Purpose

#: What a code's last characters are called where they are shown in its stead.
LAST_CHARACTERS = 4
_NULL = r"\N"
#: Coupons of the deck whose ids lie together: a few pages of the key. Who sees ids alone cannot tell
#: which of them is given first.
NEIGHBOURS = 500
_random = random.SystemRandom()

_CREATE = text("""
CREATE TEMPORARY TABLE IF NOT EXISTS new_coupons (
    id uuid NOT NULL, code text, blind_index bytea NOT NULL, draw_key bigint NOT NULL,
    code_sealed bytea, last4 text) ON COMMIT DROP
""")
_EMPTY = text("TRUNCATE new_coupons")
_COPY = "COPY new_coupons (id, code, blind_index, draw_key, code_sealed, last4) FROM STDIN"
# Two who write at once may meet in the index of codes: they write in its order, and wait in no circle.
# Coupons lie in the order of their deck, so that a distribution moves neighbours (decision 0040).
_INDEXED = """
WITH indexed AS (
    INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
    SELECT blind_index, :book, id, :agency, :client FROM new_coupons ORDER BY blind_index
    ON CONFLICT (blind_index) DO NOTHING RETURNING coupon_id
)"""
_COUPONS = """
INSERT INTO coupons (book_id, id, agency_id, client_id, code, draw_key, load_job_id)
SELECT :book, n.id, :agency, :client, n.code, n.draw_key, :job
FROM new_coupons n JOIN indexed x ON x.coupon_id = n.id ORDER BY n.draw_key
"""
_WRITE = text(_INDEXED + _COUPONS)
_WRITE_SEALED = text(f"""{_INDEXED}, written AS ({_COUPONS} RETURNING id)
INSERT INTO coupon_codes (id, agency_id, client_id, code_sealed, last4)
SELECT id, :agency, :client, n.code_sealed, n.last4 FROM new_coupons n JOIN written USING (id)
""")


@dataclass(frozen=True, slots=True)
class Supply:
    """Whose coupons they are, and the job that makes or loads them."""

    book_id: UUID
    agency_id: UUID
    client_id: UUID
    job_id: UUID
    seals_codes: bool


def write_coupons(
    session: Session, supply: Supply, codes: Iterable[str], *, keyring: Keyring
) -> int:
    """Write a coupon for each of the codes, canonical and all different; how many were new.

    The deck is shared from now on.
    """
    texts = list(codes)
    places = new_places(session, supply.book_id, len(texts))
    deck = sorted(zip(places, texts, strict=True))
    session.execute(_CREATE)
    session.execute(_EMPTY)
    copy_lines(session, _COPY, list(_lines(supply, deck, keyring)))
    values = {
        "book": supply.book_id,
        "agency": supply.agency_id,
        "client": supply.client_id,
        "job": supply.job_id,
    }
    done = session.execute(_WRITE_SEALED if supply.seals_codes else _WRITE, values)
    return int(done.rowcount)  # type: ignore[attr-defined]


def sealed_code(keyring: Keyring, code: str, identity: UUID | str) -> bytes:
    """The code as the row of its coupon in `coupon_codes` keeps it."""
    return keyring.seal(
        Purpose.CODES, code, table="coupon_codes", row_id=identity, column="code_sealed"
    )


def _lines(supply: Supply, deck: list[tuple[int, str]], keyring: Keyring) -> Iterator[str]:
    """Rows of `new_coupons`; neighbours of the deck have neighbouring ids, in no order of theirs."""
    scope = supply.client_id.bytes
    ids = new_ids(len(deck))
    for first in range(0, len(ids), NEIGHBOURS):
        block = ids[first : first + NEIGHBOURS]
        _random.shuffle(block)
        ids[first : first + NEIGHBOURS] = block
    for identity, (place, code) in zip(ids, deck, strict=True):
        index = keyring.blind_index(code, scope=scope).hex()
        if supply.seals_codes:
            sealed = sealed_code(keyring, code, identity).hex()
            rest = f"{place}\t\\\\x{sealed}\t{code[-LAST_CHARACTERS:]}"
            yield f"{identity}\t{_NULL}\t\\\\x{index}\t{rest}\n"
        else:
            yield f"{identity}\t{code}\t\\\\x{index}\t{place}\t{_NULL}\t{_NULL}\n"
