"""Rules about coupons, broken one at a time: who gets which, and who is told what."""

from tests.mutants.mutants import Mutant

RANDOM = ("tests/web/test_random_assignment.py",)
HISTORY = ("tests/web/test_coupon_history.py",)
LIMITS = ("tests/web/test_coupon_limits.py",)

COUPONS = (
    Mutant(
        "coupons are given in the order in which they came in",
        "pipelines/books/deck.py",
        "_place(parts, ends, number * ends[-1] >> 64) for number in drawn",
        '__import__("time").time_ns() + n for n in range(count)',
        RANDOM,
    ),
    Mutant(
        "a coupon that comes back is the next",
        "pipelines/books/deck.py",
        "return places_in(free_parts(session, book_id), count)",
        "return places_in([(-1, KEYS >> 20)], count)",
        RANDOM,
    ),
    Mutant(
        "a released coupon keeps its place",
        "pipelines/redemption/withdraw.py",
        "draw_key=place",
        "draw_key=found.draw_key",
        RANDOM,
    ),
    Mutant(
        "a holder reads what was done before the coupon was theirs",
        "pipelines/books/coupon_view.py",
        "AND user_id = :holder AND number > :after",
        "AND number > :after",
        HISTORY,
    ),
    Mutant(
        "a holder is told who else acted on their coupon",
        "pipelines/books/coupon_view.py",
        "CASE WHEN actor_id = :holder THEN actor_id END AS actor_id",
        "actor_id",
        HISTORY,
    ),
    Mutant(
        "whoever runs a book reads everything of all coupons that they hold",
        "web/coupon_choice.py",
        "return None if is_in_sight(session, coupon.book_id) else caller.actor_id",
        "return None",
        HISTORY,
    ),
    Mutant(
        "a lowered limit is not foretold",
        "pipelines/books/coupon_states.py",
        "if most is None or coupon.redemptions < most:",
        "if most is None or coupon.redemptions <= most:",
        LIMITS,
    ),
)
