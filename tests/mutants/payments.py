"""Rules about payments, broken one at a time: what is known, what follows, and what goes back."""

from tests.mutants.mutants import Mutant

FACTS = ("tests/rules/test_payment_facts.py",)
SIGNED = ("tests/rules/test_stripe_signature.py",)
CHECKOUT = ("tests/checkout/test_checkout.py",)
EVENTS = ("tests/checkout/test_payment_events.py",)
LATE = ("tests/checkout/test_late_payments.py",)
REFUNDS = ("tests/checkout/test_refunds.py",)
TOP_UPS = ("tests/checkout/test_top_ups.py",)

PAYMENTS = (
    Mutant(
        "the last event of a payment wins",
        "pipelines/payments/facts.py",
        "return one if other is None or order.index(other) <= order.index(one) else other",
        "return one if other is None else other",
        FACTS,
    ),
    Mutant(
        "any amount of a payment confirms",
        "pipelines/payments/facts.py",
        "return (self.paid_minor, self.paid_currency) == (self.amount_minor, self.currency)",
        "return True",
        FACTS,
    ),
    Mutant(
        "a payment event signed tomorrow is taken",
        "pipelines/payments/signature.py",
        "if abs(now - int(times[0])) > TOLERANCE_SECONDS:",
        "if now - int(times[0]) > TOLERANCE_SECONDS:",
        SIGNED,
    ),
    Mutant(
        "a slot is given back while its payment page is open",
        "pipelines/discounts/release.py",
        "AND purchase_id IS NOT DISTINCT FROM CAST(:purchase AS uuid)",
        "AND CAST(:purchase AS uuid) IS NOT DISTINCT FROM CAST(:purchase AS uuid)",
        CHECKOUT,
    ),
    Mutant(
        "the sweeper asks nobody whether a payment page is open",
        "pipelines/discounts/release.py",
        "WHERE state = 'reserved' AND purchase_id IS NULL",
        "WHERE state = 'reserved'",
        CHECKOUT,
    ),
    Mutant(
        "each try of a payment page has a key of its own",
        "pipelines/payments/page.py",
        'key = f"payment:{payment.id}:{payment.page_key}"',
        'key = f"payment:{id(payment)}"',
        CHECKOUT,
    ),
    Mutant(
        "a second payment of one cart is kept",
        "pipelines/checkout/follow.py",
        "        return bool(usage.purchase_id != purchase.id)",
        "        return False",
        LATE,
    ),
    Mutant(
        "a bank debit's payment keeps its slot no longer than a card's",
        "pipelines/checkout/follow.py",
        "hold_until(session, usage.id, now + ASYNC_HOLD)",
        "pass",
        LATE,
    ),
    Mutant(
        "a payment event that is too early is given up at once",
        "pipelines/payments/handle.py",
        "if event.tries >= len(LOOKS):",
        "if event.tries >= 1:",
        EVENTS,
    ),
    Mutant(
        "refunds of a payment that are asked for do not count",
        "pipelines/payments/refund.py",
        "int(payment.refunded_minor) - asked",
        "int(payment.refunded_minor)",
        REFUNDS,
    ),
    Mutant(
        "a refund of a payment gives a slot back unasked",
        "pipelines/discounts/settle.py",
        "return None if restores is Restores.NOTHING else restores.value",
        "return Restores.SLOT.value",
        REFUNDS,
    ),
    Mutant(
        "a top-up whose payment went back stays",
        "pipelines/credit/top_up.py",
        "gone = min(payment.amount_minor, payment.refunded_minor + _disputed(session, payment.id))",
        "gone = 0",
        TOP_UPS,
    ),
)
