"""Vendor accounts and orders in words: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.cards import OrderState
from pipelines.provisioning.resolve_order import Outcome
from web.console.formats import moment, money, number, plural, span
from web.console.job_words import StateWords

ORDER_STATES: Mapping[str, StateWords] = {
    OrderState.UNKNOWN: StateWords("Unknown", "alert", "bad"),
    OrderState.ACCEPTED: StateWords("Owed by the vendor", "clock", "info"),
    OrderState.SENT: StateWords("Sent", "play", "info"),
    OrderState.CREATED: StateWords("Waits to be sent", "clock", ""),
    OrderState.SUCCEEDED: StateWords("Bought", "check", "good"),
    OrderState.REFUSED: StateWords("Refused", "cross", ""),
    OrderState.CANCELLED: StateWords("Not placed", "skip", ""),
}
#: The bounds of an account, as the form calls them.
BOUND_WORDS: Mapping[str, str] = {
    "rate_per_minute": "Calls a minute",
    "burst": "At once after a pause",
    "concurrency": "In flight at most",
}
_OPEN = (
    (Outcome.NEVER_PLACED, "The vendor never took it: try the next way, or give the credit back"),
    (Outcome.PLACED, "The vendor has it: ask for its card again"),
)
#: What a person may say of an order in each state.
OUTCOMES: Mapping[str, tuple[tuple[Outcome, str], ...]] = {
    OrderState.UNKNOWN: _OPEN,
    OrderState.ACCEPTED: _OPEN,
    OrderState.SUCCEEDED: (
        (Outcome.WRITTEN_OFF, "The card that was bought is the wrong one: write it off, uncharged"),
    ),
}


@dataclass(frozen=True, slots=True)
class AccountWords:
    """One account as the pages say it."""

    vendor: str
    name: str
    state: StateWords
    since: str
    hour: str
    day: str
    open_orders: tuple[str, ...]
    in_flight: str
    balance: str
    is_disabled: bool
    is_blocked: bool


def account_words(seen: Mapping[str, Any]) -> AccountWords:
    breaker = seen["breaker"]
    balance = seen["balance"]
    return AccountWords(
        vendor=seen["vendor"],
        name=seen["vendor"].capitalize(),
        state=_state(seen),
        since=_since(breaker),
        hour=_calls(seen["calls"]["hour"]),
        day=_calls(seen["calls"]["day"]),
        open_orders=tuple(
            f"{number(line['count'])} {ORDER_STATES[line['state']].word.lower()}, "
            f"the oldest for {span(line['oldest_seconds'])}"
            for line in seen["open_orders"]
        ),
        in_flight=f"{number(seen['in_flight'])} of {number(seen['concurrency'])}",
        balance="Not read yet"
        if balance is None
        else f"{money(balance['minor'], balance['currency'])}, {moment(balance['at'])}",
        is_disabled=seen["disabled"],
        is_blocked=breaker["state"] != "closed",
    )


def _state(seen: Mapping[str, Any]) -> StateWords:
    if seen["disabled"]:
        return StateWords("Out of use", "stop", "warn")
    match seen["breaker"]["reason"]:
        case "provider_auth":
            return StateWords("Refuses our keys", "key", "bad")
        case "vendor_down":
            return StateWords("Does not answer well", "alert", "bad")
    if not seen["configured"]:
        return StateWords("Not set up here", "skip", "plain")
    return StateWords("In use", "check", "good")


def _since(breaker: Mapping[str, Any]) -> str:
    if breaker["state"] == "closed":
        return ""
    since = f"since {moment(breaker['since'])}" if breaker["since"] else ""
    return f"{since}, tried again at {moment(breaker['blocked_until'])}".lstrip(", ")


def _calls(calls: Mapping[str, int]) -> str:
    total = sum(calls.values())
    if total == 0:
        return "No calls"
    return (
        f"{plural(total, 'call')}: {number(calls['answered'])} answered, "
        f"{number(calls['failed'])} failed, {number(calls['unknown'])} unknown"
    )
