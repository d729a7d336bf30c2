"""Discount codes, carts and customers of a shop, for tests."""

from typing import Any
from uuid import UUID

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern
from pipelines.checkout.apply import apply_code
from pipelines.discounts.cart import Cart, Line
from pipelines.discounts.create import NewDiscount, create_discount
from pipelines.discounts.customers import Customer, known_customer
from pipelines.discounts.generate import Generation, accept_generation, lay_generation
from pipelines.discounts.reserve import Ask, Reserved
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.fraud.strangers import note_stranger
from pipelines.fraud.traces import Traces
from pipelines.queue.defer import defer
from pipelines.queue.kinds import RELEASE_EXPIRED
from pipelines.wiring import House
from tests.driving import change, drain, rows
from tests.seeding import ACTOR, Seeded

TEN_PERCENT = DiscountRules(DiscountKind.PERCENT, percent_bp=1000)


def make_discount(
    house: House,
    seeded: Seeded,
    code: str = "SAVE10",
    *,
    max_uses: int | None = None,
    max_uses_per_customer: int | None = 1,
    **rules: Any,
) -> UUID:
    """A code of ten percent, unless the rules say something else."""
    what = {"kind": DiscountKind.PERCENT, "percent_bp": 1000} | rules
    new = NewDiscount(
        seeded.client_id, code, DiscountRules(**what), max_uses, max_uses_per_customer
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return create_discount(session, new, actor_id=ACTOR)


def cart(*units: int, reference: str | None = None, currency: str = "USD") -> dict[str, Any]:
    """A cart with a line of each price; of 100.00 in all, if nothing is said."""
    lines = [
        {"sku": f"SKU-{place}", "quantity": 1, "unit_minor": unit}
        for place, unit in enumerate(units or (10_000,))
    ]
    return {"id": reference or str(new_id()), "currency": currency, "lines": lines}


def asked(code: str = "SAVE10", who: str | None = None, **given: Any) -> dict[str, Any]:
    """A request for a slot, by a guest with an address."""
    email = who or f"{new_id()}@x.example"
    return {"code": code, "cart": cart(), "customer": {"email": email}} | given


def counted(house: House, code_id: UUID) -> tuple[int, dict[str, int]]:
    """What the code counts as used, and its usages by state."""
    (code,) = rows(house, "SELECT used FROM discount_codes WHERE id = :id", id=code_id)
    states = rows(
        house,
        "SELECT state, count(*) AS n FROM discount_usages WHERE code_id = :id GROUP BY state",
        id=code_id,
    )
    return code.used, {row.state: row.n for row in states}


def make_batch(house: House, seeded: Seeded, count: int = 1) -> UUID:
    """Codes that a job has generated; its id, which is that of their batch."""
    pattern = Pattern("BATCH", 12, PLAIN_ALPHABET, "")
    asked_for = Generation(seeded.client_id, pattern, count, TEN_PERCENT)
    who: dict[str, Any] = {"actor_id": ACTOR, "key": None, "limits": house.limits}
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = accept_generation(session, asked_for, **who).job_id
    drain(house)
    return job_id


def lay_discounts(house: House, seeded: Seeded, pattern: Pattern, count: int, *, size: int) -> UUID:
    """A job that generates codes in chunks of `size`, without a look at the room for them."""
    asked_for = Generation(seeded.client_id, pattern, count, TEN_PERCENT, max_uses=1)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return lay_generation(session, asked_for, actor_id=ACTOR, limits=house.limits, size=size)


def full_discount(house: House, seeded: Seeded, code: str = "SAVE10") -> UUID:
    """A code with a row in each of its tables, and a batch; the id of its reservation."""
    make_batch(house, seeded)
    make_discount(house, seeded, code)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        customer = known_customer(
            session, seeded.client_id, Customer(email="ann@x.example"), house.person_secret
        )
        basket = Cart(str(new_id()), "USD", (Line("SKU-1", 1, 10_000),))
        ask = Ask(seeded.client_id, code, basket, customer)
        now, traces = clock.now(session), Traces()
        made = apply_code(session, ask, traces, actor_id=ACTOR, now=now, limits=house.limits)
        assert isinstance(made, Reserved)
        return made.usage_id


def tried_by_another(house: House, seeded: Seeded) -> UUID:
    """A code that is for one customer, and that another one has tried."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        ann, bob = (
            known_customer(session, seeded.client_id, Customer(email=email), house.person_secret)
            for email in ("ann@x.example", "bob@x.example")
        )
        new = NewDiscount(seeded.client_id, "HERS", TEN_PERCENT, assigned_to=ann)
        code_id = create_discount(session, new, actor_id=ACTOR)
        note_stranger(session, code_id, bob, now=clock.now(session), limits=house.limits)
    return code_id


def expire(house: House) -> None:
    """The time of every live reservation is over."""
    change(
        house,
        "UPDATE discount_usages SET expires_at = now() - interval '1 second' "
        "WHERE state = 'reserved'",
    )


def sweep(house: House) -> None:
    """The duty, once."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer(session, RELEASE_EXPIRED, args={}, now=clock.now(session))
    drain(house)


def said(answer: Any) -> tuple[int, str]:
    """Status and code of an answer."""
    return answer.status_code, answer.json.get("code", "")
