"""Let a test be the bank: money goes back, fails to, or is disputed."""

from typing import Any

from flask import Blueprint, Response

from ops.sandbox import stripe_disputes as disputes
from ops.sandbox import stripe_refunds as refunds
from ops.sandbox.faults import BadControl
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_control import refuse_wrong_moments, said
from ops.sandbox.stripe_door import NAME
from ops.sandbox.stripe_objects import HEADS, Facts, Moment, shown
from ops.sandbox.stripe_payments import payment_of
from ops.sandbox.stripe_sessions import session_of
from ops.sandbox.wire import reply

REFUND_STATES = ("pending", "succeeded", "failed")


def money_control(account: Account) -> Blueprint:
    pages = Blueprint(f"steer_{NAME}_money", __name__, url_prefix=f"/control/{NAME}")
    refuse_wrong_moments(pages)
    _steer_refunds(pages, account)
    _steer_disputes(pages, account)
    return pages


def _steer_refunds(pages: Blueprint, account: Account) -> None:
    @pages.post("/payments/<identity>/refund")
    def refund(identity: str) -> Response:
        """Made at Stripe's own console, not by the shop: only events tell of it."""
        told = said()
        status = told.pop("status", "succeeded")
        if status not in REFUND_STATES:
            raise BadControl(f"status must be one of {', '.join(REFUND_STATES)}")
        with account.moment() as moment:
            asked = told | {"payment_intent": _payment(moment, identity)["id"]}
            first = "pending" if status == "failed" else status
            made = refunds.refund(moment, asked, first)
            if status == "failed":
                refunds.fail(moment, made, "unknown")
        return reply(shown(made))

    @pages.post("/refunds/<identity>/<what>")
    def move_refund(identity: str, what: str) -> Response:
        told = said()
        with account.moment() as moment:
            made = refunds.refund_of(moment, identity)
            match what:
                case "succeed":
                    refunds.succeed(moment, made)
                case "fail":
                    refunds.fail(moment, made, told.get("reason", "unknown"))
                case _:
                    raise BadControl("known are succeed and fail")
        return reply(shown(made))


def _steer_disputes(pages: Blueprint, account: Account) -> None:
    @pages.post("/payments/<identity>/dispute")
    def dispute(identity: str) -> Response:
        told: dict[str, Any] = {"amount": None, "reason": "fraudulent", "inquiry": False} | said()
        with account.moment() as moment:
            made = disputes.dispute(
                moment,
                _payment(moment, identity),
                amount=told["amount"],
                reason=told["reason"],
                is_inquiry=bool(told["inquiry"]),
            )
        return reply(shown(made))

    @pages.post("/disputes/<identity>/<what>")
    def move_dispute(identity: str, what: str) -> Response:
        told = said()
        with account.moment() as moment:
            made = disputes.dispute_of(moment, identity)
            match what:
                case "update":
                    disputes.go_on(moment, made, told.get("status", "under_review"))
                case "close":
                    disputes.close(moment, made, told.get("status", "lost"))
                case _:
                    raise BadControl("known are update and close")
        return reply(shown(made))


def _payment(moment: Moment, identity: str) -> Facts:
    """By its own id, or by its session's."""
    if identity.startswith(HEADS["checkout.session"]):
        identity = session_of(moment, identity)["payment_intent"] or identity
    return payment_of(moment, identity)
