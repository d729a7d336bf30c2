"""The codes of a book by form: generated, uploaded, taken as a file."""

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.books import CouponState
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.books.accept_codes import accept_codes
from pipelines.books.coupon_export import audit_export, coupons_csv, file_name
from pipelines.books.coupon_list import CouponsWanted
from pipelines.books.generate import GENERATED_AT_ONCE_MAX, accept_generation
from pipelines.books.read import book_rules
from pipelines.errors import Kind, Refusal
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.imports import CodesFile
from pipelines.jobs.kinds import OnError
from pipelines.queue.keys import RequestInProgress
from web.admission import intake_slot
from web.backpressure import saturation_now
from web.console.amounts import whole_of
from web.console.at_work import still_at_work, told_when
from web.console.books import book_page
from web.console.form_names import key_of_form
from web.console.frame import go
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.rate_limits import limited

FILE_NAME_CHARACTERS_MAX = 255


def add_pages(console: Blueprint) -> None:
    path = "/books/<uuid:book_id>"
    console.add_url_rule(f"{path}/generate", "book_generate", generate, methods=["POST"])
    console.add_url_rule(f"{path}/codes", "book_codes_take", take_file, methods=["POST"])
    console.add_url_rule(f"{path}/coupons.csv", "book_export", export, methods=["GET"])
    console.add_url_rule(f"{path}/coupons.csv", "book_export_open", export_open, methods=["POST"])


@permitted(Permission.BOOKS_MANAGE)
@limited(Policy.SUBMIT)
def generate(book_id: UUID) -> Response:
    """Make codes by the book's pattern; the page of the job tells what became of it."""
    house, caller, errors = front().house, principal(), dict[str, str]()
    count = whole_of("count", GENERATED_AT_ONCE_MAX, errors, may_be_empty=False)
    if count is None:
        return book_page(book_id, errors)

    def accept() -> AcceptedJob:
        saturated = saturation_now()
        with scoped_transaction(house.sessions, caller.scope) as session:
            return accept_generation(
                session,
                book_id,
                count,
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                limits=house.limits,
                saturated=saturated,
            )

    return _accepted(book_id, "count", accept)


@permitted(Permission.BOOKS_MANAGE)
@limited(Policy.UPLOAD)
def take_file(book_id: UUID) -> Response:
    """Accept a file of codes; the page of its job tells what became of each row."""
    house, caller = front().house, principal()
    given = request.files.get("file")
    if given is None or not given.filename:
        return book_page(book_id, {"file": "Choose a CSV file with the column “code”."})
    on_error = OnError.SKIP if "skip" in request.form else OnError.ABORT
    file = CodesFile(given.stream, on_error, given.filename[:FILE_NAME_CHARACTERS_MAX])  # type: ignore[arg-type]

    def accept() -> AcceptedJob:
        saturated = saturation_now()
        with intake_slot(), scoped_transaction(house.sessions, caller.scope) as session:
            return accept_codes(
                session,
                book_id,
                file,
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                keyring=house.settings.keyring,
                limits=house.limits,
                saturated=saturated,
            )

    return _accepted(book_id, "file", accept)


def _accepted(book_id: UUID, field: str, accept: Callable[[], AcceptedJob]) -> Response:
    """To the job; what is refused stands at the field, with what to do."""
    try:
        done = accept()
    except RequestInProgress:
        return still_at_work(url_for("console.book", book_id=book_id))
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        wrong, status = {field: refusal.detail}, STATUS[refusal.kind]
        again = book_page(book_id, wrong, rows=refusal.errors, status=status)
        return told_when(again, refusal)
    return go(url_for("console.job", job_id=done.job_id))


@permitted(Permission.BOOKS_READ)
def export(book_id: UUID) -> Response:
    """The coupons as a file, sealed codes by their last characters."""
    return _file(book_id, opens_codes=False)


@permitted(Permission.CODES_REVEAL)
def export_open(book_id: UUID) -> Response:
    """The coupons with their whole codes, for who proved a moment ago who they are."""
    freshly_proven()
    return _file(book_id, opens_codes=True)


def _file(book_id: UUID, *, opens_codes: bool) -> Response:
    house, caller = front().house, principal()
    asked = request.args.get("state", "")
    wanted = CouponsWanted(CouponState(asked) if asked in set(CouponState) else None)
    with looking() as session:
        book, now = book_rules(session, book_id), clock.now(session)
        audit_export(session, book, wanted, opens_codes=opens_codes, actor_id=caller.actor_id)
    keyring = house.settings.keyring if opens_codes else None
    blocks = coupons_csv(house.sessions, caller.scope, book, wanted, now=now, keyring=keyring)
    response = Response(blocks, mimetype="text/csv")
    name = file_name(book, wanted, now)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "no-store"
    return response
