"""The form that takes a file of discount codes: the page of its job says what became of each row (S2-131)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.discounts.accept_codes import accept_codes
from pipelines.discounts.code_rows import COLUMNS
from pipelines.errors import FieldError, Kind, Refusal
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.csv_reader import UnknownColumns
from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import OnError
from pipelines.queue.keys import RequestInProgress
from web.admission import intake_slot
from web.backpressure import saturation_now
from web.console.at_work import still_at_work, told_when
from web.console.book_codes import FILE_NAME_CHARACTERS_MAX
from web.console.discount_new import client_of
from web.console.discounts import TITLE
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients
from web.console.typed import typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

NO_FILE = "Choose a CSV file with the columns “code” and “kind”."


def add_pages(console: Blueprint) -> None:
    path = "/discounts/import"
    console.add_url_rule(path, "discounts_import", ask, methods=["GET"])
    console.add_url_rule(path, "discounts_import_now", take_file, methods=["POST"])


@permitted(Permission.DISCOUNTS_MANAGE)
def ask() -> Response:
    return _form({}, {})


@permitted(Permission.DISCOUNTS_MANAGE)
@limited(Policy.UPLOAD)
def take_file() -> Response:
    """Accept a file of codes, once per form."""
    typed, errors = typed_fields("client_id", "other_client_id", "skip"), dict[str, str]()
    with looking() as session:
        client_id, _zone = client_of(session, typed, errors)
    given = request.files.get("file")
    if given is None or not given.filename:
        errors["file"] = NO_FILE
    if errors or client_id is None or given is None:
        return _form(typed, errors)
    on_error = OnError.SKIP if typed["skip"] else OnError.ABORT
    name = (given.filename or "")[:FILE_NAME_CHARACTERS_MAX]
    file = CodesFile(given.stream, on_error, name)  # type: ignore[arg-type]
    try:
        done = _accepted(client_id, file)
    except RequestInProgress:
        return still_at_work(url_for("console.jobs"))
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        status = STATUS[refusal.kind]
        again = _form(typed, {"file": _words(refusal)}, rows=refusal.errors, status=status)
        return told_when(again, refusal)
    return go(url_for("console.job", job_id=done.job_id))


def _words(refusal: Refusal) -> str:
    """What a refusal means here, with the names of the columns that it does not know."""
    if isinstance(refusal, UnknownColumns):
        return f"{refusal.detail} Not known: {', '.join(refusal.extra['names'])}."
    return refusal.detail


def _accepted(client_id: UUID, file: CodesFile) -> AcceptedJob:
    house, caller, saturated = front().house, principal(), saturation_now()
    with intake_slot(), scoped_transaction(house.sessions, caller.scope) as session:
        return accept_codes(
            session,
            client_id,
            file,
            actor_id=caller.actor_id,
            key=key_of_form(caller.actor_id),
            keyring=house.settings.keyring,
            limits=house.limits,
            saturated=saturated,
        )


def _form(
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    rows: Sequence[FieldError] = (),
    status: int | None = None,
) -> Response:
    caller, limits = principal(), front().house.limits
    return page(
        "discount_import.html",
        title="Import discount codes",
        section="discounts",
        crumbs=[(TITLE, url_for("console.discounts")), ("Import", None)],
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        rows=rows,
        columns=(*COLUMNS.required, *COLUMNS.optional),
        rows_max=limits.discount_codes_at_once_max,
        bytes_max=limits.upload_bytes_max,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )
