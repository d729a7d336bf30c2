"""Begin a purchase: priced here, written down, and only then told to Stripe (EC-009, EC-049).

One transaction holds the reservation, the price and the intent of the payment. A cart has one
purchase that can be paid; asked for again it is the same one, until the cart costs something else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, wait_for_lock
from models.payments import Paid, PaymentPurpose
from models.purchases import Purchase
from pipelines.checkout.refusals import (
    CartMismatch,
    CustomerMismatch,
    ReservationExpired,
)
from pipelines.discounts.cart import Cart
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.paid import refuse_paid
from pipelines.discounts.pricing import quote
from pipelines.discounts.read import codes_json, codes_of, read_reservation
from pipelines.discounts.refusals import CartChanged, CartPaid, CodeBusy, ReservationEnded
from pipelines.discounts.release import BeingPaid, ReleaseReason
from pipelines.discounts.reserve import live_by_cart, live_by_id
from pipelines.discounts.settle import begin_purchase
from pipelines.discounts.stack import reprice
from pipelines.jobs.refusals import ClientSuspended
from pipelines.payments.begin import PAGE_OPEN, Charge, begin_payment
from pipelines.payments.learn import Followers, learn
from pipelines.payments.news import News
from pipelines.payments.refusals import PaymentsNotSetUp
from pipelines.queue.defer import defer
from pipelines.queue.kinds import END_CHECKOUT

#: Somebody else may begin with the same cart between a look and the write.
TRIES_MAX = 5

_LIVE = text("""
SELECT p.id, p.usage_id, p.cart_digest, p.customer_keys, m.session_expires_at
FROM purchases p JOIN payments m ON m.id = p.id
WHERE p.client_id = :client AND p.cart_reference = :cart AND p.is_live
""")
# With a code or without: what was paid of this very cart.
_PAID = text("""
SELECT p.id, p.customer_keys FROM purchases p JOIN payments m ON m.id = p.id
WHERE p.client_id = :client AND p.cart_reference = :cart AND p.cart_digest = :digest
  AND (CAST(:usage AS uuid) IS NULL OR p.usage_id = :usage) AND p.refused IS NULL AND m.state IN ('succeeded', 'processing')
ORDER BY p.id DESC LIMIT 1
""")
_PAID_SLOT = text("""
SELECT purchase_id FROM discount_usages
WHERE id = :usage AND state = 'confirmed' AND purchase_id IS NOT NULL
""")
_CLIENT = text("SELECT agency_id, suspended_at FROM clients WHERE id = :client")
_PRICED = text(f"""
SELECT u.id, u.code_id, u.cart_reference, u.cart_digest, u.quote, u.user_id, u.customer_keys,
    u.expires_at, {codes_of("u.id")} AS codes
FROM discount_usages u WHERE u.id = :usage
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a storefront wants paid: a reservation, or a cart, or a reservation's cart as it is now."""

    client_id: UUID
    reservation_id: UUID | None
    cart: Cart | None
    customer: KnownCustomer | None
    success_url: str
    cancel_url: str
    #: Whether there is an account to be paid to; what costs nothing needs none.
    can_charge: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """A purchase; `is_new` unless the cart had it already."""

    purchase_id: UUID
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Basket:
    """What is to be paid, priced; `quote` as JSON, with the codes that it was priced with."""

    usage_id: UUID | None
    cart_reference: str
    cart_digest: str
    quote: dict[str, Any]
    user_id: UUID | None
    customer_keys: Sequence[bytes]
    expires_at: datetime | None


