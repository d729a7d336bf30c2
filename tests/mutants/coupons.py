"""Rules about coupons, broken one at a time: who gets which, and who is told what."""

from tests.mutants.mutants import Mutant

RANDOM = ("tests/web/test_random_assignment.py",)
HISTORY = ("tests/web/test_coupon_history.py",)
LIMITS = ("tests/web/test_coupon_limits.py",)

COUPONS = (
    Mutant(
        "coupons are given in the order in which they came in",
        "pipelines/books/write_coupons.py",
        '[key >> _SIGN_BIT for key in struct.unpack(f">{count}Q", os.urandom(8 * count))]',
        '[__import__("time").time_ns() + place for place in range(count)]',
        RANDOM,
    ),
    Mutant(
        "a coupon that comes back is the next",
        "pipelines/books/deck.py",
        "return secrets.randbelow(KEYS)",
        "return secrets.randbelow(KEYS >> 20)",
        RANDOM,
    ),
    Mutant(
        "a released coupon keeps its place",
        "pipelines/redemption/withdraw.py",
        "draw_key=new_place()",
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
