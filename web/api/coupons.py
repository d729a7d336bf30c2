"""Coupons over HTTP: given to people, set aside, redeemed, and what was done to one."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, validates_schema
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import Scope, client
from pipelines.access.permissions import Permission
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.books.coupon_view import coupon_view, events_of
from pipelines.books.look_up import CouponInHand, client_of_book
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.queue.keys import RequestKey, once
from pipelines.redemption.accept import submit_redemption
from pipelines.redemption.lock import lock_coupon, unlock_coupon
from pipelines.redemption.withdraw import release_coupon, void_coupon
from web.admission import canonical, mark_replay, request_key
from web.api.coupon_schemas import Coupon, CouponEventPage, LockedCoupon
from web.api.job_schemas import Job
from web.api.routes import (
    IDEMPOTENCY_KEY,
    PREFER,
    Routes,
    answers,
    asks,
    documented,
    may_read,
    reads,
)
from web.coupon_choice import (
    Chosen,
    acted_on,
    managed_coupon,
    only_as_holder,
    seen_coupon,
    submit_known,
)
from web.fields import Identity, PageQuery, Secret, Text
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.misses import looking_up
from web.pages import listed, number_cursor
from web.ringing import ring_single

routes = Routes("coupons", "Coupons of books: assigned, set aside, redeemed.")
CLIENT = {"description": "Of which client, where two of those in sight have this code."}
WHOM = frozenset({"user_id", "email", "external_id"})
HOLDER = {
    "description": "Whose coupon it is, for who acts for others. A person without it acts on "
    "their own; a program, on whosever it is."
}


class CouponRecipient(Schema):
    """Whom a coupon is for: by exactly one of these."""

    user_id = Identity()
    email = Secret(longest=320, metadata={"description": "As the client knows the person."})
    external_id = Secret(longest=4_096, metadata={"description": "The client's own id."})

    @validates_schema
    def _names_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(WHOM & data.keys()) != 1:
            raise ValidationError("required|Give one of `user_id`, `email` and `external_id`.")


class Assignment(CouponRecipient):
    book_id = Identity(required=True)


class AssignmentOfCode(CouponRecipient):
    client_id = Identity(load_default=None, metadata=CLIENT)


class CouponHolder(Schema):
    user_id = Identity(load_default=None, metadata=HOLDER)
    client_id = Identity(load_default=None, metadata=CLIENT)


class CouponRedemption(CouponHolder):
    lock_token = Secret(
        longest=128,
        load_default=None,
        allow_none=True,
        metadata={"description": "Redeems a coupon that is locked, as `lock` gave it."},
    )


class CouponWithdrawal(Schema):
    client_id = Identity(load_default=None, metadata=CLIENT)
    reason = Text(
        longest=REASON_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Your words for the history; no codes."},
    )


class CouponQuery(Schema):
    client_id = Identity(load_default=None, metadata=CLIENT)


class CouponEventQuery(PageQuery):
    client_id = Identity(load_default=None, metadata=CLIENT)


@routes.post("/coupons/assign")
@permitted(Permission.COUPONS_ASSIGN)
@reads(Assignment)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Job)
@answers(202, Job)
def assign_coupon(body: dict[str, Any]) -> Response:
    """Give a person a coupon of the book, drawn at random; `Prefer: wait=N` answers with it."""
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, caller.scope) as session:
        client_id = client_of_book(session, body["book_id"])
    asked = AssignmentRequest(client_id, **_whom(body), book_id=body["book_id"])
    return _assign(asked, body)


@routes.post("/coupons/assign/<code>")
@permitted(Permission.COUPONS_ASSIGN)
@reads(AssignmentOfCode)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Job)
@answers(202, Job)
def assign_coupon_by_code(body: dict[str, Any], code: str) -> Response:
    """Give a person this very coupon; 409 `coupon_not_available` if somebody has it."""
    coupon = managed_coupon(principal(), code, client_id=body["client_id"])
    return _assign(AssignmentRequest(coupon.client_id, **_whom(body), code=code), body)


def _whom(body: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": None} | {name: body[name] for name in WHOM & body.keys()}


def _assign(asked: AssignmentRequest, body: dict[str, Any]) -> Response:
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))

    def submit() -> AcceptedSingle:
        with scoped_transaction(house.sessions, client(asked.client_id)) as session:
            return submit_assignment(
                session,
                asked,
                actor_id=caller.actor_id,
                key=key,
                keyring=house.settings.keyring,
                limits=house.limits,
            )

    named = asked.email or asked.external_id
    # Whoever tries addresses on a client's people is counted as who guesses codes (EC-029).
    with nullcontext() if named is None else looking_up(named):
        done = submit_known(caller, asked, submit)
    ring_single(done.task_id)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.post("/coupons/redeem/<code>")
@permitted(Permission.OWN_COUPONS)
@may_read(CouponRedemption)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Job)
@answers(202, Job)
def redeem_coupon(body: dict[str, Any], code: str) -> Response:
    """Redeem a coupon once; 409 `concurrent_redemption` while another redemption is under way."""
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))
    chosen = _acted_on(body, code)
    with scoped_transaction(house.sessions, chosen.scope) as session:
        done = submit_redemption(
            session,
            chosen.coupon,
            chosen.acting,
            lock_token=body["lock_token"],
            key=key,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    ring_single(done.task_id)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


@routes.post("/coupons/lock/<code>")
@permitted(Permission.OWN_COUPONS)
@may_read(CouponHolder)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(200, LockedCoupon)
def lock_coupon_by_code(body: dict[str, Any], code: str) -> Response:
    """Set a coupon aside for its holder, for five minutes; asking again does not extend it."""
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))
    chosen = _acted_on(body, code)
    with scoped_transaction(house.sessions, chosen.scope) as session:
        now = clock.now(session)
        locked = lock_coupon(
            session,
            chosen.coupon,
            chosen.acting,
            key=key,
            now=now,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
        shown = {
            "lock_token": locked.token,
            "locked_until": locked.locked_until,
            "coupon": coupon_view(session, locked.coupon, now=now).as_json(),
        }
    return mark_replay(jsonify(shown), is_replay=locked.is_replay)


@routes.post("/coupons/unlock/<code>")
@permitted(Permission.OWN_COUPONS)
@may_read(CouponHolder)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(200, Coupon)
def unlock_coupon_by_code(body: dict[str, Any], code: str) -> Response:
    """Take the lock of a coupon off."""
    key = request_key(principal(), canonical(body))
    chosen = _acted_on(body, code)

    def unlock(session: Session, now: datetime) -> CouponInHand:
        return unlock_coupon(session, chosen.coupon, chosen.acting, now=now)

    return _once(key, chosen.scope, chosen.coupon, unlock)


@routes.post("/coupons/<code>/release")
@permitted(Permission.COUPONS_ASSIGN)
@may_read(CouponWithdrawal)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(200, Coupon)
def release_coupon_by_code(body: dict[str, Any], code: str) -> Response:
    """Take a coupon that was not redeemed back from its holder into the book."""
    return _withdraw(body, code, release_coupon)


@routes.post("/coupons/<code>/void")
@permitted(Permission.BOOKS_MANAGE)
@may_read(CouponWithdrawal)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(200, Coupon)
def void_coupon_by_code(body: dict[str, Any], code: str) -> Response:
    """Make a coupon worthless for good."""
    return _withdraw(body, code, void_coupon)


def _withdraw(body: dict[str, Any], code: str, verb: Callable[..., CouponInHand]) -> Response:
    caller = principal()
    key = request_key(caller, canonical(body))
    coupon = managed_coupon(caller, code, client_id=body["client_id"])

    def withdraw(session: Session, now: datetime) -> CouponInHand:
        return verb(session, coupon, actor_id=caller.actor_id, reason=body["reason"], now=now)

    return _once(key, client(coupon.client_id), coupon, withdraw)


def _once(
    key: RequestKey | None,
    scope: Scope,
    coupon: CouponInHand,
    act: Callable[[Session, datetime], CouponInHand],
) -> Response:
    """Do it unless the key says that it was done; the coupon as it is now."""
    with scoped_transaction(front().house.sessions, scope) as session:
        now = clock.now(session)
        done = once(session, key, lambda: act(session, now).id, status=200, resource_kind="coupon")
        shown = coupon_view(session, coupon, now=now).as_json()
    return mark_replay(jsonify(shown), is_replay=done.is_replay)


@routes.get("/coupons/<code>")
@permitted(Permission.OWN_COUPONS)
@asks(CouponQuery)
@answers(200, Coupon)
def get_coupon(query: dict[str, Any], code: str) -> Response:
    """A coupon, with what can be done to it and why not: one's own, or any of a book one sees."""
    coupon = _seen(query, code)
    for_holder = only_as_holder(principal(), coupon) is not None
    with scoped_transaction(front().house.sessions, client(coupon.client_id)) as session:
        view = coupon_view(session, coupon, now=clock.now(session))
        return jsonify(view.as_json(for_holder=for_holder))


@routes.get("/coupons/<code>/history")
@permitted(Permission.OWN_COUPONS)
@asks(CouponEventQuery)
@answers(200, CouponEventPage)
def get_coupon_history(query: dict[str, Any], code: str) -> Response:
    """What was done to a coupon, the oldest first; to its holder, what was while it was theirs."""
    coupon, after = _seen(query, code), number_cursor(query)
    holder = only_as_holder(principal(), coupon)
    with scoped_transaction(front().house.sessions, client(coupon.client_id)) as session:
        rows = events_of(
            session, coupon.id, after=after or 0, limit=query["limit"] + 1, only_for=holder
        )
    return listed(rows, limit=query["limit"], view=_event, place=lambda row: row.number)


def _event(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _seen(query: dict[str, Any], code: str) -> CouponInHand:
    return seen_coupon(principal(), code, client_id=query["client_id"])


def _acted_on(body: dict[str, Any], code: str) -> Chosen:
    return acted_on(principal(), code, user_id=body["user_id"], client_id=body["client_id"])
