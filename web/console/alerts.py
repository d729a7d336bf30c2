"""The feed of alerts: what is wrong, since when, who is at it, and of what the visitor is told."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from models.alerts import Severity
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.permissions import Permission, is_allowed
from pipelines.alerts import handle
from pipelines.alerts.kinds import ALL
from pipelines.alerts.read import AlertQuery, ShownState, alert_row, list_alerts
from pipelines.alerts.subjects import names_of_subjects
from pipelines.alerts.subscriptions import (
    CHOICES,
    Chosen,
    Reader,
    choose_notices,
    own_notices,
    who_is_told,
)
from pipelines.monitoring.notify import default_of
from pipelines.monitoring.runs import MONITOR, last_run
from pipelines.webhooks.alerts import resolve_and_tell
from web.console.alert_words import SEVERITIES, STATES, alert_line, look_words
from web.console.frame import go, page
from web.console.typed import id_in
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.look_now import look_now

SHOWN = 50
TOLD_SHOWN = 50
SNOOZES = {"1": "an hour", "24": "a day", "168": "a week"}
DONE = {
    "acknowledged": "You are at it; others see that.",
    "resolved": "It is resolved. If its cause is still there, it comes back.",
    "snoozed": "It rests until its time, or until it gets worse.",
    "looked": "The house has been looked over just now.",
    "chosen": "Your choice is kept.",
}


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/alerts", "alerts", show)
    console.add_url_rule("/alerts/check", "alerts_check", check, methods=["POST"])
    console.add_url_rule("/alerts/notices", "alerts_notices", choose, methods=["POST"])
    for verb, view in (("acknowledge", take), ("resolve", end), ("snooze", rest)):
        rule = f"/alerts/<uuid:alert_id>/{verb}"
        console.add_url_rule(rule, f"alert_{verb}", view, methods=["POST"])


@permitted(Permission.ALERTS_READ)
def show() -> Response:
    return _page()


@permitted(Permission.QUEUES_CONTROL)
def check() -> Response:
    """Look now instead of within five minutes."""
    look_now()
    return go(url_for("console.alerts", done="looked"))


@permitted(Permission.ALERTS_HANDLE)
def take(alert_id: UUID) -> Response:
    return _handled(alert_id, handle.acknowledge, done="acknowledged")


@permitted(Permission.ALERTS_HANDLE)
def end(alert_id: UUID) -> Response:
    return _handled(alert_id, resolve_and_tell, done="resolved")


@permitted(Permission.ALERTS_HANDLE)
def rest(alert_id: UUID) -> Response:
    """Snooze for one of the times that the form offers."""
    _there(alert_id)
    hours = request.form.get("hours", "")
    if hours not in SNOOZES:
        return _page(wrong="Choose for how long it is to rest.")
    until = partial(_until, hours=int(hours))
    return _handled(alert_id, handle.snooze, done="snoozed", until=until)


@permitted(Permission.OWN_CREDENTIALS)
def choose() -> Response:
    """Keep from which severity on the visitor is told; kinds are chosen over the API."""
    severity = request.form.get("severity", "")
    if severity not in CHOICES:
        return _page(wrong="Choose of which alerts you want to be told.")
    caller = principal()
    with looking() as session:
        kept = own_notices(session, caller.actor_id, by_default=default_of(caller.role))
        reader = Reader(caller.actor_id, caller.agency_id, caller.client_id)
        chosen = Chosen(severity, kept.kinds)
        choose_notices(session, reader, chosen, now=clock.now(session))
    return go(url_for("console.alerts", done="chosen"))


def _there(alert_id: UUID) -> None:
    """Raises `NotFound` for what the visitor does not see, whatever the form holds."""
    with looking() as session:
        alert_row(session, alert_id, now=clock.now(session))


def _until(session: Session, *, hours: int) -> Any:
    return clock.now(session) + timedelta(hours=hours)


def _handled(
    alert_id: UUID,
    act: Callable[..., None],
    *,
    done: str,
    until: Callable[[Session], Any] | None = None,
) -> Response:
    _there(alert_id)
    note = request.form.get("note", "").strip()
    if len(note) > handle.NOTE_CHARACTERS_MAX or not (note.isprintable() or not note):
        return _page(wrong="Write the note in one line of at most 200 characters.")
    with looking() as session:
        more = {} if until is None else {"until": until(session)}
        now, actor_id = clock.now(session), principal().actor_id
        act(session, alert_id, note=note or None, actor_id=actor_id, now=now, **more)
    return go(url_for("console.alerts", done=done))


def _asked() -> AlertQuery:
    """The filters in the address; a word that is none of ours filters nothing."""
    state, severity = request.args.get("state", ""), request.args.get("severity", "")
    kind = request.args.get("kind", "")
    return AlertQuery(
        ShownState(state) if state in set(ShownState) else None,
        Severity(severity) if severity in set(Severity) else None,
        kind if kind in ALL else None,
        unresolved=state not in set(ShownState),
    )


def _page(*, wrong: str | None = None) -> Response:
    asked, caller = _asked(), principal()
    with looking() as session:
        now = clock.now(session)
        rows = list_alerts(
            session, asked, before=id_in(request.args.get("before")), limit=SHOWN + 1, now=now
        )
        subjects = names_of_subjects(session, rows[:SHOWN])
        run = last_run(session, MONITOR)
        own = own_notices(session, caller.actor_id, by_default=default_of(caller.role))
        told = {row.user_id: row.severity for row in who_is_told(session, limit=TOLD_SHOWN)}
    people = {p for row in rows for p in (row.acknowledged_by, row.resolved_by) if p} | set(told)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        names = names_of(session, people, caller=caller)
    chosen: dict[str, Any] = {"state": asked.state, "severity": asked.severity, "kind": asked.kind}
    older = None
    if len(rows) > SHOWN:
        older = url_for("console.alerts", before=rows[SHOWN - 1].id, **chosen)
    return page(
        "alerts.html",
        title="Alerts",
        section="alerts",
        status=422 if wrong else 200,
        wrong=wrong,
        done=DONE.get(request.args.get("done", "")),
        alerts=[alert_line(row, names, subjects) for row in rows[:SHOWN]],
        older=older,
        look=look_words(run, now=now),
        chosen=chosen,
        is_filtered=any(chosen.values()),
        states=[(state.value, STATES[state].word) for state in ShownState],
        severities=[(severity.value, SEVERITIES[severity].word) for severity in Severity],
        snoozes=list(SNOOZES.items()),
        may_handle=is_allowed(caller, Permission.ALERTS_HANDLE),
        may_check=is_allowed(caller, Permission.QUEUES_CONTROL),
        may_choose=is_allowed(caller, Permission.OWN_CREDENTIALS),
        own=own,
        told=[
            (names.get(user_id) or "Somebody without a name", how) for user_id, how in told.items()
        ],
    )
