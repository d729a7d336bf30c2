"""Accept the assignment of one coupon to one person: drawn from its book, or a certain one."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from pipelines.access.users import UserNotFound
from pipelines.books.coupon_states import refuse_assign
from pipelines.books.deck import is_set_aside
from pipelines.books.look_up import CouponInHand, coupon_by_id, find_coupon
from pipelines.books.read import book_rules
from pipelines.books.refusals import CouponNotAvailable, RecipientInactive
from pipelines.jobs.kinds import COUPON_ASSIGNMENT
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
from pipelines.sealing import Keyring
from pipelines.user_pools.find_person import known_person

_WRITE = text(WITH_SINGLE_ROWS + "SELECT 1")
_IS_SUSPENDED = text("SELECT suspended_at IS NOT NULL FROM clients WHERE id = :client")
_RECIPIENT = text("""
SELECT disabled_at IS NOT NULL AS is_disabled FROM client_users
WHERE client_id = :client AND user_id = :user
""")


@dataclass(frozen=True, slots=True)
class AssignmentRequest:
    """Whom a coupon is for; one of the book's at random, or the one with this code or id."""

    client_id: UUID
    #: None where an address or the client's own id says who it is.
    user_id: UUID | None
    book_id: UUID | None = None
    code: str | None = None
    #: Of a coupon of the book, whose code the caller may not know.
    coupon_id: UUID | None = None
    email: str | None = None
    external_id: str | None = None


def submit_assignment(
    session: Session,
    request: AssignmentRequest,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
) -> AcceptedSingle:
    """Accept the request in the caller's transaction, which is in the client's scope.

    Raises `NotFound`, `ClientSuspended`, `UserNotFound`, `RecipientInactive`, `BookClosed`,
    `BookExpired`, and of a certain coupon why it cannot be given; nothing is written then. Limits
    decide when it is given.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedSingle(made, None, is_replay=True)
    now = clock.now(session)
    spec: dict[str, str] = {}
    book_id = request.book_id
    coupon = _certain(session, request, keyring)
    if coupon is not None:
        book_id, spec = coupon.book_id, {"coupon_id": str(coupon.id)}
        refusal = refuse_assign(coupon.facts, now)
        if refusal is None and is_set_aside(session, coupon.book_id, coupon.draw_key):
            refusal = CouponNotAvailable()
        if refusal is not None:
            raise refusal
    assert book_id is not None, "a request names a book or a code"
    rules = book_rules(session, book_id)
    if (ended := rules.ended(now)) is not None:
        raise ended
    user_id = _recipient(session, request)
    job = SingleJob(
        new_id(),
        COUPON_ASSIGNMENT,
        rules.agency_id,
        rules.client_id,
        spec | {"book_id": str(book_id)},
        actor_id,
        key,
        item=SingleItem(user_id=user_id),
    )
    task_id = new_id()
    session.execute(_WRITE, single_values(job, task_id, now=now, limits=limits))
    return AcceptedSingle(job.id, task_id)


def _certain(session: Session, request: AssignmentRequest, keyring: Keyring) -> CouponInHand | None:
    """The coupon that is asked for; None where any of the book's will do."""
    if request.code is not None:
        return find_coupon(session, request.code, clients=[request.client_id], keyring=keyring)
    if request.coupon_id is None:
        return None
    assert request.book_id is not None, "a coupon's id is of its book"
    return coupon_by_id(session, request.book_id, request.coupon_id)


def _recipient(session: Session, request: AssignmentRequest) -> UUID:
    """Who gets it: somebody whom the client knows, and may give something to."""
    if session.execute(_IS_SUSPENDED, {"client": request.client_id}).scalar_one():
        raise ClientSuspended
    user_id = request.user_id or known_person(
        session, request.client_id, email=request.email, external_id=request.external_id
    )
    values = {"client": request.client_id, "user": user_id}
    found = session.execute(_RECIPIENT, values).one_or_none()
    if found is None:
        raise UserNotFound
    if found.is_disabled:
        raise RecipientInactive
    return user_id
