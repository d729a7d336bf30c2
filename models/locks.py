"""The registry of advisory locks: transaction-scoped only, taken before any row lock.

But for one: a claim has locked the row of its partner's user, which nobody else waits for, before it
shares the decks of books.

The namespaces are permanent: changing one would let old and new code pass each other.
"""

from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.orm import Session


class Namespace(StrEnum):
    IDEMPOTENCY_KEY = "idempotency_key"
    CARD_IMPORT = "card_import"
    RINGING = "ringing"
    #: One person's movements of credit, which are added up.
    CREDIT_MOVED = "credit_moved"
    #: Shared by whoever seals (a trigger takes it), alone for who retires a key version.
    SEALING = "sealing"
    #: One person's replacements in a campaign, which are counted.
    REPLACEMENT = "replacement"
    #: Whoever adds up what was issued.
    ISSUED = "issued"
    #: Whoever folds signals into alerts.
    ALERTS = "alerts"
    #: One look at what buffers lack.
    REFILLING = "refilling"
    #: Whoever makes deliveries of facts.
    WEBHOOK_FACTS = "webhook_facts"
    #: Whoever takes one of the places for slow receivers.
    WEBHOOK_PLACES = "webhook_places"
    #: Shared by whoever takes coupons out of a book, alone for who sets a part of its deck aside.
    DECK = "deck"
    #: Whoever adds up how many coupons a book has in each state, and what was done to them each day.
    BOOK_STOCK = "book_stock"
    #: One import of codes into the books of a client at a time.
    CODE_IMPORT = "code_import"
    #: Whoever begins to pay one cart.
    CHECKOUT_CART = "checkout_cart"
    #: One import of discount codes of a client at a time.
    DISCOUNT_IMPORT = "discount_import"
    #: Whoever asks for discount codes of a client to be generated: both must find room.
    DISCOUNT_GENERATION = "discount_generation"
    #: Whoever asks for the referral code of one customer, by each of their names.
    REFERRER = "referrer"
    #: One submit of the same distribution at a time (EC-098).
    DISTRIBUTION = "distribution"
    #: Shared by whoever opens a visit of a partner or claims in one, alone for who ends its secrets or
    #: disables it: they come before, and what they end is over, or after, and end it.
    PARTNER = "partner"
    #: Acts on one coupon: whoever finds it taken is told so at once (EC-085).
    COUPON = "coupon"
    #: Whoever makes a client know people; the function `know_people` takes it.
    KNOWN_PEOPLE = "known_people"
    #: One change of the key versions at a time; taken before `SEALING`.
    KEY_VERSIONS = "key_versions"


_TRY = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
_WAIT = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_SHARE = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:key, 0))")


def try_lock(session: Session, namespace: Namespace, key: str) -> bool:
    """Take the lock for this transaction if it is free; False if somebody holds it."""
    held: bool = session.execute(_TRY, {"key": f"{namespace}:{key}"}).scalar_one()
    return held


def wait_for_lock(session: Session, namespace: Namespace, key: str) -> None:
    """Take the lock for this transaction, waiting as long as the role's lock_timeout allows."""
    session.execute(_WAIT, {"key": f"{namespace}:{key}"})


def share_lock(session: Session, namespace: Namespace, key: str) -> None:
    """Take the lock for this transaction beside others who share it; waits for who has it alone."""
    session.execute(_SHARE, {"key": f"{namespace}:{key}"})
