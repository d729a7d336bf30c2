"""Find the coupon that a request names, for whoever asks: its holder, or who acts for one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, Scope, client
from pipelines.access.permissions import Permission, is_allowed, require
from pipelines.access.principals import Principal
from pipelines.access.read_users import user_of_address
from pipelines.access.users import UserNotFound, has_proven_address
from pipelines.assignment.accept import AssignmentRequest
from pipelines.books.codes import canonical
from pipelines.books.look_up import (
    CLIENTS_MAX,
    CouponInHand,
    clients_in_sight,
    clients_of_person,
    find_coupon,
    is_in_sight,
)
from pipelines.books.strangers import note_stranger
from pipelines.errors import NotFound
from pipelines.jobs.addresses import Email, read_email
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.redemption.accept import Acting
from pipelines.user_pools.introduce import introduce
from pipelines.wiring import House
from web.front import front
from web.misses import looking_up
from web.tenant_choice import ClientRequired, chosen_client


@dataclass(frozen=True, slots=True)
class Chosen:
    """The coupon, the scope in which it is acted on, and for whom."""

    coupon: CouponInHand
    acting: Acting

    @property
    def scope(self) -> Scope:
        return client(self.coupon.client_id)


def acted_on(
    caller: Principal, code: str, *, user_id: UUID | None, client_id: UUID | None
) -> Chosen:
    """The coupon that the caller acts on: their own, or for its holder where they may.

    A person acts on what is theirs unless they name whose it is; a program, on whosever it is.
    Raises `NotFound`, the same for no coupon and for somebody else's (EC-087), and `Forbidden`.
    """
    is_person = caller.key_scopes is None
    if is_person and user_id in (None, caller.actor_id):
        found = own_coupon(caller, code, client_id=client_id)
        return Chosen(found, Acting(caller.actor_id, caller.actor_id))
    require(caller, Permission.COUPONS_REDEEM)
    found = managed_coupon(caller, code, client_id=client_id, holder=user_id)
    return Chosen(found, Acting(caller.actor_id, user_id))


def seen_coupon(caller: Principal, code: str, *, client_id: UUID | None) -> CouponInHand:
    """A coupon that the caller holds, or one of a book in their sight; `NotFound` otherwise."""
    is_person = caller.key_scopes is None
    manages = not is_person or is_allowed(caller, Permission.BOOKS_READ)
    told = partial(_note_stranger, front().house, caller, code, client_id) if is_person else None
    with looking_up(canonical(code), told=told):
        try:
            if is_person:
                return _own(caller, code, client_id)
        except NotFound:
            if not manages:
                raise
        return _managed(caller, code, client_id, holder=None)


def only_as_holder(caller: Principal, coupon: CouponInHand) -> UUID | None:
    """The caller, if they see the coupon because it is theirs and not because they see its book."""
    if caller.key_scopes is not None:
        return None
    if not is_allowed(caller, Permission.BOOKS_READ):
        return caller.actor_id
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        return None if is_in_sight(session, coupon.book_id) else caller.actor_id


def own_coupon(caller: Principal, code: str, *, client_id: UUID | None) -> CouponInHand:
    """A coupon that the caller holds, at whichever client; `NotFound` otherwise.

    Those who run the book of a coupon that somebody else holds are told of the try (EC-087).
    """
    with looking_up(
        canonical(code), told=partial(_note_stranger, front().house, caller, code, client_id)
    ):
        return _own(caller, code, client_id)


def _note_stranger(house: House, caller: Principal, code: str, client_id: UUID | None) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        note_stranger(
            session,
            code,
            clients=[client_id] if client_id else clients_of_person(session, caller.actor_id),
            keyring=house.settings.keyring,
            actor_id=caller.actor_id,
        )


def own_scope(caller: Principal) -> Scope:
    """Where the caller's own coupons are: at whichever client.

    Whose password somebody above has chosen may be anybody, and only holds what their own tenant
    gave, until they have shown that the address is theirs.
    """
    if caller.role is Role.END_USER and caller.agency_id is None:
        return SYSTEM
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return SYSTEM if has_proven_address(session, caller.actor_id) else caller.scope


def managed_coupon(
    caller: Principal, code: str, *, client_id: UUID | None, holder: UUID | None = None
) -> CouponInHand:
    """A coupon of a client in the caller's sight; raises `NotFound`, `ClientRequired`."""
    with looking_up(canonical(code)):
        return _managed(caller, code, client_id, holder=holder)


def _own(caller: Principal, code: str, client_id: UUID | None) -> CouponInHand:
    house = front().house
    with scoped_transaction(house.sessions, own_scope(caller)) as session:
        clients = [client_id] if client_id else clients_of_person(session, caller.actor_id)
        return find_coupon(
            session,
            code,
            clients=clients,
            keyring=house.settings.keyring,
            holder=caller.actor_id,
        )


def _managed(
    caller: Principal, code: str, client_id: UUID | None, *, holder: UUID | None
) -> CouponInHand:
    house = front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        clients = _in_sight(session, caller, client_id)
        return find_coupon(
            session, code, clients=clients, keyring=house.settings.keyring, holder=holder
        )


def _in_sight(session: Session, caller: Principal, client_id: UUID | None) -> list[UUID]:
    """The client named or the caller's own; all of them, where they are not too many to look at."""
    if client_id is not None or caller.client_id is not None:
        return [chosen_client(session, caller, client_id)]
    clients = clients_in_sight(session)
    if len(clients) > CLIENTS_MAX:
        raise ClientRequired
    return clients


def submit_known(
    caller: Principal, asked: AssignmentRequest, submit: Callable[[], AcceptedSingle]
) -> AcceptedSingle:
    """Submit; whom the caller sees beyond the client, the client comes to know on the way.

    They are introduced when nothing else is in the way, so that a refusal leaves no trace.
    """
    try:
        return submit()
    except UserNotFound:
        if caller.client_id is not None or not _introduced(caller, asked):
            raise
    return submit()


def _introduced(caller: Principal, asked: AssignmentRequest) -> bool:
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        user_id = asked.user_id or _in_sight_by_address(session, asked.email)
        return user_id is not None and introduce(
            session, client_id=asked.client_id, user_id=user_id
        )


def _in_sight_by_address(session: Session, email: str | None) -> UUID | None:
    read = None if email is None else read_email(email)
    if not isinstance(read, Email):
        return None
    try:
        return UUID(str(user_of_address(session, read.address).id))
    except UserNotFound:
        return None
