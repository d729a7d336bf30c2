"""What each kind of job is called, and what became of its items: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.jobs.kinds import (
    CARD_IMPORT,
    CODE_GENERATION,
    CODE_IMPORT,
    COUPON_ASSIGNMENT,
    COUPON_REDEMPTION,
    DISCOUNT_GENERATION,
    DISCOUNT_IMPORT,
    DISTRIBUTION,
    DISTRIBUTION_UNDO,
    POOL_IMPORT,
    PROVISIONING,
    PROVISIONING_UNDO,
)
from pipelines.messages import Message, message_of
from web.console.formats import plural

ONLY_LEFT_OUT = "Rows that went in are not listed here, only those that were left out."


@dataclass(frozen=True, slots=True)
class KindWords:
    """The words of one kind; `done` is what became of an item that succeeded."""

    name: str
    done: str
    #: What an item is of.
    thing: str
    things: str
    #: The heading of its items.
    rows: str
    #: Why there may be no items although something was done.
    no_rows: str = ""

    def count(self, number: int) -> str:
        """`3 coupons`"""
        return plural(number, self.thing, self.things)


KINDS: Mapping[str, KindWords] = {
    PROVISIONING: KindWords("Gift cards", "issued", "card", "cards", "Recipients"),
    PROVISIONING_UNDO: KindWords("Undo", "taken back", "card", "cards", "Rows"),
    CARD_IMPORT: KindWords("Card import", "imported", "card", "cards", "Rows", ONLY_LEFT_OUT),
    CODE_GENERATION: KindWords(
        "New codes", "generated", "code", "codes", "Rows", "The codes stand in their book."
    ),
    CODE_IMPORT: KindWords("Code upload", "uploaded", "code", "codes", "Rows", ONLY_LEFT_OUT),
    COUPON_ASSIGNMENT: KindWords("Coupon for a person", "assigned", "coupon", "coupons", "People"),
    COUPON_REDEMPTION: KindWords("Redemption", "redeemed", "coupon", "coupons", "People"),
    DISTRIBUTION: KindWords("Distribution", "assigned", "coupon", "coupons", "People"),
    DISTRIBUTION_UNDO: KindWords(
        "Undo of a distribution", "taken back", "coupon", "coupons", "People"
    ),
    POOL_IMPORT: KindWords("People for a pool", "added", "person", "people", "Rows", ONLY_LEFT_OUT),
    DISCOUNT_GENERATION: KindWords(
        "New discount codes",
        *("generated", "code", "codes", "Rows"),
        "The codes stand among the discount codes.",
    ),
    DISCOUNT_IMPORT: KindWords(
        "Discount code upload", "imported", "code", "codes", "Rows", ONLY_LEFT_OUT
    ),
}
#: What an undo takes back.
UNDOES = {PROVISIONING: PROVISIONING_UNDO, DISTRIBUTION: DISTRIBUTION_UNDO}
#: Of jobs that no credit pays for.
_WITHOUT_MONEY: Mapping[str, Message] = {
    "job_cancelled": Message(
        "The job was cancelled before this item", "Submit it again if it is still wanted."
    ),
    "internal_error": Message(
        "Something went wrong on our side",
        "Retry. If it happens again, tell support the job’s number. Nothing was done.",
    ),
}


def job_name(kind: str, campaign: str) -> str:
    """What the job is called: its campaign, if it has one."""
    if kind == PROVISIONING_UNDO and campaign:
        return f"Undo – {campaign}"
    return campaign or KINDS[kind].name


def message_for(kind: str, code: str | None, state: str) -> Message:
    """The words for a code of an item of this kind."""
    if kind in {PROVISIONING, PROVISIONING_UNDO}:
        return message_of(code, state)
    return _WITHOUT_MONEY.get(code or "") or message_of(code, state)
