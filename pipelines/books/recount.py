"""Count anew what people have of a book, where a limit is set on what it already gave.

Whoever gives or redeems its coupons shares the book's deck lock, and keeps the counts from then on.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.books import WHOLE_BOOK
from pipelines.errors import FieldError, ValidationFailed

#: Coupons that were given and are counted while their book waits, in some two seconds.
COUNTED_AT_ONCE_MAX = 200_000
#: SQL: what one coupon counts for, in sums over the coupons of a person or a book.
ASSIGNED = "count(*) FILTER (WHERE c.state IN ('assigned', 'locked', 'redeemed'))"
REDEEMED = "coalesce(sum(c.redemptions), 0)"

_GIVEN = text("""
SELECT coalesce(sum(assigned + locked + redeemed), 0) FROM book_stock WHERE book_id = :book
""")
_KEEP = """
ON CONFLICT (book_id, user_id) DO UPDATE
    SET assigned = excluded.assigned, redeemed = excluded.redeemed
    WHERE (coupon_counts.assigned, coupon_counts.redeemed)
        <> (excluded.assigned, excluded.redeemed)
"""
# Who has nothing any more may have a row of a limit that was lifted meanwhile.
_COUNT_PEOPLE = text(f"""
INSERT INTO coupon_counts (book_id, user_id, agency_id, client_id, assigned, redeemed)
SELECT b.id, p.user_id, b.agency_id, b.client_id, sum(p.assigned), sum(p.redeemed)
FROM books b CROSS JOIN LATERAL (
    SELECT c.user_id, {ASSIGNED} AS assigned, {REDEEMED} AS redeemed
    FROM coupons c WHERE c.book_id = b.id AND c.user_id IS NOT NULL GROUP BY c.user_id
    UNION ALL
    SELECT n.user_id, 0, 0 FROM coupon_counts n WHERE n.book_id = b.id AND n.user_id <> :whole
) p WHERE b.id = :book GROUP BY b.id, p.user_id
{_KEEP}
""")
_COUNT_BOOK = text(f"""
INSERT INTO coupon_counts (book_id, user_id, agency_id, client_id, assigned, redeemed)
SELECT b.id, :whole, b.agency_id, b.client_id, n.assigned, n.redeemed
FROM books b CROSS JOIN LATERAL (
    SELECT {ASSIGNED} AS assigned, {REDEEMED} AS redeemed
    FROM coupons c WHERE c.book_id = b.id AND c.state <> 'unassigned') n
WHERE b.id = :book
{_KEEP}
""")


class TooManyToCount(ValidationFailed):
    """A first limit on a book that has given so many coupons that counting them takes too long."""

    code = "too_many_to_count"

    def __init__(self, given: int, fields: Iterable[str]) -> None:
        detail = (
            f"The book has given {given:,} coupons. A limit that counts what was given already can "
            f"be set until it has given {COUNTED_AT_ONCE_MAX:,}. Make another book with the limit."
        )
        errors = tuple(FieldError(self.code, detail, pointer=f"/{name}") for name in fields)
        super().__init__(detail, errors=errors)


def refuse_too_many(session: Session, book_id: UUID, fields: Iterable[str]) -> None:
    """Raise `TooManyToCount` where counting would keep everybody from the book for seconds.

    `fields`: the limits that are set.
    """
    given = int(session.execute(_GIVEN, {"book": book_id}).scalar_one())
    if given > COUNTED_AT_ONCE_MAX:
        raise TooManyToCount(given, fields)


def count_people(session: Session, book_id: UUID) -> None:
    """One row for everybody who has, or had, a coupon of the book; the deck is the caller's alone."""
    session.execute(_COUNT_PEOPLE, {"book": book_id, "whole": WHOLE_BOOK})


def count_book(session: Session, book_id: UUID) -> None:
    """The row of the book as a whole; the deck is the caller's alone, or the book is new."""
    session.execute(_COUNT_BOOK, {"book": book_id, "whole": WHOLE_BOOK})
