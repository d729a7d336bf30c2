"""Alerts in words: how urgent, about what, since when, and whether anybody looks: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import url_for
from sqlalchemy import Row

from models.alerts import Severity
from pipelines.alerts.facts import facts_of
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import LOW_CREDIT, kind_named
from pipelines.alerts.payment_kinds import RISKY_PURCHASE_WAITS
from pipelines.alerts.read import ShownState
from pipelines.alerts.subjects import Subject
from pipelines.monitoring.runs import Run, is_silent
from web.console.formats import moment, number, span
from web.console.job_words import StateWords

SEVERITIES: Mapping[str, StateWords] = {
    Severity.CRITICAL: StateWords("Critical", "cross", "bad"),
    Severity.WARNING: StateWords("Warning", "alert", "warn"),
    Severity.INFO: StateWords("Info", "info", "soft"),
}
STATES: Mapping[str, StateWords] = {
    ShownState.OPEN: StateWords("Open", "alert", "warn"),
    ShownState.SNOOZED: StateWords("Snoozed", "clock", "soft"),
    ShownState.ACKNOWLEDGED: StateWords("Acknowledged", "eye", ""),
    ShownState.RESOLVED: StateWords("Resolved", "check", "good"),
}
#: The page that shows more of a subject, or of a kind, and the argument that takes its id, which
#: stands among what is told if the subject itself has no page.
_PAGES: Mapping[str, tuple[str, str | None]] = {
    "job": ("console.job", "job_id"),
    "pool": ("console.pool", "pool_id"),
    "campaign": ("console.campaign", "campaign_id"),
    "account": ("console.credit", None),
    # Of accounts that drifted some are no credit accounts, which alone have pages.
    LOW_CREDIT.name: ("console.credit_account", "account_id"),
    "discount": ("console.discount", "discount_id"),
    RISKY_PURCHASE_WAITS.name: ("console.flagged", None),
    "client": ("console.jobs", None),
    "brand": ("console.brand", "brand_id"),
    "route": ("console.brand", "brand_id"),
    "task": ("console.dead_letters", None),
    "process": ("console.queues", None),
    "webhook_endpoint": ("console.webhook", "endpoint_id"),
}
SOMEBODY = "Somebody without a name"


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert as the page says it."""

    id: UUID
    severity: StateWords
    state: StateWords
    sentence: str
    remedy: str
    about: str
    href: str | None
    facts: str
    note: str | None
    seen: str
    first_seen_at: datetime
    last_seen_at: datetime
    handled: str | None
    is_over: bool
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class LookWords:
    """When the monitor last looked; silence of a monitor that does not look is no good news."""

    words: str
    is_silent: bool


def alert_line(
    row: Row[Any], names: Mapping[UUID, str], subjects: Mapping[Subject, str]
) -> AlertLine:
    """`names` are of people, `subjects` of what alerts are about."""
    kind = kind_named(row.kind)
    about = kind.subject.replace("_", " ").capitalize()
    name = subjects.get((kind.subject, row.subject_id))
    return AlertLine(
        id=row.id,
        severity=SEVERITIES[row.severity],
        state=STATES[row.state],
        sentence=kind.sentence,
        remedy=kind.remedy,
        about=f"{about} {name}" if name else about,
        href=_page_of(kind, row),
        facts=", ".join(facts_of(row.detail)),
        note=row.note,
        seen=number(row.seen),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        handled=_handled(row, names),
        is_over=row.state == ShownState.RESOLVED,
        is_acknowledged=row.state == ShownState.ACKNOWLEDGED,
    )


def look_words(run: Run | None, *, now: datetime) -> LookWords:
    if run is None:
        return LookWords("The monitor has not run yet.", is_silent=True)
    ago = span((now - run.at).total_seconds())
    if is_silent(run, now=now):
        return LookWords(f"The monitor has not run for {ago}.", is_silent=True)
    if run.ok:
        return LookWords(f"All checks passed {ago} ago.", is_silent=False)
    return LookWords(f"The monitor looked {ago} ago.", is_silent=False)


def _page_of(kind: AlertKind, row: Row[Any]) -> str | None:
    endpoint, argument = _PAGES.get(kind.name) or _PAGES.get(kind.subject) or (None, None)
    identity = row.detail.get(argument) or row.subject_id
    if endpoint is None or (argument and identity is None):
        return None
    values: dict[str, Any] = {argument: identity} if argument else {}
    return url_for(endpoint, **values)


def _handled(row: Row[Any], names: Mapping[UUID, str]) -> str | None:
    if row.resolved_at is not None:
        by = (
            "by itself"
            if row.resolved_by is None
            else f"by {names.get(row.resolved_by) or SOMEBODY}"
        )
        return f"{by}, {moment(row.resolved_at)}"
    if row.state == ShownState.SNOOZED:
        return f"until {moment(row.snoozed_until)}"
    if row.acknowledged_by is not None:
        return f"{names.get(row.acknowledged_by) or SOMEBODY}, {moment(row.acknowledged_at)}"
    return None
