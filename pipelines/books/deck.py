"""Take coupons that nobody has from the top of a book's deck (EC-088).

Each coupon has a random place in the deck, drawn when it came in or came back. What a distribution
is drawing from is left alone: that part of the deck is spoken for while its draw is open.
"""

import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from models.locks import Namespace, share_lock
from pipelines.books.history import Step

#: Places of the deck: 63 bits.
KEYS = 1 << 63
_LAST_KEY = KEYS - 1
#: Places for each coupon of many, so that no two meet.
_ROOM_FOR_ONE = 1 << 32
#: A deck is filled from below: half of all places, then half of those above, and so on. A draw that
#: takes all there is leaves the floors above it to whatever comes in while it is open.
_FLOORS = 31
#: Parts of a deck: above the first, up to the second key.
Parts = Sequence[tuple[int, int]]

_SET_ASIDE = text("""
SELECT after_key, upto_key FROM draws
WHERE book_id = :book AND closed_at IS NULL AND upto_key IS NOT NULL
  AND job_id IS DISTINCT FROM CAST(:but AS uuid) ORDER BY after_key
""")
_TAKE = """
SELECT id, version, draw_key FROM coupons
WHERE book_id = :book AND state = 'unassigned' AND draw_key > :low AND draw_key <= :high
ORDER BY draw_key LIMIT :limit FOR NO KEY UPDATE{skip}
"""
# A version without an event: nobody has seen the coupon yet.
_MOVE_OUT = text("""
UPDATE coupons SET version = version + 1, draw_key = :low + 1 + floor(
    (('x' || left(md5(gen_random_uuid()::text), 16))::bit(64)::bigint & :mask)::numeric
    * :width / (:mask + 1.0))::bigint
WHERE book_id = :book AND state = 'unassigned' AND draw_key > :after AND draw_key <= :upto
  AND load_job_id = :job
""")
_TAKE_FREE = text(_TAKE.format(skip=" SKIP LOCKED"))
_TAKE_WAITING = text(_TAKE.format(skip=""))


def share_deck(session: Session, book_id: UUID) -> None:
    """Act on the book's coupons beside others, before a coupon is locked and the rules are read.

    Whoever begins to count what the book gave has the deck alone: who read the rules before that
    would not be counted.
    """
    share_lock(session, Namespace.DECK, str(book_id))


def take_from_deck(session: Session, book_id: UUID, count: int) -> list[Step]:
    """Up to `count` coupons from the top of the deck, locked; their holders are still to be named.

    Fewer only if there are no more: what others have in hand, and may put back, is waited for.
    """
    share_deck(session, book_id)
    gaps = free_parts(session, book_id)
    # Who waits has nothing in hand, and takes in the order of the deck: they wait in no circle.
    savepoint = session.begin_nested()
    taken = _top(session, _TAKE_FREE, book_id, gaps, count)
    if len(taken) == count:
        savepoint.commit()
        return taken
    savepoint.rollback()
    return _top(session, _TAKE_WAITING, book_id, gaps, count)


def _top(
    session: Session, statement: TextClause, book_id: UUID, gaps: Parts, count: int
) -> list[Step]:
    taken: list[Step] = []
    for low, high in gaps:
        values = {"book": book_id, "low": low, "high": high, "limit": count - len(taken)}
        rows = session.execute(statement, values)
        taken += [Step(row.id, row.version, None) for row in rows]
        if len(taken) == count:
            break
    return taken


def free_parts(
    session: Session, book_id: UUID, *, but: UUID | None = None
) -> list[tuple[int, int]]:
    """The parts of the deck that no open draw has set aside.

    `but`: the job whose own part counts as free.
    """
    rows = session.execute(_SET_ASIDE, {"book": book_id, "but": but})
    return gaps_between((row.after_key, row.upto_key) for row in rows)


def gaps_between(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What lies between, before and after parts in ascending order; parts may touch or overlap."""
    gaps = []
    low = -1
    for after, upto in parts:
        if after > low:
            gaps.append((low, after))
        low = max(low, upto)
    return [*gaps, (low, _LAST_KEY)] if low < _LAST_KEY else gaps


def is_set_aside(session: Session, book_id: UUID, draw_key: int) -> bool:
    """Whether an open draw has spoken for this place; the deck is shared from now on."""
    share_deck(session, book_id)
    parts = session.execute(_SET_ASIDE, {"book": book_id, "but": None})
    return any(row.after_key < draw_key <= row.upto_key for row in parts)


def new_places(session: Session, book_id: UUID, count: int) -> list[int]:
    """Random places for coupons that come in or come back; the deck is shared from now on.

    None is in a part that a draw has set aside: what is not drawn is everybody's at once.
    """
    share_deck(session, book_id)
    return places_in(free_parts(session, book_id), count)


def places_in(parts: Parts, count: int) -> list[int]:
    """So many places of these parts, each of their lowest floor with room as likely as any other.

    Anywhere, where no floor has room: so many draws that took everything are open at once.
    """
    parts = _roomy(parts, count) or [(-1, _LAST_KEY)]
    ends = list(accumulate(high - low for low, high in parts))
    drawn = struct.unpack(f">{count}Q", os.urandom(8 * count))
    return [_place(parts, ends, number * ends[-1] >> 64) for number in drawn]


def _roomy(parts: Parts, count: int) -> Parts:
    """What the parts have of the lowest floor on which so many coupons do not meet; empty for none."""
    for floor in range(_FLOORS):
        low, high = KEYS - (KEYS >> floor) - 1, KEYS - (KEYS >> floor + 1) - 1
        inside = [(max(low, one), min(high, other)) for one, other in parts]
        inside = [(one, other) for one, other in inside if one < other]
        if sum(other - one for one, other in inside) >= max(1, count) * _ROOM_FOR_ONE:
            return inside
    return []


def _place(parts: Parts, ends: Sequence[int], nth: int) -> int:
    part = bisect_right(ends, nth)
    return parts[part][1] - (ends[part] - nth) + 1


def leave_draws(session: Session, book_id: UUID, job_id: UUID, *, count: int, known: Parts) -> None:
    """Before the commit of `count` coupons whose places were drawn when the parts `known` were free.

    Those that lie in what a draw has set aside since get another place, if there is room for them;
    the deck is shared until the commit.
    """
    share_deck(session, book_id)
    free = free_parts(session, book_id)
    roomy = _roomy(free, count)
    if free == known or not roomy:
        return
    low, high = max(roomy, key=lambda part: part[1] - part[0])
    values = {"book": book_id, "job": job_id, "low": low, "width": high - low, "mask": _LAST_KEY}
    for after, upto in gaps_between(free):
        session.execute(_MOVE_OUT, values | {"after": after, "upto": upto})
