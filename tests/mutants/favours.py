"""Rules about codes for some and rewards for others, broken one at a time (EC-017, S2-127, S2-128, EC-033)."""

from tests.mutants.mutants import Mutant

ASSIGNED = ("tests/web/test_assigned_codes.py",)
TIERS = ("tests/rules/test_discount_tiers.py",)
REFERRALS = ("tests/checkout/test_referrals.py",)
PROGRAMS = ("tests/web/test_referrals.py",)
PAID_AGAIN = ("tests/checkout/test_paid_again.py",)
RETURNED = ("tests/rules/test_returned.py",)
REFUNDS = ("tests/checkout/test_refunds.py",)

FAVOURS = (
    Mutant(
        "a code for one customer is everybody's",
        "pipelines/discounts/look_up.py",
        "if not is_for(row.assignee_keys, row.assigned_user_id, customer):",
        "if False:",
        ASSIGNED,
    ),
    Mutant(
        "nobody is told of who tries another's code",
        "pipelines/fraud/strangers.py",
        "if others >= limits.code_tries_alert_at:",
        "if False:",
        ASSIGNED,
    ),
    Mutant(
        "the first tier that is reached decides",
        "pipelines/discounts/tiers.py",
        "            reached = tier\n",
        "            return tier\n",
        TIERS,
    ),
    Mutant(
        "a tier begins beyond its subtotal",
        "pipelines/discounts/tiers.py",
        "if subtotal_minor >= tier.from_minor:",
        "if subtotal_minor > tier.from_minor:",
        TIERS,
    ),
    Mutant(
        "a referrer uses the own code",
        "pipelines/discounts/reserve.py",
        "    if is_own(code, keys):\n        raise OwnReferral\n",
        "",
        (*REFERRALS, *PROGRAMS),
    ),
    Mutant(
        "a reward is issued before it is due",
        "pipelines/referrals/issue.py",
        "r.state = 'pending' AND r.due_at <= :now AND NOT EXISTS",
        "r.state = 'pending' AND r.due_at <= r.due_at AND NOT EXISTS",
        REFERRALS,
    ),
    Mutant(
        "a refund that is asked for keeps the reward",
        "pipelines/referrals/follow.py",
        "WHERE b.payment_id = m.id AND b.state = 'asked')",
        "WHERE b.payment_id = m.id AND b.state = 'none')",
        REFERRALS,
    ),
    Mutant(
        "a cart has the codes of two referrers",
        "pipelines/discounts/stacking.py",
        "if one.is_referral and new.is_referral)",
        "if one.is_referral and new is None)",
        (*REFERRALS, *PROGRAMS, "tests/rules/test_discount_stacking.py"),
    ),
    Mutant(
        "a cart that was just paid takes another code",
        "pipelines/discounts/reserve.py",
        "    refuse_paid(session, ask.client_id, cart.reference, cart.digest, keys, now=doing.now)\n",
        "",
        PAID_AGAIN,
    ),
    Mutant(
        "a unit comes back as often as somebody says",
        "pipelines/checkout/returned.py",
        "if quantity > bought - before:",
        "if quantity > bought:",
        (*RETURNED, *REFUNDS),
    ),
    Mutant(
        "a refund that failed keeps its units",
        "pipelines/checkout/returned.py",
        "AND r.state <> 'failed'",
        "AND r.state <> 'none'",
        REFUNDS,
    ),
)
