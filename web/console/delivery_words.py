"""What became of the links of a job's cards, in words: pure."""

from collections.abc import Mapping

from models.deliveries import DeliveryState
from pipelines.deliveries.read import DeliveryFigures
from web.console.formats import number
from web.console.job_words import Count, StateWords

DELIVERY_STATES: Mapping[str, StateWords] = {
    DeliveryState.WAITING: StateWords("Waiting", "clock", "info"),
    DeliveryState.SENT: StateWords("Sent", "check", "good"),
    DeliveryState.DELIVERED: StateWords("Delivered", "check", "good"),
    DeliveryState.FAILED: StateWords("Not delivered", "cross", "bad"),
    DeliveryState.CANCELLED: StateWords("Not sent", "stop", "plain"),
}


def delivery_counts(figures: DeliveryFigures) -> list[Count]:
    """The figures of the job page; nothing when nothing is to be sent."""
    if not figures.deliveries:
        return []
    shown = [Count("Links sent", figures.sent, "good")]
    if figures.delivered:
        shown.append(Count("On their phones", figures.delivered, "good"))
    shown += [
        Count("Waiting", figures.waiting, "info"),
        Count("Not delivered", figures.failed, "bad"),
    ]
    if figures.cancelled:
        shown.append(Count("Not sent", figures.cancelled, "plain"))
    return [*shown, Count("Cards opened", figures.opened, "plain")]


def delivery_remedy(figures: DeliveryFigures) -> str:
    """What a person can do about links that did not arrive; empty if all went well."""
    if not figures.failed:
        return ""
    cards = "card is" if figures.failed == 1 else "cards are"
    return (
        f"{number(figures.failed)} {cards} issued and did not reach the recipient. Send the link "
        "again, to a corrected address if need be, or ask for another way where a phone wants no "
        "messages: the card stays the same."
    )
