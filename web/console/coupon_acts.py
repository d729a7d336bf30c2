"""What people do to coupons by form, once per form: in the scope of the coupon's client."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission, is_allowed
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.books.look_up import CouponInHand
from pipelines.errors import NotFound
from pipelines.jobs.kinds import COUPON_ASSIGNMENT, COUPON_REDEMPTION
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.queue.keys import once
from pipelines.redemption.accept import Acting, submit_redemption
from pipelines.redemption.lock import lock_coupon, unlock_coupon
from web.console.coupon_words import Toast, refused_as
from web.console.form_names import key_of_form
from web.console.formats import plural
from web.console.typed import id_in
from web.coupon_choice import submit_known
from web.front import front
from web.guards import principal
from web.jobs_shown import load_job
from web.ringing import ring_single

#: A page waits so long for the job behind it; then it says where to look.
WAIT_SECONDS = 4.0
MINUTE_SECONDS = 60


def redeem(coupon: CouponInHand, acting: Acting) -> UUID:
    """Redeem, and wait a moment for the job, which is returned; raises as `submit_redemption`."""
    house = front().house
    with scoped_transaction(house.sessions, client(coupon.client_id)) as session:
        done = submit_redemption(
            session,
            coupon,
            acting,
            lock_token=None,
            key=key_of_form(acting.actor_id),
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    ring_single(done.task_id)
    front().waiter.wait(done.job_id, WAIT_SECONDS)
    return done.job_id


def assign(asked: AssignmentRequest) -> UUID:
    """Give, and wait a moment for the job, which is returned; raises as `submit_assignment`."""
    house, caller = front().house, principal()

    def submit() -> AcceptedSingle:
        with scoped_transaction(house.sessions, client(asked.client_id)) as session:
            return submit_assignment(
                session,
                asked,
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                keyring=house.settings.keyring,
                limits=house.limits,
            )

    done = submit_known(caller, asked, submit)
    ring_single(done.task_id)
    front().waiter.wait(done.job_id, WAIT_SECONDS)
    return done.job_id


def lock(coupon: CouponInHand, acting: Acting) -> None:
    """Set it aside for its holder; raises as `lock_coupon`."""
    house = front().house
    with scoped_transaction(house.sessions, client(coupon.client_id)) as session:
        lock_coupon(
            session,
            coupon,
            acting,
            key=key_of_form(acting.actor_id),
            now=clock.now(session),
            keyring=house.settings.keyring,
            limits=house.limits,
        )


def unlock(coupon: CouponInHand, acting: Acting) -> None:
    """Take its lock off; raises as `unlock_coupon`."""
    with scoped_transaction(front().house.sessions, client(coupon.client_id)) as session:

        def unlocked() -> UUID:
            return unlock_coupon(session, coupon, acting, now=clock.now(session)).id

        key = key_of_form(acting.actor_id)
        once(session, key, unlocked, status=200, resource_kind="coupon")


def withdraw(coupon: CouponInHand, verb: Callable[..., Any], reason: str) -> None:
    """Release or void it; raises what the verb does."""
    actor_id = principal().actor_id
    with scoped_transaction(front().house.sessions, client(coupon.client_id)) as session:

        def withdrawn() -> UUID:
            by = {"actor_id": actor_id, "reason": reason, "now": clock.now(session)}
            identity: UUID = verb(session, coupon, **by).id
            return identity

        once(session, key_of_form(actor_id), withdrawn, status=200, resource_kind="coupon")


def told() -> Toast | None:
    """What the address says was done: by a word, or by a job that may still be at work."""
    minutes = front().house.limits.coupon_lock_seconds / MINUTE_SECONDS
    said = {
        "locked": f"The coupon is locked for {plural(round(minutes), 'minute')}",
        "unlocked": "The coupon is unlocked",
        "released": "The coupon is back in its book",
        "voided": "The coupon is worthless now",
    }
    done = said.get(request.args.get("done", ""))
    if done is not None:
        return Toast(done, is_good=True)
    job_id = id_in(request.args.get("job"))
    return None if job_id is None else _told_of(job_id)


def _told_of(job_id: UUID) -> Toast | None:
    try:
        job = load_job(principal(), job_id)
    except NotFound:
        return None
    words = {COUPON_REDEMPTION: "Redeemed", COUPON_ASSIGNMENT: "Assigned"}.get(job["kind"])
    if words is None:
        return None
    if job["error"] is not None:
        return refused_as(job["error"]["code"], job["error"]["detail"])
    if job["result"] is None:
        again = f"{request.path}?{urlencode({'job': job_id})}"
        return Toast("It is accepted and being worked on", again=again)
    return Toast(f"{words}: {job['result']['coupon']['code']}", is_good=True)


def job_address(toast: Toast | None) -> str | None:
    """The page of the job that is told of, for who sees jobs."""
    job_id = id_in(request.args.get("job"))
    if toast is None or job_id is None or not is_allowed(principal(), Permission.JOBS_READ):
        return None
    return url_for("console.job", job_id=job_id)