def begin_checkout(
    session: Session,
    wanted: Wanted,
    *,
    followers: Followers,
    actor_id: UUID | None,
    now: datetime,
) -> Begun | CartChanged:
    """Write a purchase down, or find the one that the cart has, be it paid; what costs nothing is paid by that.

    A cart that its code is not for any more gives the slot back. Raises `NotFound`,
    `ReservationEnded`, `ReservationExpired`, `CustomerMismatch`, `CartMismatch`, `CartPaid`,
    `ClientSuspended`, `PaymentsNotSetUp`, what `check_payable` does, and `BeingPaid` while the cart
    could be paid at another price.
    """
    if wanted.cart is not None:
        # Two who send a cart at once find each other's purchase, also one that was free.
        wait_for_cart(session, wanted.client_id, wanted.cart.reference)
    if (paid := _paid_slot(session, wanted)) is not None:
        return Begun(paid, is_new=False)
    usage = _reserved(session, wanted, now)
    if usage is not None:
        changed = _priced_anew(session, wanted, usage, actor_id=actor_id, now=now)
        if changed is not None:
            return changed
    basket = _basket(session, wanted, usage)
    for _ in range(TRIES_MAX):
        known = _known(session, wanted, basket, now)
        if known is not None:
            return Begun(known, is_new=False)
        made = _write(session, wanted, basket, actor_id=actor_id, now=now)
        if made is not None:
            _go_on(session, made, basket, followers=followers, now=now)
            return Begun(made, is_new=True)
    raise CodeBusy


def wait_for_cart(session: Session, client_id: UUID, reference: str) -> None:
    """Whoever has this goes first, with what is paid for by the cart's own id."""
    wait_for_lock(session, Namespace.CHECKOUT_CART, f"{client_id}:{reference}")


def _reserved(session: Session, wanted: Wanted, now: datetime) -> Row[Any] | None:
    """The reservation that is to be paid, locked: the one that is named, or the cart's own."""
    if wanted.reservation_id is None:
        assert wanted.cart is not None
        live = live_by_cart(session, wanted.client_id, wanted.cart.reference)
        is_mine = live is not None and live.kept_until > now and not _is_another_s(live, wanted)
        return live if is_mine else None
    live = live_by_id(session, wanted.client_id, wanted.reservation_id)
    if live is None:
        raise ReservationEnded(read_reservation(session, wanted.reservation_id).state)
    if live.kept_until <= now:
        raise ReservationExpired
    if _is_another_s(live, wanted):
        raise CustomerMismatch
    return live


def _paid_slot(session: Session, wanted: Wanted) -> UUID | None:
    """The purchase by which the reservation that is named was paid already."""
    values = {"usage": wanted.reservation_id}
    paid: UUID | None = session.execute(_PAID_SLOT, values).scalar_one_or_none()
    return paid


def _is_another_s(live: Row[Any], wanted: Wanted) -> bool:
    who = wanted.customer
    return who is not None and not set(live.customer_keys) & set(who.keys)


def _priced_anew(
    session: Session, wanted: Wanted, live: Row[Any], *, actor_id: UUID | None, now: datetime
) -> CartChanged | None:
    """A cart that changed since the code was applied is priced anew, or gives its slot back."""
    cart = wanted.cart
    if cart is None or cart.digest == live.cart_digest:
        return None
    if cart.reference != live.cart_reference:
        raise CartMismatch
    return reprice(session, live, cart, now=now, actor_id=actor_id)


def _basket(session: Session, wanted: Wanted, usage: Row[Any] | None) -> _Basket:
    if usage is not None:
        row = session.execute(_PRICED, {"usage": usage.id}).one()
        # The reservation's codes may come and go when this page has ended.
        priced_with = {"code_id": str(row.code_id), "codes": codes_json(row.codes)}
        return _Basket(
            row.id,
            row.cart_reference,
            row.cart_digest,
            row.quote | priced_with,
            row.user_id,
            row.customer_keys,
            row.expires_at,
        )
    cart, who = wanted.cart, wanted.customer
    assert cart is not None
    assert who is not None
    priced = quote(cart, 0, ()).as_json()
    return _Basket(None, cart.reference, cart.digest, priced, who.user_id, who.keys, None)


def _known(session: Session, wanted: Wanted, basket: _Basket, now: datetime) -> UUID | None:
    """The purchase that this cart has at this price, paid or not; another page of it is in the way.

    So is one that nobody can pay any more, or another customer's.
    """
    values = {"client": wanted.client_id, "cart": basket.cart_reference}
    very = {"digest": basket.cart_digest, "usage": basket.usage_id}
    live = session.execute(_LIVE, values).one_or_none()
    if live is not None:
        is_same = (live.usage_id, live.cart_digest) == (basket.usage_id, basket.cart_digest)
        is_theirs = bool(set(live.customer_keys) & set(basket.customer_keys))
        if is_same and is_theirs and live.session_expires_at > now:
            return UUID(str(live.id))
        raise BeingPaid(live.id, ReleaseReason.CART_CHANGED)
    paid = session.execute(_PAID, values | very).one_or_none()
    if paid is None:
        # With other codes than it has reserved now.
        digest, keys = basket.cart_digest, basket.customer_keys
        refuse_paid(session, wanted.client_id, basket.cart_reference, digest, keys, now=now)
        return None
    if not set(paid.customer_keys) & set(basket.customer_keys):
        raise CartPaid(paid.id)
    return UUID(str(paid.id))


