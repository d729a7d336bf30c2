"""The coupons that the visitor holds: every action is a button, and says what came of it (S1-057)."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.books.coupon_view import CouponView, coupons_of_person, events_of, held_coupon
from pipelines.books.look_up import CouponInHand, coupon_by_id
from pipelines.books.reveal_code import reveal_own_code
from pipelines.errors import Kind, Refusal
from pipelines.queue.keys import RequestInProgress
from pipelines.redemption.accept import Acting
from web.console import coupon_acts
from web.console.at_work import still_at_work, told_when
from web.console.coupon_words import HistoryLine, Toast, history_lines, own_coupon, refused
from web.console.form_names import form_name
from web.console.frame import go, page
from web.console.typed import id_in
from web.coupon_choice import own_scope
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

PAGE_SIZE = 50
EVENTS_SHOWN = 200
#: What others who acted on a coupon are called to its holder.
OTHERS = "who manages the book"
TITLE = "My coupons"
#: All of them at every coupon, whatever its state: what is not allowed says so when it is pressed.
ACTIONS = (
    ("console.my_coupon_redeem", "Redeem"),
    ("console.my_coupon_lock", "Lock"),
    ("console.my_coupon_unlock", "Unlock"),
)


def add_pages(console: Blueprint) -> None:
    path = "/my/coupons/<uuid:own_id>"
    console.add_url_rule("/my/coupons", "my_coupons", show_list, methods=["GET"])
    console.add_url_rule(path, "my_coupon", show, methods=["GET"])
    console.add_url_rule(f"{path}/redeem", "my_coupon_redeem", redeem, methods=["POST"])
    console.add_url_rule(f"{path}/lock", "my_coupon_lock", lock, methods=["POST"])
    console.add_url_rule(f"{path}/unlock", "my_coupon_unlock", unlock, methods=["POST"])
    console.add_url_rule(f"{path}/code", "my_coupon_code", reveal, methods=["POST"])


@permitted(Permission.OWN_COUPONS)
def show_list() -> Response:
    return _list(coupon_acts.told())


@permitted(Permission.OWN_COUPONS)
def show(own_id: UUID) -> Response:
    return _one(own_id)


@permitted(Permission.OWN_COUPONS)
def redeem(own_id: UUID) -> Response:
    """Redeem it, wait a moment for the job, and tell what came of it."""
    return _done(own_id, partial(coupon_acts.redeem, acting=_acting()))


@permitted(Permission.OWN_COUPONS)
def lock(own_id: UUID) -> Response:
    """Set it aside for five minutes."""
    return _done(own_id, partial(coupon_acts.lock, acting=_acting()), "locked")


@permitted(Permission.OWN_COUPONS)
def unlock(own_id: UUID) -> Response:
    """Take its lock off."""
    return _done(own_id, partial(coupon_acts.unlock, acting=_acting()), "unlocked")


@permitted(Permission.OWN_COUPONS)
def reveal(own_id: UUID) -> Response:
    """Open its sealed code; each opening is audited."""
    house = front().house
    code = reveal_own_code(
        house.sessions,
        own_id,
        holder=principal().actor_id,
        scope=own_scope(principal()),
        keyring=house.settings.keyring,
    )
    return _one(own_id, code=code.reveal())


def _done(
    coupon_id: UUID, act: Callable[[CouponInHand], UUID | None], done: str | None = None
) -> Response:
    """Do it and show the coupons, or show there why it was refused; `act` may return a job."""
    view = _held(coupon_id)
    with scoped_transaction(front().house.sessions, client(view.row.client_id)) as session:
        coupon = coupon_by_id(session, view.row.book_id, coupon_id)
    try:
        job_id = act(coupon)
    except RequestInProgress:
        return still_at_work(url_for("console.my_coupons"))
    except Refusal as refusal:
        if refusal.kind is Kind.NOT_FOUND:
            raise
        return told_when(_list(refused(refusal), status=STATUS[refusal.kind]), refusal)
    return go(url_for("console.my_coupons", done=done, job=job_id))


def _list(toast: Toast | None, *, status: int = 200) -> Response:
    caller, before = principal(), id_in(request.args.get("before"))
    with scoped_transaction(front().house.sessions, own_scope(principal())) as session:
        now = clock.now(session)
        found = coupons_of_person(
            session, caller.actor_id, now=now, before=before, limit=PAGE_SIZE + 1
        )
    shown = found[:PAGE_SIZE]
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.my_coupons", before=shown[-1].row.id)
    return page(
        "my_coupons.html",
        title=TITLE,
        section="my-coupons",
        crumbs=[(TITLE, None)],
        status=status,
        toast=toast,
        job_href=coupon_acts.job_address(toast),
        coupons=[own_coupon(view) for view in shown],
        actions=ACTIONS,
        is_first=before is None,
        older=older,
        form_name=form_name(),
    )


def _one(coupon_id: UUID, *, code: str | None = None) -> Response:
    view = _held(coupon_id)
    coupon = own_coupon(view)
    return page(
        "my_coupon.html",
        title=f"Coupon {coupon.code}",
        section="my-coupons",
        crumbs=[(TITLE, url_for("console.my_coupons")), (coupon.code, None)],
        coupon=coupon,
        opened=code,
        history=_history(view),
        form_name=form_name(),
    )


def _held(coupon_id: UUID) -> CouponView:
    with scoped_transaction(front().house.sessions, own_scope(principal())) as session:
        now = clock.now(session)
        return held_coupon(session, coupon_id, principal().actor_id, now=now)


def _history(view: CouponView) -> list[HistoryLine]:
    """What was done while the coupon was the visitor's; who else did it is not named to them."""
    me = principal().actor_id
    with scoped_transaction(front().house.sessions, client(view.row.client_id)) as session:
        rows = events_of(session, view.row.id, after=0, limit=EVENTS_SHOWN, only_for=me)
    return history_lines(rows, holders={me: "you"}, actors={me: "you"}, nobody=OTHERS)


def _acting() -> Acting:
    me = principal().actor_id
    return Acting(me, me)
