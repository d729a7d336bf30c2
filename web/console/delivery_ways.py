"""How the cards of a job may get to their recipients: what a form offers, and why not: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.provisioning.recipients import DeliveryMethod

NO_MAIL = "Not possible: no mail server is set up. Ask whoever runs this installation."
NO_SMS = "Not possible: no account for SMS is set up. Ask whoever runs this installation."


@dataclass(frozen=True, slots=True)
class DeliveryWay:
    """One way as a form offers it; `off` says why it cannot be chosen, empty if it can."""

    method: DeliveryMethod
    title: str
    words: str
    #: The way within a sentence.
    short: str
    #: The column of the file that must hold an address in each row; empty if none must.
    column: str
    #: The way as a summary says it.
    summary: str
    off: str = ""


def delivery_ways(*, has_mail: bool, has_sms: bool) -> tuple[DeliveryWay, ...]:
    """Every way there is; one that this installation cannot go is told with its reason."""
    return (
        DeliveryWay(
            DeliveryMethod.EMAIL,
            "By e-mail",
            "Each recipient gets a link to the card. The file needs the column “email” with an "
            "address in every row.",
            "by e-mail",
            "email",
            "A link by e-mail, to the address in the column “email”",
            "" if has_mail else NO_MAIL,
        ),
        DeliveryWay(
            DeliveryMethod.SMS,
            "By SMS",
            "Each recipient gets a link to the card. The file needs the column “phone” with a "
            "number in every row, with its country code.",
            "by SMS",
            "phone",
            "A link by SMS, to the number in the column “phone”",
            "" if has_sms else NO_SMS,
        ),
        DeliveryWay(
            DeliveryMethod.NONE,
            "Not sent",
            "Cards are issued and nothing is sent. The link of each card can be sent later, "
            "through the API.",
            "",
            "",
            "Nothing is sent",
        ),
    )


def way_of(method: DeliveryMethod, ways: Sequence[DeliveryWay]) -> DeliveryWay:
    """The way of a method; every method has one."""
    return next(way for way in ways if way.method is method)


def chosen_way(
    value: str, ways: Sequence[DeliveryWay], errors: dict[str, str]
) -> DeliveryMethod | None:
    """The method that was chosen; None with why in `errors`, for nothing chosen or one that is off."""
    found = next((way for way in ways if way.method == value), None)
    if found is None:
        errors["delivery_method"] = "Choose how the recipients get their cards."
        return None
    if found.off:
        errors["delivery_method"] = f"{found.title}: {found.off}"
        return None
    return found.method
