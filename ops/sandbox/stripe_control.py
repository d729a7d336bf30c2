"""Let a test, or a person, be the buyer, the bank and the clock of a Stripe account."""

from collections import Counter
from typing import Any

from flask import Blueprint, Response, request

from ops.sandbox import stripe_sessions as sessions
from ops.sandbox.control import steer_switches
from ops.sandbox.faults import BadControl, FaultBoard
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_door import NAME, Refused
from ops.sandbox.stripe_objects import Facts, Moment, shown
from ops.sandbox.stripe_payments import Payer
from ops.sandbox.stripe_sessions import WrongMoment, session_of
from ops.sandbox.wire import reply

#: Objects in one answer of a control page, the newest first.
PAGE_MAX = 1_000
#: What a buyer may say of himself and his card.
PAYER = ("email", "name", "fingerprint", "last4", "brand")


def stripe_control(account: Account, faults: FaultBoard) -> Blueprint:
    pages = Blueprint(f"steer_{NAME}", __name__, url_prefix=f"/control/{NAME}")
    steer_switches(pages, account.switches)
    refuse_wrong_moments(pages)

    @pages.get("/sessions")
    def list_sessions() -> Response:
        with account.moment() as moment:
            rows = list(moment.objects.newest("checkout.session"))[:PAGE_MAX]
        return reply({"sessions": [shown(row) for row in rows]})

    @pages.get("/summary")
    def summarise() -> Response:
        """What was really sold, and which calls came."""
        with account.moment() as moment:
            counted = summary(moment)
        calls, fired = account.store.calls(NAME), faults.shown()["fired"]
        return reply(counted | {"calls": calls, "faults_fired": fired})

    @pages.post("/sessions/<identity>/<what>")
    def steer_session(identity: str, what: str) -> Response:
        with account.moment() as moment:
            session = session_of(moment, identity)
            move(moment, session, what, said())
            return reply(shown(session))

    return pages


def refuse_wrong_moments(pages: Blueprint) -> None:
    @pages.errorhandler(WrongMoment)
    def refuse_moment(error: WrongMoment) -> Response:
        return reply({"error": str(error)}, 409)

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        return reply({"error": error.message}, error.status)


def move(moment: Moment, session: Facts, what: str, told: Facts) -> None:
    """What happens to a session, by the name of its control page."""
    payer = Payer(**{name: told.pop(name) for name in PAYER if name in told})
    reason = told.pop("reason", "generic_decline")
    if told:
        raise BadControl(f"unknown: {', '.join(told)}; known are {', '.join(PAYER)}, reason")
    match what:
        case "pay":
            sessions.pay(moment, session, payer)
        case "decline":
            sessions.turn_down(moment, session, payer, reason)
        case "pay-later":
            sessions.pay_later(moment, session, payer)
        case "settle":
            sessions.arrive(moment, session)
        case "fail":
            sessions.fall_through(moment, session)
        case "expire":
            sessions.expire(moment, session)
        case "pay-late":
            sessions.pay_late(moment, session, payer)
        case _:
            raise BadControl("known are pay, decline, pay-later, settle, fail, expire and pay-late")


def summary(moment: Moment) -> Facts:
    all_sessions = list(moment.objects.newest("checkout.session"))
    payments = list(moment.objects.newest("payment_intent"))
    refunds = list(moment.objects.newest("refund"))
    return {
        "sessions": Counter(one["status"] for one in all_sessions),
        "payment_statuses": Counter(one["payment_status"] for one in all_sessions),
        "payments": Counter(one["status"] for one in payments),
        "received": sum(one["amount_received"] for one in payments),
        "refunds": Counter(one["status"] for one in refunds),
        "refunded": sum(one["amount"] for one in refunds if one["status"] != "failed"),
        "events": Counter(one["type"] for one in moment.objects.newest("event")),
    }


def said() -> dict[str, Any]:
    """What a control call tells; without a body nothing."""
    body = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(body, dict):
        raise BadControl("the body must be a JSON object")
    return body
