"""The audit page: what was done in the reader's tenant and below, filtered by the address line."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from pipelines.access.permissions import Permission
from pipelines.audit.read import EntryFilter
from web.audit_seen import export_csv, look_at_entries, look_at_standing, sees_addresses
from web.console.audit_words import ACTIONS, entry_line, standing_words
from web.console.frame import page
from web.console.typed import id_in
from web.front import front
from web.guards import permitted, principal

ENTRIES_SHOWN = 50
FILTERS = ("action", "object_id", "actor_id", "from", "to")


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/audit", "audit", show_audit)
    console.add_url_rule("/audit.csv", "audit_csv", download)


@permitted(Permission.AUDIT_READ)
def show_audit() -> Response:
    caller, sessions = principal(), front().house.sessions
    wanted, before = _filter(), _uuid("before")
    seen = look_at_entries(sessions, caller, wanted, before=before, limit=ENTRIES_SHOWN + 1)
    shown = seen.rows[:ENTRIES_SHOWN]
    chosen: dict[str, Any] = {
        name: request.args[name] for name in FILTERS if request.args.get(name)
    }
    older = None
    if len(seen.rows) > ENTRIES_SHOWN:
        older = url_for("console.audit", **chosen, before=shown[-1].id)
    with_address = sees_addresses(caller)
    return page(
        "audit.html",
        title="Audit",
        section="audit",
        entries=[entry_line(seen, row, with_address=with_address) for row in shown],
        actions=sorted(ACTIONS.items(), key=lambda action: action[1]),
        chosen=chosen,
        standing=standing_words(look_at_standing(sessions, caller)),
        is_later_page=before is not None,
        older=older,
        export=url_for("console.audit_csv", **chosen),
        with_address=with_address,
    )


@permitted(Permission.AUDIT_READ)
def download() -> Response:
    """What the filter shows, as CSV; taking it is in the log too."""
    blocks = export_csv(front().house.sessions, principal(), _filter())
    response = Response(blocks, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _filter() -> EntryFilter:
    """From the address line; what cannot be read there finds nothing, rather than everything."""
    until = _day("to")
    return EntryFilter(
        object_id=_uuid("object_id"),
        actor_id=_uuid("actor_id"),
        action=request.args.get("action") or None,
        since=_day("from"),
        until=until + timedelta(days=1) if until else None,
    )


def _uuid(name: str) -> UUID | None:
    value = request.args.get(name, "").strip()
    return (id_in(value) or UUID(int=0)) if value else None


def _day(name: str) -> datetime | None:
    value = request.args.get(name, "").strip()
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC) if value else None
    except ValueError:
        return (
            datetime.max.replace(tzinfo=UTC) if name == "from" else datetime.min.replace(tzinfo=UTC)
        )
