"""One change by a form: what is now and what would be, a reason, then done; once per form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy.orm import Session

from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.refusals import VersionConflict
from web.console.at_work import still_at_work
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.reasons import NO_REASON, typed_reason
from web.console.visit import looking
from web.guards import principal


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the console the form stands: its section, and the pages above it by name."""

    section: str
    above: tuple[tuple[str, str], ...]

    @property
    def home(self) -> str:
        return self.above[-1][1]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that the change is about."""

    what: str
    now: str
    then: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change before it is made; `act(session, reason)` makes it and returns what it made."""

    title: str
    lines: tuple[Line, ...]
    note: str
    button: str
    #: Where to go when it is made.
    done: str
    kind: str
    act: Callable[[Session, str], UUID]
    is_ending: bool = False
    #: Who sees the reason besides those who read the audit log.
    reason_hint: str = ""


def agree(place: Place, change: Change, typed: Mapping[str, str]) -> Response:
    """Show the change with a field for its reason, or make it when that was agreed to."""
    if "agreed" not in request.form:
        return _shown(place, change, typed, {})
    reason = typed_reason()
    if not reason:
        return _shown(place, change, typed, {"reason": NO_REASON})
    key = key_of_form(principal().actor_id)
    try:
        with looking() as session:
            once(
                session,
                key,
                lambda: change.act(session, reason),
                status=303,
                resource_kind=change.kind,
            )
    except RequestInProgress:
        return still_at_work(place.home)
    return go(change.done)


def as_it_is_now(form: Callable[..., Response]) -> Response:
    """What `form(is_stale=False)` answers; asked again, stale, where somebody was faster."""
    try:
        return form(is_stale=False)
    except VersionConflict:
        return form(is_stale=True)


def shown_again(place: Place, change: Change, typed: Mapping[str, str]) -> Response:
    """The change beside what somebody else made of it since it was shown; nothing was changed.

    `change` and `typed` are made of what holds now, so that it can be agreed to as it stands.
    """
    seen = {value for name, value in request.form.items() if name.startswith("seen_")}
    moved = [line for line in change.lines if f"{line.what}: {line.now}" not in seen]
    return _shown(place, change, typed, {}, status=409, is_stale=True, moved=moved)


def form_page(
    template: str,
    place: Place,
    title: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
    **facts: Any,
) -> Response:
    """The empty form, or the one that was sent with what is wrong."""
    status = status or (422 if errors else 200)
    return _page(template, place, title, status, typed=typed, errors=errors, **facts)


def _shown(
    place: Place,
    change: Change,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    status: int | None = None,
    **facts: Any,
) -> Response:
    return _page(
        "change_check.html",
        place,
        change.title,
        status or (422 if errors else 200),
        change=change,
        typed=typed,
        errors=errors,
        form_name=form_name(),
        typed_reason=typed_reason(),
        **facts,
    )


def _page(template: str, place: Place, title: str, status: int, **facts: Any) -> Response:
    return page(
        template,
        title=title,
        section=place.section,
        crumbs=[*place.above, (title, None)],
        status=status,
        home=place.home,
        **facts,
    )
