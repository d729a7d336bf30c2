"""The alerts of payments, as pure data."""

from models.alerts import Severity
from pipelines.alerts.kind import AlertKind

AMOUNT_MISMATCH = AlertKind(
    "amount_mismatch",
    "purchase",
    Severity.CRITICAL,
    "Another amount or currency was paid than we asked for; nothing is confirmed by it.",
    "Open the purchase: take what was paid, or pay it back.",
)
LATE_PAYMENT_OVERFLOW = AlertKind(
    "late_payment_overflow",
    "discount",
    Severity.WARNING,
    "A payment came after its slot was given back, and the code had no other: it counts beside the limit.",
    "Nothing is owed. Raise the limit, or set the code to pay late payments back.",
)
PAID_TWICE = AlertKind(
    "paid_twice",
    "purchase",
    Severity.WARNING,
    "A cart was paid a second time; the second payment is being paid back.",
    "Nothing is to be done unless the refund fails. Tell the shopper.",
)
SECOND_PAYMENT = AlertKind(
    "second_payment",
    "purchase",
    Severity.CRITICAL,
    "Money came for a purchase on a page, or by a payment, that is not its own; nothing is confirmed by it.",
    "Find the payment that is named in Stripe's pages, and pay it back there.",
)
EVENT_UNREADABLE = AlertKind(
    "event_unreadable",
    "stripe_event",
    Severity.WARNING,
    "An event of Stripe's has a shape that this release cannot read; it had no effect.",
    "Look at it in Stripe's pages. With a release that reads it, handle it once more.",
)
PAYMENT_DISPUTED = AlertKind(
    "payment_disputed",
    "purchase",
    Severity.WARNING,
    "The payer's bank asks a payment back.",
    "Answer the dispute in Stripe's pages before its time is over.",
)
REFUND_FAILED = AlertKind(
    "refund_failed",
    "purchase",
    Severity.CRITICAL,
    "Money that was to be paid back did not go back.",
    "Look at the refund in Stripe's pages, and pay the customer back in another way.",
)
UNMATCHED_EVENT = AlertKind(
    "unmatched_event",
    "stripe_event",
    Severity.WARNING,
    "Stripe told for three days of a payment that is not known here.",
    "Find it in Stripe's pages by the event's object: it may be of another system, or its purchase was lost.",
)
EVENT_MODE_MISMATCH = AlertKind(
    "event_mode_mismatch",
    "stripe_event",
    Severity.CRITICAL,
    "An event of another mode or account than ours was sent to our address, rightly signed.",
    "Correct the endpoint in Stripe's pages: test events belong to a test installation.",
)
WEBHOOK_SECRET_OLD = AlertKind(
    "webhook_secret_old",
    "stripe_event",
    Severity.WARNING,
    "Stripe signs with an older of our secrets alone: the newest is not the endpoint's.",
    "Put the endpoint's signing secret first in STRIPE_WEBHOOK_SECRETS.",
)
WEBHOOK_GAP = AlertKind(
    "webhook_gap",
    "stripe_event",
    Severity.WARNING,
    "Events had to be pulled from Stripe, because nobody was told of them.",
    "See in Stripe's pages whether the endpoint is disabled, or fails.",
)
PAYMENTS_DO_NOT_AGREE = AlertKind(
    "payments_do_not_agree",
    "stripe_event",
    Severity.CRITICAL,
    "Stripe's list of payments and ours are not the same; the numbers count how.",
    "Open the findings on the webhooks page, and settle each with Stripe's pages.",
)
USAGE_DRIFT = AlertKind(
    "usage_drift",
    "discount",
    Severity.WARNING,
    "A code counted other uses than it has; a small difference was corrected.",
    "Find out who changed it: the audit log has both numbers. A large one waits for a person.",
)
RISKY_PURCHASE_WAITS = AlertKind(
    "risky_purchase_waits",
    "purchase",
    Severity.WARNING,
    "A purchase is paid and its use of a code looks like a deception: a person decides on it.",
    "Open Flagged uses: approve it, or reject it, which pays the money back.",
)
CODE_LEAK_SUSPECTED = AlertKind(
    "code_leak_suspected",
    "discount",
    Severity.WARNING,
    "Many more customers than before reserved a code within minutes; it is paused, and what is reserved can still be paid.",
    "Find out where the code stands. Resume it, or put it away and make another one.",
)
ASSIGNED_CODE_LEAKED = AlertKind(
    "assigned_code_leaked",
    "discount",
    Severity.WARNING,
    "Several others tried a code that is for one customer alone; none of them could use it, and its customer still can.",
    "Find out where the code stands. Nothing has to be done; to be rid of it, put it away and give its customer another one.",
)

ALL = (
    AMOUNT_MISMATCH,
    LATE_PAYMENT_OVERFLOW,
    PAID_TWICE,
    SECOND_PAYMENT,
    EVENT_UNREADABLE,
    PAYMENT_DISPUTED,
    REFUND_FAILED,
    UNMATCHED_EVENT,
    EVENT_MODE_MISMATCH,
    WEBHOOK_SECRET_OLD,
    WEBHOOK_GAP,
    PAYMENTS_DO_NOT_AGREE,
    USAGE_DRIFT,
    RISKY_PURCHASE_WAITS,
    CODE_LEAK_SUSPECTED,
    ASSIGNED_CODE_LEAKED,
)
