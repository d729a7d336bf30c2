"""A job's timeline in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.jobs import ItemState
from pipelines.messages import message_of
from web.console.formats import moment, plural
from web.console.job_words import JOB_STATES
from web.timelines import TimelineSeen

Detail = Mapping[str, Any]
UNKNOWN_ACTOR = "somebody not known any more"
WAITS = {
    "vendor_down": "the supplier does not answer well",
    "vendor_rate": "the supplier's rate is used up",
    "vendor_busy": "the supplier has as many calls as it may have at once",
    "vendor_disabled": "the supplier is out of use",
    "provider_auth": "the supplier does not accept our keys",
    "job_paused": "the job is paused",
    "campaign_paused": "the campaign is paused",
    "account_frozen": "the account that pays is frozen",
    "account_restricted": "the account that pays owes for a top-up that was taken back",
    "queue_paused": "the platform has paused a queue of its work",
    "scheduled": "its time has not come",
    "vendor_not_configured": "the supplier is not set up here",
    "database": "the database was busy",
}
#: Reasons of the house; whatever else is said is a person's own words.
PAUSES = {
    "no_credit": "there is not enough credit",
    "provider_auth": "the supplier does not accept our keys",
    "account_restricted": "the account that pays owes for a top-up that was taken back",
    "user": "",
}


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One event as the page says it."""

    at: datetime
    words: str
    note: str
    by: str


def timeline_lines(seen: TimelineSeen) -> list[TimelineLine]:
    """Every event as a line; one that has no words here is shown by its name."""
    return [
        TimelineLine(
            event.at,
            *_words(event.event, event.detail),
            by=seen.name_of(event) or UNKNOWN_ACTOR,
        )
        for event in seen.timeline.events
    ]


def _words(event: str, detail: Detail) -> tuple[str, str]:
    says = _SAYS.get(event)
    return says(detail) if says else (event.replace("_", " ").capitalize(), "")


def _submitted(detail: Detail) -> tuple[str, str]:
    words = "Submitted"
    if "undoes_id" in detail:
        words = "Submitted to undo another job"
    elif "cloned_from_id" in detail:
        words = "Submitted as another job was"
    return words, plural(detail["rows"], "row") if "rows" in detail else ""


def _scheduled(detail: Detail) -> tuple[str, str]:
    return f"To start at {_moment(detail['scheduled_for'])}", ""


def _rescheduled(detail: Detail) -> tuple[str, str]:
    at = detail.get("scheduled_for")
    was = detail.get("scheduled_was")
    source = f" from {_moment(was)}" if was else ""
    return f"Start moved{source} to {_moment(at) if at else 'now'}", ""


def _planned(detail: Detail) -> tuple[str, str]:
    return "The file was read", plural(detail["rows"], "row")


def _paused(detail: Detail) -> tuple[str, str]:
    reason = str(detail.get("reason", ""))
    return "Paused", PAUSES.get(reason, reason)


def _retried(detail: Detail) -> tuple[str, str]:
    items = f", {plural(detail['items'], 'item')} tried again" if "items" in detail else ""
    return f"Round {detail['round']}{items}", ""


def _priority(detail: Detail) -> tuple[str, str]:
    return f"Priority set to {detail['priority']}", f"It was {detail['priority_was']}"


def _cancel(detail: Detail) -> tuple[str, str]:
    return "Asked to cancel", str(detail.get("reason", ""))


def _finished(detail: Detail) -> tuple[str, str]:
    state = JOB_STATES[detail["state"]].word
    return f"Round {detail['round']} ended: {state.lower()}", ""


def _waiting(detail: Detail) -> tuple[str, str]:
    why = WAITS.get(detail["reason"], "something it needs is missing")
    if detail["reason"] == "job_paused":
        return f"Waits now: {why}", "until somebody resumes it"
    return f"Waits now: {why}", f"again at {_moment(detail['until'])}" if "until" in detail else ""


def _needs_review(detail: Detail) -> tuple[str, str]:
    count = detail["items"]
    verb = "needs" if count == 1 else "need"
    return f"{plural(count, 'item')} {verb} a person", message_of(
        detail["code"], ItemState.NEEDS_REVIEW
    ).title


def _plain(words: str) -> Callable[[Detail], tuple[str, str]]:
    return lambda _detail: (words, "")


def _moment(stamp: str) -> str:
    return moment(datetime.fromisoformat(stamp))


_SAYS: Mapping[str, Callable[[Detail], tuple[str, str]]] = {
    "submitted": _submitted,
    "scheduled": _scheduled,
    "rescheduled": _rescheduled,
    "planned": _planned,
    "started": _plain("Started"),
    "paused": _paused,
    "resumed": _plain("Resumed"),
    "retried": _retried,
    "priority_changed": _priority,
    "cancel_asked": _cancel,
    "undone": _plain("Asked to undo"),
    "cloned": _plain("Its recipients were sent again"),
    "finished": _finished,
    "waiting": _waiting,
    "needs_review": _needs_review,
}
