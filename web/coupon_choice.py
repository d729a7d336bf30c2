"""Find the coupon that a request names, for whoever asks: its holder, or who acts for one."""

from dataclasses import dataclass
from uuid import UUID

from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.access.permissions import Permission, require
from pipelines.access.principals import Principal
from pipelines.books.look_up import CouponInHand, clients_of_person, find_coupon
from pipelines.redemption.accept import Acting
from pipelines.user_pools.introduce import introduce
from web.front import front
from web.misses import looking_up
from web.tenant_choice import chosen_client


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


def own_coupon(caller: Principal, code: str, *, client_id: UUID | None) -> CouponInHand:
    """A coupon that the caller holds, at whichever client; `NotFound` otherwise."""
    house = front().house
    with looking_up(code), scoped_transaction(house.sessions, SYSTEM) as session:
        clients = [client_id] if client_id else clients_of_person(session, caller.actor_id)
        return find_coupon(
            session,
            code,
            clients=clients,
            keyring=house.settings.keyring,
            holder=caller.actor_id,
        )


def managed_coupon(
    caller: Principal, code: str, *, client_id: UUID | None, holder: UUID | None = None
) -> CouponInHand:
    """A coupon of a client in the caller's sight; raises `NotFound`, `ClientRequired`."""
    house = front().house
    with looking_up(code), scoped_transaction(house.sessions, caller.scope) as session:
        chosen = chosen_client(session, caller, client_id)
        return find_coupon(
            session, code, clients=[chosen], keyring=house.settings.keyring, holder=holder
        )


def know_recipient(caller: Principal, client_id: UUID, user_id: UUID) -> None:
    """Whom the caller sees beyond the client may be given its coupons: the client knows them now."""
    if caller.client_id is None:
        with scoped_transaction(front().house.sessions, caller.scope) as session:
            introduce(session, client_id=client_id, user_id=user_id)
