"""A dispute: the buyer's bank takes the money back, and later says who keeps it."""

from ops.sandbox.stripe_door import Refused, missing
from ops.sandbox.stripe_events import emit
from ops.sandbox.stripe_objects import Facts, Moment, new_id
from ops.sandbox.stripe_payments import charge_of

#: States in which no money has moved yet, and those that it ends in.
INQUIRIES = ("warning_needs_response", "warning_under_review")
ENDS = ("won", "lost", "warning_closed", "prevented")
#: What an open dispute may become before its end.
STATES = (
    *INQUIRIES,
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
)
#: A dispute must be answered so long after it was opened.
ANSWER_SECONDS = 9 * 24 * 3600


def dispute(
    moment: Moment, payment: Facts, *, amount: int | None, reason: str, is_inquiry: bool
) -> Facts:
    """Open one; an inquiry only asks, and takes no money yet."""
    if payment["status"] != "succeeded":
        raise Refused(409, "there is no successful charge to dispute")
    charge = charge_of(moment, payment)
    if charge["disputed"]:
        raise Refused(409, "the charge is disputed already")
    made = {
        "id": new_id("dispute"),
        "object": "dispute",
        "amount": charge["amount"] if amount is None else amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": moment.now,
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {
            "due_by": moment.now + ANSWER_SECONDS,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": is_inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": payment["id"],
        "reason": reason,
        "status": "warning_needs_response" if is_inquiry else "needs_response",
    }
    moment.objects.add(made, payment=payment["id"])
    charge["disputed"] = True
    moment.objects.put(charge)
    emit(moment, "charge.dispute.created", made)
    if not is_inquiry:
        emit(moment, "charge.dispute.funds_withdrawn", made)
    return made


def dispute_of(moment: Moment, identity: str) -> Facts:
    found = moment.objects.get("dispute", identity)
    if found is None:
        raise missing("dispute", identity)
    return found


def go_on(moment: Moment, made: Facts, status: str) -> None:
    """Another state before the end; an inquiry may become a dispute, which takes the money."""
    _insist(made["status"] not in ENDS and status in STATES, made)
    before = made["status"]
    made["status"] = status
    emit(moment, "charge.dispute.updated", moment.objects.put(made), {"status": before})
    if before in INQUIRIES and status not in INQUIRIES:
        emit(moment, "charge.dispute.funds_withdrawn", made)


def close(moment: Moment, made: Facts, status: str) -> None:
    """Won: the money comes back. Lost: it does not. An inquiry had taken none."""
    _insist(made["status"] not in ENDS and status in ENDS, made)
    had_taken = made["status"] not in INQUIRIES
    made["status"] = status
    emit(moment, "charge.dispute.closed", moment.objects.put(made))
    if status == "won" and had_taken:
        emit(moment, "charge.dispute.funds_reinstated", made)


def _insist(fits: object, made: Facts) -> None:
    if not fits:
        raise Refused(409, f"the dispute is {made['status']}")
