"""Uses of codes that look like a deception, for tests."""

from typing import Any
from uuid import UUID

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import client
from pipelines.checkout.apply import apply_code
from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.customers import Customer, known_customer
from pipelines.discounts.reserve import Ask, Reserved
from pipelines.fraud.traces import traces_of
from pipelines.wiring import House
from tests.discounting import cart
from tests.driving import change, rows
from tests.paying import Till

WHY = {"reason": "Looked at it."}


def risk(house: House, reservation: dict[str, Any]) -> Any:
    """What a reservation was judged by."""
    found = rows(
        house, "SELECT * FROM usage_risks WHERE usage_id = :id", id=UUID(str(reservation["id"]))
    )
    return found[0] if found else None


def reasons(house: House, reservation: dict[str, Any]) -> dict[str, int]:
    """The reasons of its score, with their points."""
    return {one["reason"]: one["points"] for one in risk(house, reservation).reasons}


def flag(house: House, reservation: dict[str, Any]) -> None:
    """Have somebody look at it, whatever was noticed."""
    change(
        house,
        "UPDATE usage_risks SET score = 80, flagged_at = now(), "
        """reasons = '[{"reason": "many_codes", "points": 80, "count": 9}]' """
        "WHERE usage_id = :id",
        id=UUID(str(reservation["id"])),
    )


def suspect(till: Till, code: str = "SAVE10", **given: Any) -> dict[str, Any]:
    """A reservation that is flagged."""
    reservation = till.reserve(code, **given)
    flag(till.house, reservation)
    return reservation


def pay(till: Till, reservation: dict[str, Any], card: str = "") -> dict[str, Any]:
    """Pay a reservation, with a card of its own unless one is named; the purchase then."""
    purchase = till.checkout(reservation)
    till.move(purchase, "pay", fingerprint=card or f"card-{reservation['id']}")
    till.deliver()
    return till.purchase(purchase["purchase_id"])


def applied(till: Till, who: str, code: str = "SAVE10", **given: Any) -> dict[str, Any]:
    """A reservation for a new cart of this person."""
    return till.reserve(code, customer={"email": who}, cart=cart(), **given)


def applied_below(
    till: Till,
    who: str,
    network: str | None = None,
    device: str | None = None,
    *,
    code: str = "SAVE10",
) -> dict[str, Any]:
    """As `applied`, below the door, which counts how often somebody tries."""
    house, client_id = till.house, till.seeded.client_id
    with scoped_transaction(house.sessions, client(client_id)) as session:
        now = clock.now(session)
        secret = house.person_secret
        traces = traces_of(client_id, secret, now, network=network, device=device, email=who)
        customer = known_customer(session, client_id, Customer(email=who), secret)
        basket = Cart(str(new_id()), "USD", (Line("SKU-1", 1, 10_000),))
        ask = Ask(client_id, code, basket, customer)
        done = apply_code(session, ask, traces, actor_id=None, now=now, limits=house.limits)
        assert isinstance(done, Reserved)
    return {"id": done.usage_id}
