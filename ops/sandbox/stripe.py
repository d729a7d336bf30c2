"""Play Stripe's API: sessions, payments, refunds, disputes, events and who is told of them."""

import time
from collections.abc import Callable

from flask import Blueprint, Response, g, request

from ops.sandbox import stripe_refunds as refunds
from ops.sandbox import stripe_sessions as sessions
from ops.sandbox.faults import FaultBoard, Strike
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_door import NAME, Refused, broken, guard, missing, refusal
from ops.sandbox.stripe_events import is_asked_for, pending
from ops.sandbox.stripe_expand import expanded, lines_of
from ops.sandbox.stripe_faults import draw, is_empty_500, is_saved_500, suffer
from ops.sandbox.stripe_forms import TEXT, read_form
from ops.sandbox.stripe_idempotency import Answers
from ops.sandbox.stripe_lists import PAGING, asked_for, page_of
from ops.sandbox.stripe_objects import Facts, Moment
from ops.sandbox.stripe_wanted import SESSION, judge_session
from ops.sandbox.wire import reply

#: What is only looked at by its id: where, and how Stripe calls it.
SHOWN = {
    "/v1/payment_intents/<identity>": "payment_intent",
    "/v1/charges/<identity>": "charge",
    "/v1/refunds/<identity>": "refund",
    "/v1/disputes/<identity>": "dispute",
}
_Made = Callable[[Moment], Facts]


def stripe_pages(account: Account, faults: FaultBoard) -> Blueprint:
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    guard(pages, account.store)
    desk = Desk(account, faults)
    pages.post("/v1/checkout/sessions")(desk.create_session)
    pages.get("/v1/checkout/sessions")(desk.list_sessions)
    pages.get("/v1/checkout/sessions/<identity>")(desk.show_session)
    pages.get("/v1/checkout/sessions/<identity>/line_items")(desk.list_lines)
    pages.post("/v1/checkout/sessions/<identity>/expire")(desk.expire_session)
    pages.post("/v1/refunds")(desk.create_refund)
    pages.get("/v1/refunds")(desk.list_refunds)
    pages.get("/v1/events")(desk.list_events)
    pages.get("/v1/events/<identity>")(desk.show_event)
    for path, kind in SHOWN.items():
        pages.add_url_rule(path, kind, desk.shows(kind))
    return pages


class Desk:
    """The calls of the API: each answers one request."""

    def __init__(self, account: Account, faults: FaultBoard) -> None:
        self._account = account
        self._faults = faults
        self._answers = Answers()

    def create_session(self) -> Response:
        pay_page = f"{request.host_url}{NAME}/pay"

        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), SESSION)
            wanted = judge_session(asked, now=moment.now)
            session = sessions.open_session(moment, wanted, pay_page)
            return expanded(session, moment, asked.get("expand", []))

        return self.posted("session", make)

    def expire_session(self, identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), {"expand": [TEXT]})
            session = sessions.session_of(moment, identity)
            sessions.expire(moment, session)
            return expanded(session, moment, asked.get("expand", []))

        return self.posted("expire", make)

    def show_session(self, identity: str) -> Response:
        return self.looked("retrieve", lambda moment: sessions.session_of(moment, identity))

    def list_lines(self, identity: str) -> Response:
        return self.listed(
            "retrieve", lambda moment: lines_of(sessions.session_of(moment, identity))
        )

    def list_sessions(self) -> Response:
        asked = asked_for(payment_intent=TEXT, status=TEXT, customer_details={"email": TEXT})
        email = asked.get("customer_details", {}).get("email")

        def fits(session: Facts) -> bool:
            named = session["customer_details"] or {}
            return (
                asked.get("payment_intent") in (None, session["payment_intent"])
                and asked.get("status") in (None, session["status"])
                and email in (None, named.get("email"))
            )

        def make(moment: Moment) -> Facts:
            page = page_of(moment, "checkout.session", asked, fits)
            return expanded(page, moment, asked.get("expand", []))

        return self.listed("retrieve", make)

    def create_refund(self) -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), refunds.REFUND)
            refund = refunds.refund(moment, asked, moment.switches.refund_status)
            return expanded(refund, moment, asked.get("expand", []))

        return self.posted("refund", make)

    def list_refunds(self) -> Response:
        asked = asked_for(payment_intent=TEXT, charge=TEXT)

        def fits(refund: Facts) -> bool:
            return all(
                asked.get(name) in (None, refund[name]) for name in ("payment_intent", "charge")
            )

        def make(moment: Moment) -> Facts:
            page = page_of(moment, "refund", asked, fits)
            return expanded(page, moment, asked.get("expand", []))

        return self.listed("retrieve", make)

    def list_events(self) -> Response:
        asked = asked_for(type=TEXT, types=[TEXT])
        types = [*asked.get("types", []), *([asked["type"]] if "type" in asked else [])] or ["*"]

        def make(moment: Moment) -> Facts:
            page = page_of(moment, "event", asked, lambda one: is_asked_for(one["type"], types))
            for event in page["data"]:
                event["pending_webhooks"] = pending(moment, event)
            return page

        return self.listed("events", make)

    def show_event(self, identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            event = moment.objects.get("event", identity)
            if event is None:
                raise missing("event", identity)
            return event | {"pending_webhooks": pending(moment, event)}

        return self.listed("events", make)

    def shows(self, kind: str) -> Callable[[str], Response]:
        """The page that shows an object of this kind."""

        def show(identity: str) -> Response:
            def find(moment: Moment) -> Facts:
                found = moment.objects.get(kind, identity)
                if found is None:
                    raise missing(kind, identity)
                return found

            return self.looked("retrieve", find)

        return show

    def posted(self, point: str, make: _Made) -> Response:
        """A call that changes something: once per Idempotency-Key, whatever it suffers."""
        strike = draw(self._faults, point)
        return suffer(strike, lambda: self._once(make, strike))

    def looked(self, point: str, find: _Made) -> Response:
        """A call that shows one object, with what it asks to have written out."""
        asked = read_form(request.args.items(multi=True), {"expand": PAGING["expand"]})
        return self.listed(
            point, lambda moment: expanded(find(moment), moment, asked.get("expand", []))
        )

    def listed(self, point: str, make: _Made) -> Response:
        def execute() -> Response:
            with self._account.moment() as moment:
                return reply(make(moment))

        return suffer(draw(self._faults, point), execute)

    def _once(self, make: _Made, strike: Strike | None) -> Response:
        with self._answers.alone():
            with self._account.moment() as moment:
                kept = self._answers.kept(moment)
            if kept is not None:
                return kept
            time.sleep(self._account.switches.current.latency_seconds)
            try:
                return self._execute(make, strike)
            except Refused as error:
                if not error.is_saved:
                    raise
                with self._account.moment() as moment:
                    return self._answers.keep(moment, refusal(error))

    def _execute(self, make: _Made, strike: Strike | None) -> Response:
        """The change and its kept answer are written together."""
        key = request.headers.get("Idempotency-Key")
        with self._account.moment({"id": g.request_id, "idempotency_key": key}) as moment:
            made = {} if is_empty_500(strike) else make(moment)
            answer = broken() if is_saved_500(strike) else reply(made)
            return self._answers.keep(moment, answer)
