"""How filling a buffer ahead stands, in words: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipelines.refilling.rules import Waits
from web.console.formats import decimal_of, moment, money, number
from web.console.job_words import StateWords

STATES: Mapping[str | None, StateWords] = {
    None: StateWords("Buying", "clock", "plain"),
    Waits.NOT_SET_UP: StateWords("Not filled ahead", "skip", "plain"),
    Waits.NO_CEILING: StateWords("Needs a ceiling per day", "alert", "warn"),
    Waits.PAUSED: StateWords("Paused", "pause", "warn"),
    Waits.ENOUGH: StateWords("Full enough", "check", "good"),
    Waits.CEILING: StateWords("Today’s ceiling is reached", "alert", "warn"),
    Waits.NO_ROUTE: StateWords("No vendor sells this card", "cross", "bad"),
    Waits.ROUTES_REST: StateWords("Its vendors are resting", "alert", "warn"),
    Waits.CAME_DEAR: StateWords("Its cards came too dear", "alert", "bad"),
    Waits.VENDOR_DOWN: StateWords("Its vendor is down", "cross", "bad"),
    Waits.VENDOR_RATE: StateWords("Waits for its vendor’s rate", "clock", "plain"),
}


@dataclass(frozen=True, slots=True)
class PlanWords:
    id: UUID
    needed: str
    by: str
    begins_at: str
    state: StateWords


@dataclass(frozen=True, slots=True)
class RefillWords:
    """The section of a buffer's page: facts, plans, and what its fields hold."""

    state: StateWords
    facts: dict[str, str]
    plans: list[PlanWords]
    #: Whether "refill now" would do anything.
    may_ask: bool
    paused: bool
    target: str
    ceiling: str


def refill_words(found: Mapping[str, Any]) -> RefillWords:
    """`found` is one line of `refill_state`."""
    currency, ceiling, target = found["currency"], found["ceiling_minor"], found["target"]
    since: datetime | None = found["filling_since"]
    spent = money(found["spent_today_minor"], currency)
    facts = {
        "On the way": number(found["on_the_way"]),
        "To be looked at": number(found["in_review"]),
        "Too dear to be given": number(found["too_dear"]),
        "Missing": number(found["missing"]),
        "Bought today (UTC)": spent
        if ceiling is None
        else f"{spent} of at most {money(ceiling, currency)}",
        "Vendor": (found["vendor"] or "none").capitalize(),
        "Filling": f"since {moment(since)}" if since else "No",
    }
    return RefillWords(
        STATES[found["waits_for"]],
        facts,
        [_plan(plan) for plan in found["plans"]],
        may_ask=target is not None and not found["paused"],
        paused=found["paused"],
        target="" if target is None else str(target),
        ceiling="" if ceiling is None else decimal_of(ceiling, currency),
    )


def _plan(plan: Mapping[str, Any]) -> PlanWords:
    state = StateWords("Late", "alert", "bad")
    if plan["missed_at"] is not None:
        state = StateWords("Missed", "cross", "bad")
    elif plan["can_be_met"]:
        state = StateWords("On time", "check", "good")
    return PlanWords(
        plan["id"], number(plan["needed"]), moment(plan["by"]), moment(plan["begins_at"]), state
    )
