"""The balance sheet that credit begins from: checked, asked for, and what a second person made of it.

The same verbs as the API (S4-013, S4-014, S4-016).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.approvals.approvals import approval_row, shown_state
from pipelines.errors import FieldError, Kind, NotFound, Refusal
from pipelines.openings.check import BYTES_MAX, ROWS_MAX, SheetRefused, check_sheet, report_of
from pipelines.openings.forget import SHEETS_KEPT
from pipelines.openings.open_sheet import SheetApplied, ask_to_open
from pipelines.openings.read import list_sheets, report_csv, sheet_seen
from pipelines.queue.keys import RequestInProgress, once
from web.admission import intake_slot
from web.console.approvals import UNNAMED
from web.console.at_work import still_at_work, told_when
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.reasons import NO_REASON, typed_reason
from web.console.sheet_words import ReportWords, report_words, sheet_state
from web.console.typed import id_in
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.rate_limits import limited
from web.uploads import Upload, csv_upload

SHEETS_SHOWN = 50
ASKED = 202
NO_FILE = "Choose a CSV file that is not empty."
TITLE = "Balance sheets"


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/balance-sheets", "sheets", show, methods=["GET"])
    console.add_url_rule("/balance-sheets", "sheet_take", take, methods=["POST"])
    console.add_url_rule("/balance-sheets/<uuid:sheet_id>", "sheet", show_one)
    console.add_url_rule("/balance-sheets/<uuid:sheet_id>/report.csv", "sheet_report", download)


@permitted(Permission.CREDIT_CORRECT)
def show() -> Response:
    return _page()


@permitted(Permission.CREDIT_CORRECT)
@limited(Policy.UPLOAD)
def take() -> Response:
    """Check a sheet and write nothing; or, with a reason, ask a second person to open it."""
    asks, errors = request.form.get("do") == "ask", dict[str, str]()
    reason = typed_reason()
    given = request.files.get("file")
    if given is None or not given.filename:
        errors["file"] = NO_FILE
    if asks:
        freshly_proven()
        if not reason:
            errors["reason"] = NO_REASON
    if errors:
        return _page(errors)
    try:
        with intake_slot(), csv_upload(bytes_max=BYTES_MAX) as upload:
            return _asked(upload, reason) if asks else _checked(upload)
    except SheetApplied as refusal:
        applied = UUID(refusal.extra["balance_sheet_id"])
        return _page({"file": refusal.detail}, applied=applied, status=STATUS[refusal.kind])
    except SheetRefused as refusal:
        return _page({"file": refusal.detail}, rows=refusal.errors)
    except RequestInProgress:
        return still_at_work(url_for("console.sheets"))
    except Refusal as refusal:
        if refusal.kind is Kind.FORBIDDEN:
            raise
        wrong = {"file": refusal.detail}
        again = _page(wrong, rows=refusal.errors, status=STATUS[refusal.kind])
        return told_when(again, refusal)


@permitted(Permission.CREDIT_CORRECT)
def show_one(sheet_id: UUID) -> Response:
    """What was found, what became of it, and both answers for the second person."""
    caller = principal()
    with looking() as session:
        now = clock.now(session)
        sheet = sheet_seen(session, sheet_id)
    if sheet is None:
        raise NotFound
    waits = sheet.approval_id is not None and shown_state(sheet, now=now) == "pending"
    is_own = sheet.asked_by == caller.actor_id
    return page(
        "sheet.html",
        title="Balance sheet",
        section="credit",
        crumbs=[
            ("Credit", url_for("console.credit")),
            (TITLE, url_for("console.sheets")),
            (str(sheet_id)[:8], None),
        ],
        sheet=sheet,
        state=sheet_state(sheet, now=now),
        report=report_words(sheet.report),
        people=_people([sheet]),
        unnamed=UNNAMED,
        may_decide=waits and not is_own,
        is_own=waits and is_own,
        days_kept=SHEETS_KEPT.days,
    )


@permitted(Permission.CREDIT_CORRECT)
def download(sheet_id: UUID) -> Response:
    """Every row with its account: what a check says now, or what was moved; taking it is in the log."""
    actor_id, limits = principal().actor_id, front().house.limits
    with looking() as session:
        content = report_csv(session, sheet_id, actor_id=actor_id, limits=limits)
    response = Response(content, mimetype="text/csv")
    name = f"balance-sheet-{sheet_id}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _checked(upload: Upload) -> Response:
    content = upload.stream.read()
    with looking() as session:
        checked = check_sheet(session, content, front().house.limits)
    report = report_words(report_of(checked, upload.sha256))
    return _page(report=report, rows=report.errors, status=422 if report.error_count else 200)


def _asked(upload: Upload, reason: str) -> Response:
    """Keep the sheet and ask; the form sent again shows the one it asked for."""
    caller, content = principal(), upload.stream.read()
    with looking() as session:

        def ask() -> UUID:
            return ask_to_open(
                session,
                caller,
                content=content,
                sha256=upload.sha256,
                reason=reason,
                limits=front().house.limits,
                now=clock.now(session),
            )

        key = key_of_form(caller.actor_id)
        done = once(session, key, ask, status=ASKED, resource_kind="approval")
        sheet_id = approval_row(session, done.resource_id).detail["balance_sheet_id"]
    return go(url_for("console.sheet", sheet_id=sheet_id))


def _page(
    errors: Mapping[str, str] | None = None,
    *,
    rows: Sequence[FieldError] = (),
    report: ReportWords | None = None,
    applied: UUID | None = None,
    status: int | None = None,
) -> Response:
    before = id_in(request.args.get("after"))
    with looking() as session:
        now = clock.now(session)
        found = list_sheets(session, before=before, limit=SHEETS_SHOWN + 1)
    shown = found[:SHEETS_SHOWN]
    return page(
        "sheets.html",
        title=TITLE,
        section="credit",
        crumbs=[("Credit", url_for("console.credit")), (TITLE, None)],
        status=status or (422 if errors else 200),
        errors=errors or {},
        wrong_rows=rows,
        report=report,
        applied=applied,
        sheets=[(one, sheet_state(one, now=now)) for one in shown],
        people=_people(shown),
        unnamed=UNNAMED,
        further=shown[-1].id if len(found) > SHEETS_SHOWN else None,
        is_later=before is not None,
        form_name=form_name(),
        typed_reason=typed_reason(),
        rows_max=ROWS_MAX,
        bytes_max=BYTES_MAX,
        days_kept=SHEETS_KEPT.days,
    )


def _people(sheets: Sequence[Any]) -> Mapping[UUID, str]:
    people = {who for one in sheets for who in (one.asked_by, one.decided_by) if who}
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return names_of(session, people, caller=principal())
