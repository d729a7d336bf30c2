"""The conditions of a campaign as a form has them: shown in its time zone, and read back: pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from pipelines.jobs.cells import OUT_OF_YEARS, YEARS
from web.console.condition_words import in_zone
from web.console.starts import FIELD_FORMAT

TIMES = ("starts_at", "ends_at")
NUMBERS = ("max_rewards", "max_rewards_per_recipient")
CONDITIONS = (*TIMES, *NUMBERS)
#: As the database counts rewards.
REWARDS_MAX = 2**31 - 1
NOT_A_TIME = "Give a date and a time such as 2027-01-31T09:00."
NO_SUCH_TIME = "The clocks of the time zone pass over this time. Give an earlier or a later one."
NOT_A_NUMBER = f"Give a whole number from 1 to {REWARDS_MAX:,}, or nothing."


def shown_conditions(campaign: Row[Any]) -> dict[str, str]:
    """What the fields hold: moments of the campaign's time zone, numbers, or nothing."""
    shown = {}
    for name in TIMES:
        at = getattr(campaign, name)
        shown[name] = in_zone(at, campaign.time_zone).strftime(FIELD_FORMAT) if at else ""
    for name in NUMBERS:
        shown[name] = str(getattr(campaign, name) or "")
    return shown


def read_conditions(
    typed: Mapping[str, str], was: Mapping[str, str], errors: dict[str, str]
) -> dict[str, datetime | int | None]:
    """What was changed, by name; None lifts it. What is wrong is put into `errors`.

    `was` holds the texts that the form was shown with: a field left alone is not written, so that
    seconds, which no field shows, are not lost. In another time zone the same text is another moment.
    """
    in_other_zone = typed["time_zone"] != was["time_zone"]
    found: dict[str, datetime | int | None] = {}
    for name in TIMES:
        if typed[name] != was[name] or (typed[name] and in_other_zone):
            found[name] = moment_of(name, typed[name], typed["time_zone"], errors)
    for name in NUMBERS:
        if typed[name] != was[name]:
            found[name] = number_of(name, typed[name], errors)
    return found


def moment_of(field: str, text: str, zone: str, errors: dict[str, str]) -> datetime | None:
    """The moment that the text means in a time zone; None for nothing, and for what is wrong."""
    if not text:
        return None
    if text[:4].isdecimal() and int(text[:4]) not in YEARS:
        errors[field] = OUT_OF_YEARS
        return None
    try:
        local = datetime.strptime(text[:16], FIELD_FORMAT).replace(tzinfo=ZoneInfo(zone))
        at = local.astimezone(UTC)
    except (ValueError, OverflowError):
        errors[field] = NOT_A_TIME
        return None
    if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local.replace(tzinfo=None):
        errors[field] = NO_SUCH_TIME
        return None
    return at


def number_of(field: str, text: str, errors: dict[str, str]) -> int | None:
    """The number that bounds something; None for nothing, and for what is wrong."""
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(REWARDS_MAX))
    if not is_number or not 1 <= int(text) <= REWARDS_MAX:
        errors[field] = NOT_A_NUMBER
        return None
    return int(text)
