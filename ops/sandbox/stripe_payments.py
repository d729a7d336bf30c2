"""What becomes of a payment: taken at once, declined, taken later, given back or disputed."""

from dataclasses import dataclass

from ops.sandbox.stripe_door import missing
from ops.sandbox.stripe_events import emit
from ops.sandbox.stripe_objects import Facts, Moment, new_id


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, and with what."""

    email: str | None = None
    name: str | None = None
    #: One card always has one; who names none pays with a card of their own.
    fingerprint: str | None = None
    last4: str = "4242"
    brand: str = "visa"


def open_payment(moment: Moment, session: Facts) -> Facts:
    """The payment of a session; it is made at the first try to pay."""
    if session["payment_intent"]:
        return payment_of(moment, session["payment_intent"])
    wish = session["_payment"]
    payment = {
        "id": new_id("payment_intent"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "created": moment.now,
        "currency": session["currency"],
        "customer": None,
        "description": wish.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": wish.get("metadata", {}),
        "next_action": None,
        "payment_method": None,
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": wish.get("receipt_email"),
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": wish.get("statement_descriptor"),
        "statement_descriptor_suffix": wish.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_group": None,
    }
    moment.objects.add(payment, payment=payment["id"])
    emit(moment, "payment_intent.created", payment)
    return payment


def payment_of(moment: Moment, identity: str) -> Facts:
    found = moment.objects.get("payment_intent", identity)
    if found is None:
        raise missing("payment_intent", identity, "intent")
    return found


def charge_of(moment: Moment, payment: Facts) -> Facts:
    """The charge of a payment that was taken or is on its way."""
    found = moment.objects.get("charge", payment["latest_charge"] or "")
    if found is None:
        raise missing("charge", payment["latest_charge"], "charge")
    return found


def take(moment: Moment, payment: Facts, payer: Payer) -> None:
    """The card pays at once."""
    charge = _new_charge(moment, payment, payer, "succeeded")
    emit(moment, "charge.succeeded", charge)
    _succeed(moment, payment, charge)


def start(moment: Moment, payment: Facts, payer: Payer) -> None:
    """The bank is asked, and will say later."""
    charge = _new_charge(moment, payment, payer, "pending")
    emit(moment, "charge.pending", charge)
    payment |= {"status": "processing", "latest_charge": charge["id"]}
    payment["payment_method"] = charge["payment_method"]
    emit(moment, "payment_intent.processing", moment.objects.put(payment))


def settle(moment: Moment, payment: Facts) -> None:
    charge = charge_of(moment, payment)
    charge |= {"status": "succeeded", "paid": True, "captured": True}
    charge["amount_captured"] = charge["amount"]
    emit(moment, "charge.succeeded", moment.objects.put(charge))
    _succeed(moment, payment, charge)


def fail(moment: Moment, payment: Facts) -> None:
    """The bank says no, days later."""
    charge = charge_of(moment, payment)
    error = _error("payment_intent_payment_attempt_failed", "The bank refused.", charge["id"])
    charge |= {"status": "failed", "paid": False, "failure_message": error["message"]}
    charge["failure_code"] = error["code"]
    emit(moment, "charge.failed", moment.objects.put(charge))
    _refuse(moment, payment, error)


def decline(moment: Moment, payment: Facts, payer: Payer, reason: str) -> None:
    """The card is refused; the buyer may try another."""
    charge = _new_charge(moment, payment, payer, "failed")
    error = _error("card_declined", "Your card was declined.", charge["id"])
    error["decline_code"] = reason
    charge |= {"failure_code": error["code"], "failure_message": error["message"]}
    charge["outcome"] = {"network_status": "declined_by_network", "reason": reason}
    emit(moment, "charge.failed", moment.objects.put(charge))
    payment["latest_charge"] = charge["id"]
    _refuse(moment, payment, error)


def cancel(moment: Moment, payment: Facts) -> None:
    """Its session is over."""
    payment |= {"status": "canceled", "canceled_at": moment.now}
    payment["cancellation_reason"] = "automatic"
    emit(moment, "payment_intent.canceled", moment.objects.put(payment))


def _succeed(moment: Moment, payment: Facts, charge: Facts) -> None:
    payment |= {"status": "succeeded", "amount_received": charge["amount"]}
    payment |= {"latest_charge": charge["id"], "last_payment_error": None}
    payment["payment_method"] = charge["payment_method"]
    emit(moment, "payment_intent.succeeded", moment.objects.put(payment))


def _refuse(moment: Moment, payment: Facts, error: Facts) -> None:
    payment |= {"status": "requires_payment_method", "last_payment_error": error}
    emit(moment, "payment_intent.payment_failed", moment.objects.put(payment))


def _error(code: str, message: str, charge: str) -> Facts:
    return {"type": "card_error", "code": code, "message": message, "charge": charge}


def _new_charge(moment: Moment, payment: Facts, payer: Payer, status: str) -> Facts:
    is_paid = status == "succeeded"
    charge = {
        "id": new_id("charge"),
        "object": "charge",
        "amount": payment["amount"],
        "amount_captured": payment["amount"] if is_paid else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": payer.email, "name": payer.name},
        "captured": is_paid,
        "created": moment.now,
        "currency": payment["currency"],
        "customer": None,
        "description": payment["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": payment["metadata"],
        "outcome": {"network_status": "approved_by_network", "type": "authorized"},
        "paid": is_paid,
        "payment_intent": payment["id"],
        "payment_method": new_id("payment_method"),
        "payment_method_details": _method(payer, payment, is_debit=status == "pending"),
        "receipt_email": payment["receipt_email"],
        "refunded": False,
        "statement_descriptor": payment["statement_descriptor"],
        "status": status,
    }
    return moment.objects.add(charge, payment=payment["id"])


def _method(payer: Payer, payment: Facts, *, is_debit: bool) -> Facts:
    own = "KANARIE" + payment["id"][-9:]
    account = {"fingerprint": payer.fingerprint or own, "last4": payer.last4}
    if is_debit:
        return {"type": "us_bank_account", "us_bank_account": account | {"bank_name": "TEST BANK"}}
    card = {"brand": payer.brand, "country": "US", "exp_month": 12, "exp_year": 2099}
    card["funding"] = "credit"
    return {"type": "card", "card": account | card}
