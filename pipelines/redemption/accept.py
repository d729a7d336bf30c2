"""Accept the redemption of one coupon: one at a time, whoever asks (EC-085)."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from pipelines.books.coupon_states import check_holder, refuse_redeem
from pipelines.books.look_up import CouponInHand, coupon_by_id
from pipelines.books.read import book_rules
from pipelines.books.refusals import ConcurrentRedemption
from pipelines.jobs.kinds import COUPON_REDEMPTION
from pipelines.jobs.refusals import ClientSuspended
from pipelines.jobs.single_rows import (
    WITH_SINGLE_ROWS,
    AcceptedSingle,
    SingleItem,
    SingleJob,
    single_values,
)
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result
from pipelines.redemption.lock_tokens import is_lock_token
from pipelines.sealing import Keyring

# `opened` is empty while another redemption of the coupon is under way.
_WRITE = text(
    WITH_SINGLE_ROWS
    + """, opened AS (
    INSERT INTO open_redemptions (coupon_id, book_id, agency_id, client_id, job_id)
    VALUES (:coupon, :book, :agency, :client, :job) ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM opened
"""
)

_SUSPENDED = text("SELECT suspended_at IS NOT NULL FROM clients WHERE id = :client")


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts on a coupon: for themselves, for a named holder, or (None) for whoever holds it."""

    actor_id: UUID
    holder: UUID | None


def submit_redemption(
    session: Session,
    coupon: CouponInHand,
    acting: Acting,
    *,
    lock_token: str | None,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
) -> AcceptedSingle:
    """Accept the request in the caller's transaction, which is in the scope of the coupon's client.

    Raises `NotFound` for somebody else's coupon, `ClientSuspended`, what its state or its book refuses, and
    `ConcurrentRedemption`; the caller's transaction must then be rolled back.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedSingle(made, None, is_replay=True)
    now = clock.now(session)
    coupon = coupon_by_id(session, coupon.book_id, coupon.id)
    check_holder(coupon.facts, acting.holder)
    check_client(session, coupon.client_id)
    rules = book_rules(session, coupon.book_id)
    has_token = is_lock_token(lock_token, coupon, keyring)
    most = rules.redemptions_per_coupon
    refusal = refuse_redeem(coupon.facts, now, most=most, has_lock_token=has_token)
    refusal = refusal or rules.refuse_redemption(now)
    if refusal is not None:
        raise refusal
    spec = {"book_id": str(coupon.book_id), "coupon_id": str(coupon.id)}
    if has_token:
        spec["lock_version"] = str(coupon.version)
    job = SingleJob(
        new_id(),
        COUPON_REDEMPTION,
        coupon.agency_id,
        coupon.client_id,
        spec,
        acting.actor_id,
        key,
        item=SingleItem(user_id=coupon.facts.user_id),
    )
    task_id = new_id()
    values = single_values(job, task_id, now=now, limits=limits)
    opened = {"coupon": coupon.id, "book": coupon.book_id}
    if session.execute(_WRITE, values | opened).scalar_one() == 0:
        raise ConcurrentRedemption
    return AcceptedSingle(job.id, task_id)


def check_client(session: Session, client_id: UUID) -> None:
    """Nothing of a client is redeemed or set aside while its account is suspended (EC-080)."""
    if session.execute(_SUSPENDED, {"client": client_id}).scalar_one():
        raise ClientSuspended
