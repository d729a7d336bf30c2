"""Money that goes back: refunds the shop makes, and disputes the buyer's bank opens."""

from ops.sandbox.stripe_door import Refused, missing
from ops.sandbox.stripe_events import emit
from ops.sandbox.stripe_forms import NUMBER, TEXT, WORDS, one_of
from ops.sandbox.stripe_objects import Facts, Moment, new_id
from ops.sandbox.stripe_payments import charge_of, payment_of

REFUND: Facts = {
    "payment_intent": TEXT,
    "charge": TEXT,
    "amount": NUMBER,
    "reason": TEXT,
    "metadata": WORDS,
    "instructions_email": TEXT,
    "expand": [TEXT],
}
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
#: A refund that has not ended.
OPEN = ("pending", "requires_action")


def refund(moment: Moment, asked: Facts, status: str) -> Facts:
    """Give money back; raises `Refused` where there is not so much left."""
    payment = _payment(moment, asked)
    if payment["status"] != "succeeded":
        message = (
            f"This PaymentIntent ({payment['id']}) does not have a successful charge to refund."
        )
        raise Refused(400, message, param="payment_intent", is_saved=True)
    charge = charge_of(moment, payment)
    if "reason" in asked:
        one_of(asked["reason"], REASONS, "reason")
    amount = _amount(charge, asked.get("amount"))
    made = {
        "id": new_id("refund"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": moment.now,
        "currency": charge["currency"],
        "metadata": asked.get("metadata", {}),
        "payment_intent": payment["id"],
        "reason": asked.get("reason"),
        "receipt_number": None,
        "status": status,
    }
    moment.objects.add(made, payment=payment["id"])
    emit(moment, "refund.created", made)
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    emit(moment, "charge.refunded", moment.objects.put(charge), before)
    return made


def refund_of(moment: Moment, identity: str) -> Facts:
    found = moment.objects.get("refund", identity)
    if found is None:
        raise missing("refund", identity)
    return found


def succeed(moment: Moment, made: Facts) -> None:
    """A pending refund has reached the buyer."""
    _insist_open(made, OPEN)
    made["status"] = "succeeded"
    emit(moment, "refund.updated", moment.objects.put(made), {"status": "pending"})


def fail(moment: Moment, made: Facts, reason: str) -> None:
    """The buyer's bank sends it back, even days after it was a success: it is ours again."""
    _insist_open(made, (*OPEN, "succeeded"))
    before = {"status": made["status"]}
    made |= {"status": "failed", "failure_reason": reason}
    moment.objects.put(made)
    charge = charge_of(moment, payment_of(moment, made["payment_intent"]))
    charge["amount_refunded"] -= made["amount"]
    charge["refunded"] = False
    moment.objects.put(charge)
    emit(moment, "refund.updated", made, before)
    emit(moment, "refund.failed", made, before)


def _insist_open(made: Facts, states: tuple[str, ...]) -> None:
    if made["status"] not in states:
        raise Refused(400, f"This refund has a status of {made['status']}.")


def _payment(moment: Moment, asked: Facts) -> Facts:
    if "payment_intent" in asked:
        return payment_of(moment, asked["payment_intent"])
    if "charge" not in asked:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise Refused(400, message, code="parameter_missing", param="payment_intent")
    charge = moment.objects.get("charge", asked["charge"])
    if charge is None:
        raise missing("charge", asked["charge"], "charge")
    return payment_of(moment, charge["payment_intent"])


def _amount(charge: Facts, asked: int | None) -> int:
    left = charge["amount"] - charge["amount_refunded"]
    if charge["disputed"]:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise Refused(400, message, code="charge_disputed", is_saved=True)
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise Refused(400, message, code="charge_already_refunded", is_saved=True)
    if asked is None:
        return int(left)
    if asked < 1:
        message = "This value must be greater than or equal to 1."
        raise Refused(400, message, code="parameter_invalid_integer", param="amount")
    if asked > left:
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({left})"
        raise Refused(400, message, param="amount", is_saved=True)
    return asked
