"""When a job starts and before which others, as a form says it: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from models.jobs import Priority
from pipelines.jobs.schedule import ScheduleRefused, name_of

#: What a browser's field for date and time sends; the form says that it is UTC.
FIELD_FORMAT = "%Y-%m-%dT%H:%M"
PRIORITIES = (
    ("high", "High: before the client’s other jobs"),
    ("normal", "Normal"),
    ("low", "Low: after the client’s other jobs"),
)
NOT_A_TIME = "Give a date and a time such as 2027-01-31T09:00, in UTC."


@dataclass(frozen=True, slots=True)
class StartForm:
    """The two fields as typed."""

    starts_at: str = ""
    priority: str = "normal"


def typed_start(form: Mapping[str, str]) -> StartForm:
    """What stands in the fields; a priority that is none of ours is the ordinary one."""
    priority = form.get("priority", "")
    known = priority in {name for name, _words in PRIORITIES}
    return StartForm(form.get("starts_at", "").strip()[:25], priority if known else "normal")


def start_of(at: datetime | None, priority: int) -> StartForm:
    """The fields filled in with what holds now."""
    shown = at.astimezone(UTC).strftime(FIELD_FORMAT) if at else ""
    return StartForm(shown, name_of(priority))


def time_of(start: StartForm) -> datetime | None:
    """The time, None for an empty field; raises `ScheduleRefused`."""
    if not start.starts_at:
        return None
    try:
        return datetime.strptime(start.starts_at[:16], FIELD_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ScheduleRefused("invalid_timestamp", NOT_A_TIME) from None


def priority_of(start: StartForm) -> Priority:
    return Priority[start.priority.upper()]
