"""Give a person a coupon of a book: found by their address, one at random or a certain one."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.access.read_users import user_of_address
from pipelines.access.users import UserNotFound
from pipelines.assignment.accept import AssignmentRequest
from pipelines.books.coupon_list import CouponsWanted, list_coupons
from pipelines.books.look_up import find_coupon
from pipelines.books.read import BookView, read_book
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.addresses import Email, read_email
from pipelines.queue.keys import RequestInProgress
from pipelines.user_pools.find_person import people_named
from web.console import coupon_acts
from web.console.at_work import still_at_work, told_when
from web.console.book_words import assign_why_not, stock_parts, stock_words
from web.console.books import place
from web.console.coupon_words import Toast, refused
from web.console.form_names import form_name
from web.console.formats import plural
from web.console.frame import go, page
from web.console.typed import typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted
from web.misses import looking_up

FIELDS = ("email", "which", "code")
CERTAIN = "code"
NO_SUCH_CODE = "The book has no such code."
HELD_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class PersonFound:
    """Whom an address leads to, and what they have of the book."""

    email: str
    name: str
    holds: str


def add_pages(console: Blueprint) -> None:
    path = "/books/<uuid:book_id>/assign"
    console.add_url_rule(path, "book_assign", show, methods=["GET"])
    console.add_url_rule(path, "book_assign_now", give, methods=["POST"])


@permitted(Permission.COUPONS_ASSIGN)
def show(book_id: UUID) -> Response:
    return _page(book_id, {}, toast=coupon_acts.told())


@permitted(Permission.COUPONS_ASSIGN)
def give(book_id: UUID) -> Response:
    """Look a person up by address, or give them a coupon and tell what came of it."""
    typed = typed_fields(*FIELDS)
    with looking() as session:
        view = read_book(session, book_id, now=clock.now(session))
    client_id = view.rules.client_id
    try:
        user_id = person_of(typed["email"])
        if request.form.get("do") == "look":
            return _page(book_id, typed, person=_person(view, user_id, typed["email"]))
        coupon_id = None
        if typed["which"] == CERTAIN:
            coupon_id = _coupon_of(view, typed["code"])
            if coupon_id is None:
                return _page(book_id, typed, errors={"code": NO_SUCH_CODE})
        asked = AssignmentRequest(client_id, user_id, book_id, coupon_id=coupon_id)
        job_id = coupon_acts.assign(asked)
    except RequestInProgress:
        return still_at_work(url_for("console.book_assign", book_id=book_id))
    except Refusal as refusal:
        if refusal.kind is Kind.FORBIDDEN:
            raise
        return told_when(_refused(book_id, typed, refusal), refusal)
    return go(url_for("console.book_assign", book_id=book_id, job=job_id))


def person_of(email: str) -> UUID:
    """Who has the address, of those whom the visitor sees.

    Raises `UserNotFound`, for a stranger's address as for nobody's.
    """
    if not isinstance(read_email(email), Email):
        raise UserNotFound
    try:
        with looking() as session:
            return UUID(str(user_of_address(session, email).id))
    except NotFound:
        raise UserNotFound from None


def _coupon_of(view: BookView, code: str) -> UUID | None:
    """The coupon of this book that has the code; whoever guesses is counted."""
    keyring = front().house.settings.keyring
    try:
        with (
            looking_up(code),
            scoped_transaction(front().house.sessions, client(view.rules.client_id)) as session,
        ):
            clients = [view.rules.client_id]
            found = find_coupon(session, code, clients=clients, keyring=keyring)
            if found.book_id != view.rules.id:
                raise NotFound
    except NotFound:
        return None
    return found.id


def _refused(book_id: UUID, typed: Mapping[str, str], refusal: Refusal) -> Response:
    """An unknown address stands at its field; everything else is told above the form."""
    errors = {"email": refusal.detail} if isinstance(refusal, UserNotFound) else {}
    status = 422 if errors else STATUS[refusal.kind]
    return _page(book_id, typed, errors=errors, toast=refused(refusal), status=status)


def _page(
    book_id: UUID,
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    toast: Toast | None = None,
    person: PersonFound | None = None,
    status: int | None = None,
) -> Response:
    with looking() as session:
        view = read_book(session, book_id, now=clock.now(session))
    return page(
        "coupon_assign.html",
        title=f"Assign coupons of {view.rules.name}",
        section="books",
        crumbs=place(view, ("Assign", None)),
        status=status or (422 if errors else 200),
        book=view.rules,
        stock=stock_parts(view.stock),
        stock_words=stock_words(view.stock),
        why_not=assign_why_not(view, may_assign=True),
        per_person=view.rules.max_assignments_per_user,
        typed=typed,
        errors=errors or {},
        toast=toast,
        job_href=coupon_acts.job_address(toast),
        person=person,
        form_name=form_name(),
    )


def _person(view: BookView, user_id: UUID, email: str) -> PersonFound:
    """The person, and how many coupons of the book they hold."""
    wanted, rules = CouponsWanted(None, user_id), view.rules
    with looking() as session:
        found = people_named(session, rules.client_id, [user_id])
        now = clock.now(session)
        held = list_coupons(
            session, rules.id, wanted, now=now, before=None, limit=HELD_SHOWN_MAX + 1
        )
    row = found.get(user_id)
    more = "more than " if len(held) > HELD_SHOWN_MAX else ""
    count = plural(min(len(held), HELD_SHOWN_MAX), "coupon")
    name = row.name if row and row.name else ""
    return PersonFound(email, name, f"{more}{count} of this book")
