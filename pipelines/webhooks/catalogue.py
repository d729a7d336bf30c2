"""The catalogue of events as pure data: what happened to what, and which facts are told of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """A named kind of event; `facts` are all that its `data` ever holds.

    Ids, states, our own codes and numbers: never a code, PIN, link, name or address.
    """

    name: str
    object: str
    sentence: str
    facts: tuple[str, ...] = ()


JOB_FINISHED = EventType(
    "job.finished",
    "job",
    "A round of a job has ended; its items are in their final states.",
    (
        "kind",
        "state",
        "round",
        "campaign_id",
        "is_single",
        "succeeded",
        "failed",
        "skipped",
        "needs_review",
        "cancelled",
    ),
)
DELIVERY_FAILED = EventType(
    "delivery.failed",
    "delivery",
    "The link of a card did not reach its recipient, and is not tried any more.",
    ("redemption_id", "job_id", "position", "channel", "sending", "outcome"),
)
CARD_REPORTED = EventType(
    "card.reported_defective",
    "redemption",
    "A card does not work; the job that replaces it was submitted.",
    ("job_id", "replaced_by"),
)
_CREDIT = ("percent", "balance_minor", "full_minor", "currency")
CREDIT_LOW = EventType(
    "credit.low", "account", "An account fell to `percent` of what it held when full.", _CREDIT
)
CREDIT_DEPLETED = EventType(
    "credit.depleted", "account", "Less than a hundredth is left in an account.", _CREDIT
)
CREDIT_RESTORED = EventType(
    "credit.restored", "account", "An account that was low has credit again.", _CREDIT
)
_ALERT = ("kind", "severity", "level", "subject_kind", "subject_id")
ALERT_RAISED = EventType("alert.raised", "alert", "Something is wrong; `kind` says what.", _ALERT)
ALERT_ESCALATED = EventType("alert.escalated", "alert", "A known trouble has become worse.", _ALERT)
ALERT_RESOLVED = EventType("alert.resolved", "alert", "A trouble is over.", _ALERT)
_PURCHASE = ("state", "reservation_id", "amount_minor", "refunded_minor", "currency")
PURCHASE_CONFIRMED = EventType(
    "purchase.confirmed", "purchase", "A purchase is paid, and its discount is used.", _PURCHASE
)
PURCHASE_ENDED = EventType(
    "purchase.ended", "purchase", "A purchase was not paid; its slot is free again.", _PURCHASE
)
PURCHASE_REFUNDED = EventType(
    "purchase.refunded", "purchase", "Part of a purchase, or all, was paid back.", _PURCHASE
)
PURCHASE_DISPUTED = EventType(
    "purchase.disputed", "purchase", "A payer's bank asks a purchase back, or does not.", _PURCHASE
)
COUPON_CLAIMED = EventType(
    "coupon.claimed",
    "claim",
    "A partner's user has claimed a coupon through the widget.",
    ("partner_id", "book_id", "coupon_id", "user_id"),
)
REFERRAL_REWARDED = EventType(
    "referral.rewarded",
    "referral_reward",
    "A customer has a code for a friend's purchase, which has the id of the reward.",
    ("program_id", "referral_code_id", "reward_code_id"),
)
#: Sent when a person asks for it, and to nobody else: no endpoint chooses it.
TEST = EventType("webhook.test", "webhook_endpoint", "A person tries the endpoint.")

ALL: dict[str, EventType] = {
    kind.name: kind
    for kind in (
        JOB_FINISHED,
        DELIVERY_FAILED,
        CARD_REPORTED,
        CREDIT_LOW,
        CREDIT_DEPLETED,
        CREDIT_RESTORED,
        ALERT_RAISED,
        ALERT_ESCALATED,
        ALERT_RESOLVED,
        PURCHASE_CONFIRMED,
        PURCHASE_ENDED,
        PURCHASE_REFUNDED,
        PURCHASE_DISPUTED,
        COUPON_CLAIMED,
        REFERRAL_REWARDED,
    )
}
