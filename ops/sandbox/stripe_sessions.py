"""A Checkout session from its making to its end: paid, paid later, or expired."""

from ops.sandbox.stripe_door import Refused, missing
from ops.sandbox.stripe_events import emit
from ops.sandbox.stripe_objects import Facts, Moment, new_id
from ops.sandbox.stripe_payments import (
    Payer,
    cancel,
    decline,
    fail,
    open_payment,
    payment_of,
    settle,
    start,
    take,
)
from ops.sandbox.stripe_wanted import Wanted

NOT_NEEDED = "no_payment_required"
#: Places of a hosted page where a shop may say something; none is said here.
CUSTOM_TEXTS = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")


class WrongMoment(Exception):
    """A session is asked for what its state does not allow."""


def open_session(moment: Moment, wanted: Wanted, pay_page: str) -> Facts:
    """A session whose page is at `pay_page`, with the id behind it."""
    asked, identity = wanted.asked, new_id("checkout.session")
    email = asked.get("customer_email")
    session = {
        "id": identity,
        "object": "checkout.session",
        "allow_promotion_codes": asked.get("allow_promotion_codes"),
        "amount_subtotal": wanted.total,
        "amount_total": wanted.total,
        "automatic_tax": {"enabled": False, "liability": None, "status": None},
        "cancel_url": asked.get("cancel_url"),
        "client_reference_id": asked.get("client_reference_id"),
        "created": moment.now,
        "currency": wanted.currency,
        "customer": None,
        "customer_creation": asked.get("customer_creation", "if_required"),
        "customer_details": _customer(email, None) if email else None,
        "customer_email": email,
        "custom_fields": [],
        "custom_text": dict.fromkeys(CUSTOM_TEXTS),
        "discounts": [],
        "expires_at": wanted.ends_at,
        "invoice": None,
        "livemode": False,
        "locale": asked.get("locale"),
        "metadata": asked.get("metadata", {}),
        "mode": asked["mode"],
        "payment_intent": None,
        "payment_link": None,
        "payment_method_types": asked.get("payment_method_types", ["card"]),
        "payment_status": "unpaid" if wanted.total else NOT_NEEDED,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": asked.get("submit_type"),
        "subscription": None,
        "success_url": asked["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{pay_page}/{identity}",
        "_payment": asked.get("payment_intent_data", {}),
        "_lines": [_line(wanted, number) for number in range(len(wanted.lines))],
    }
    return moment.objects.add(session, ends_at=wanted.ends_at)


def session_of(moment: Moment, identity: str) -> Facts:
    found = moment.objects.get("checkout.session", identity)
    if found is None:
        raise missing("checkout.session", identity, "session")
    return found


def pay(moment: Moment, session: Facts, payer: Payer) -> None:
    _insist(session["status"] == "open", session)
    if session["payment_status"] == NOT_NEEDED:
        _complete(moment, session, payer, moment.switches.zero_payment_status)
        return
    payment = open_payment(moment, session)
    session["payment_intent"] = payment["id"]
    take(moment, payment, payer)
    _complete(moment, session, payer, "paid")


def turn_down(moment: Moment, session: Facts, payer: Payer, reason: str) -> None:
    """EC-007: the card is declined, and the session stays open for another."""
    _insist(session["status"] == "open" and session["payment_status"] == "unpaid", session)
    payment = open_payment(moment, session)
    session["payment_intent"] = payment["id"]
    decline(moment, payment, payer, reason)
    moment.objects.put(session, payment=payment["id"])


def pay_later(moment: Moment, session: Facts, payer: Payer) -> None:
    """EC-047: complete, and the money comes later, if it comes."""
    _insist(session["status"] == "open" and session["payment_status"] == "unpaid", session)
    payment = open_payment(moment, session)
    session["payment_intent"] = payment["id"]
    start(moment, payment, payer)
    _complete(moment, session, payer, "unpaid")


def arrive(moment: Moment, session: Facts) -> None:
    """The money of a session that was paid later is here."""
    settle(moment, _processing(moment, session))
    session["payment_status"] = "paid"
    moment.objects.put(session)
    emit(moment, "checkout.session.async_payment_succeeded", session)


def fall_through(moment: Moment, session: Facts) -> None:
    """The money of a session that was to be paid later does not come."""
    fail(moment, _processing(moment, session))
    emit(moment, "checkout.session.async_payment_failed", session)


def expire(moment: Moment, session: Facts) -> None:
    """Asked for over the API; only an open session can be expired."""
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session['status']}`."
        )
        raise Refused(400, message, param="session", is_saved=True)
    _end(moment, session)


def expire_due(moment: Moment) -> int:
    """End all sessions whose time is over."""
    due = moment.objects.ended(moment.now)
    for session in due:
        _end(moment, session)
    return len(due)


def pay_late(moment: Moment, session: Facts, payer: Payer) -> None:
    """EC-006: the session had expired, and the money arrives all the same."""
    _insist(session["status"] == "expired" and session["payment_status"] == "unpaid", session)
    session["payment_intent"] = None
    payment = open_payment(moment, session)
    session["payment_intent"] = payment["id"]
    take(moment, payment, payer)
    _complete(moment, session, payer, "paid")


def _complete(moment: Moment, session: Facts, payer: Payer, paid: str) -> None:
    email = payer.email or session["customer_email"] or "buyer@example.com"
    session |= {"status": "complete", "payment_status": paid, "url": None}
    session["customer_details"] = _customer(email, payer.name)
    moment.objects.put(session, payment=session["payment_intent"], is_ended=True)
    emit(moment, "checkout.session.completed", session)


def _end(moment: Moment, session: Facts) -> None:
    session |= {"status": "expired", "url": None}
    moment.objects.put(session, is_ended=True)
    if session["payment_intent"]:
        cancel(moment, payment_of(moment, session["payment_intent"]))
    emit(moment, "checkout.session.expired", session)


def _processing(moment: Moment, session: Facts) -> Facts:
    _insist(session["payment_intent"] is not None, session)
    payment = payment_of(moment, session["payment_intent"])
    _insist(payment["status"] == "processing", session)
    return payment


def _insist(fits: object, session: Facts) -> None:
    if not fits:
        state = f"{session['status']} and {session['payment_status']}"
        raise WrongMoment(f"the session is {state}")


def _customer(email: str, name: str | None) -> Facts:
    told: Facts = {"email": email, "name": name, "phone": None, "address": None}
    return told | {"tax_exempt": "none", "tax_ids": []}


def _line(wanted: Wanted, number: int) -> Facts:
    line = wanted.lines[number]
    amount = line.unit_amount * line.quantity
    return {
        "id": new_id("item"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": wanted.currency,
        "description": line.name,
        "quantity": line.quantity,
        "price": {
            "id": new_id("price"),
            "object": "price",
            "currency": wanted.currency,
            "unit_amount": line.unit_amount,
            "type": "one_time",
        },
    }