def _write(
    session: Session,
    wanted: Wanted,
    basket: _Basket,
    *,
    actor_id: UUID | None,
    now: datetime,
) -> UUID | None:
    """Payment and purchase, or None where somebody was quicker with this cart."""
    identity, agency_id = new_id(), _agency_of(session, wanted, basket)
    savepoint = session.begin_nested()
    charge = Charge(
        payment_id=identity,
        agency_id=agency_id,
        client_id=wanted.client_id,
        purpose=PaymentPurpose.PURCHASE,
        amount_minor=basket.quote["total_minor"],
        currency=basket.quote["currency"],
        lines=page_lines(basket.quote),
        reference=basket.usage_id or identity,
        success_url=wanted.success_url,
        cancel_url=wanted.cancel_url,
    )
    begin_payment(session, charge, actor_id=actor_id, now=now)
    made = session.execute(
        insert_or_not(Purchase)
        .values(
            id=identity,
            agency_id=agency_id,
            client_id=wanted.client_id,
            usage_id=basket.usage_id,
            cart_reference=basket.cart_reference,
            cart_digest=basket.cart_digest,
            quote=basket.quote,
            user_id=basket.user_id,
            customer_keys=list(basket.customer_keys),
            created_by=actor_id,
        )
        .on_conflict_do_nothing(
            index_elements=["client_id", "cart_reference"], index_where=text("is_live")
        )
        .returning(Purchase.id)
    ).scalar_one_or_none()
    if made is None:
        savepoint.rollback()
        return None
    savepoint.commit()
    return identity


def _agency_of(session: Session, wanted: Wanted, basket: _Basket) -> UUID:
    """Whose client it is; raises `ClientSuspended` and `PaymentsNotSetUp`.

    What a suspended client's customer has reserved may still be paid.
    """
    owner = session.execute(_CLIENT, {"client": wanted.client_id}).one()
    if owner.suspended_at is not None and basket.usage_id is None:
        raise ClientSuspended
    if basket.quote["total_minor"] > 0 and not wanted.can_charge:
        raise PaymentsNotSetUp
    return UUID(str(owner.agency_id))


def _go_on(
    session: Session,
    purchase_id: UUID,
    basket: _Basket,
    *,
    followers: Followers,
    now: datetime,
) -> None:
    """Bind the reservation to it until its time is over; what costs nothing is paid at once."""
    if basket.usage_id is not None:
        begin_purchase(session, basket.usage_id, purchase_id)
    if basket.quote["total_minor"] == 0:
        free = News(payment=Paid.NOT_REQUIRED, paid_minor=0, paid_currency=basket.quote["currency"])
        learn(session, purchase_id, free, followers=followers, now=now)
    else:
        args = {"purchase_id": str(purchase_id)}
        over_at = basket.expires_at or now + PAGE_OPEN
        defer(session, END_CHECKOUT, args=args, now=now, run_after=over_at)


def page_lines(told: dict[str, Any]) -> list[tuple[str, int, int]]:
    """The lines of a quote as a page lists them: name, quantity, minor units of one, with tax."""
    return [_page_line(line, includes_tax=told["includes_tax"]) for line in told["lines"]]


def _page_line(line: dict[str, Any], *, includes_tax: bool) -> tuple[str, int, int]:
    """What is left of a line may not be a multiple of its quantity: then it is one of so many."""
    name: str = line.get("name") or line["sku"]
    quantity: int = line["quantity"]
    paid: int = line["net_minor"] + (0 if includes_tax else line["tax_minor"])
    if paid % quantity:
        return f"{name} x {quantity}", 1, paid
    return name, quantity, paid // quantity
