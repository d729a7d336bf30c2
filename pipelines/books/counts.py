"""Keep the limits of a book: what people have and have redeemed, by conditional statements (EC-090).

A person's row goes before the book's, and people in the order of their ids: whoever counts waits for
whoever counts the same, and never in a circle.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from models.books import WHOLE_BOOK
from pipelines.books.refusals import BookLimitReached, UserLimitReached
from pipelines.books.rules import BookRules
from pipelines.errors import Refusal

NO_LIMIT = 2_147_483_647

# What is granted is what the row grew by: never beyond the limit, and nothing taken away where the
# limit was lowered since.
_TAKE = """
INSERT INTO coupon_counts AS c (book_id, user_id, agency_id, client_id, {what})
SELECT :book, w.user_id, :agency, :client, least(w.wanted, CAST(:most AS integer))
FROM unnest(CAST(:users AS uuid[]), CAST(:wanted AS integer[])) AS w (user_id, wanted)
ORDER BY w.user_id
ON CONFLICT (book_id, user_id) DO UPDATE
  SET {what} = greatest(c.{what}, least(c.{what} + excluded.{what}, CAST(:most AS integer)))
RETURNING user_id, new.{what} - coalesce(old.{what}, 0) AS granted
"""
_TAKE_ASSIGNED = text(_TAKE.format(what="assigned"))
_TAKE_REDEEMED = text(_TAKE.format(what="redeemed"))
_GIVE_BACK = text("""
UPDATE coupon_counts c SET assigned = c.assigned - b.given
FROM unnest(CAST(:users AS uuid[]), CAST(:given AS integer[])) AS b (user_id, given)
WHERE c.book_id = :book AND c.user_id = b.user_id
""")
_LOCK = text("""
SELECT FROM coupon_counts WHERE book_id = :book AND user_id = ANY (:users)
ORDER BY user_id FOR NO KEY UPDATE
""")


def take_places(
    session: Session, rules: BookRules, items: Sequence[tuple[int, UUID]]
) -> dict[int, Refusal]:
    """Count an assignment for each item, a position and a person; those that a limit refuses.

    Of one person the first positions are allowed, and of the book.
    """
    granted = _take_people(session, rules, Counter(user for _position, user in items))
    refused: dict[int, Refusal] = {}
    allowed = []
    for position, user in sorted(items):
        if granted[user] > 0:
            granted[user] -= 1
            allowed.append((position, user))
        else:
            refused[position] = _too_many_of(rules)
    whole = _take_whole(session, rules, len(allowed))
    if whole < len(allowed):
        beyond = allowed[whole:]
        refused |= {position: _too_many_of_book(rules) for position, _user in beyond}
        _give_back(session, rules, Counter(user for _position, user in beyond))
    return refused


def give_back_places(session: Session, rules: BookRules, given: Mapping[UUID, int]) -> None:
    """People no longer have so many coupons of the book, nor has the book given them."""
    _give_back(session, rules, given)
    if rules.counts_itself and given:
        values = {"book": rules.id, "users": [WHOLE_BOOK], "given": [sum(given.values())]}
        session.execute(_GIVE_BACK, values)


def _take_people(session: Session, rules: BookRules, wanted: Mapping[UUID, int]) -> dict[UUID, int]:
    if not rules.counts_people:
        return dict(wanted)
    most = rules.max_assignments_per_user
    values = _who(rules) | {
        "users": list(wanted),
        "wanted": list(wanted.values()),
        "most": NO_LIMIT if most is None else most,
    }
    return {row.user_id: row.granted for row in session.execute(_TAKE_ASSIGNED, values)}


def _take_whole(session: Session, rules: BookRules, wanted: int) -> int:
    if not rules.counts_itself or wanted == 0:
        return wanted
    most = NO_LIMIT if rules.max_assignments is None else rules.max_assignments
    return _take_one(session, _TAKE_ASSIGNED, rules, WHOLE_BOOK, wanted, most)


def _give_back(session: Session, rules: BookRules, given: Mapping[UUID, int]) -> None:
    if not rules.counts_people or not given:
        return
    session.execute(_LOCK, {"book": rules.id, "users": list(given)})
    values = {"book": rules.id, "users": list(given), "given": list(given.values())}
    session.execute(_GIVE_BACK, values)


def _too_many_of(rules: BookRules) -> UserLimitReached:
    most = rules.max_assignments_per_user
    assert most is not None, "a book without the limit refuses nobody for it"
    return UserLimitReached("assignments", most=most)


def _too_many_of_book(rules: BookRules) -> BookLimitReached:
    assert rules.max_assignments is not None, "a book without the limit refuses nothing for it"
    return BookLimitReached("assignments", most=rules.max_assignments)


def take_redeemed(session: Session, rules: BookRules, user_id: UUID) -> Refusal | None:
    """Count one redemption of a person; the refusal of the first limit that is reached (EC-091).

    After a refusal the caller rolls back to before it: the person may be counted already.
    """
    if rules.counts_people:
        most = rules.max_redemptions_per_user
        granted = _take_one(
            session, _TAKE_REDEEMED, rules, user_id, 1, NO_LIMIT if most is None else most
        )
        if not granted:
            assert most is not None
            return UserLimitReached("redemptions", most=most)
    if rules.counts_itself:
        most = rules.max_redemptions
        granted = _take_one(
            session, _TAKE_REDEEMED, rules, WHOLE_BOOK, 1, NO_LIMIT if most is None else most
        )
        if not granted:
            assert most is not None
            return BookLimitReached("redemptions", most=most)
    return None


def _take_one(
    session: Session,
    statement: TextClause,
    rules: BookRules,
    user_id: UUID,
    wanted: int,
    most: int,
) -> int:
    values = _who(rules) | {"users": [user_id], "wanted": [wanted], "most": most}
    granted: int = session.execute(statement, values).one().granted
    return granted


def _who(rules: BookRules) -> dict[str, object]:
    return {"book": rules.id, "agency": rules.agency_id, "client": rules.client_id}
