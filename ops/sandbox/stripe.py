"""Play Stripe's API: sessions, payments, refunds, disputes, events and who is told of them."""

from collections.abc import Callable

from flask import Blueprint, Response, request

from ops.sandbox import stripe_refunds as refunds
from ops.sandbox import stripe_sessions as sessions
from ops.sandbox.faults import FaultBoard
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_calls import Calls
from ops.sandbox.stripe_door import NAME, guard, missing
from ops.sandbox.stripe_endpoint_calls import endpoint_pages
from ops.sandbox.stripe_events import is_asked_for, pending
from ops.sandbox.stripe_expand import expanded, lines_of
from ops.sandbox.stripe_forms import TEXT, WORDS, read_form
from ops.sandbox.stripe_lists import asked_for, page_of
from ops.sandbox.stripe_objects import Facts, Moment
from ops.sandbox.stripe_wanted import SESSION, judge_session

#: What is looked at by its id, and listed by what it belongs to: where, and how Stripe calls it.
SHOWN = {
    "/v1/payment_intents": ("payment_intent", ()),
    "/v1/charges": ("charge", ("payment_intent",)),
    "/v1/refunds": ("refund", ("payment_intent", "charge")),
    "/v1/disputes": ("dispute", ("payment_intent", "charge")),
    "/v1/webhook_endpoints": ("webhook_endpoint", ()),
}


def stripe_pages(account: Account, faults: FaultBoard) -> Blueprint:
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    guard(pages, account.store)
    calls = Calls(account, faults)
    desk = Desk(calls)
    pages.post("/v1/checkout/sessions")(desk.create_session)
    pages.get("/v1/checkout/sessions")(desk.list_sessions)
    pages.get("/v1/checkout/sessions/<identity>")(desk.show_session)
    pages.get("/v1/checkout/sessions/<identity>/line_items")(desk.list_lines)
    pages.post("/v1/checkout/sessions/<identity>/expire")(desk.expire_session)
    pages.post("/v1/refunds")(desk.create_refund)
    pages.get("/v1/events")(desk.list_events)
    pages.get("/v1/events/<identity>")(desk.show_event)
    pages.post("/v1/refunds/<identity>")(desk.change_refund)
    endpoint_pages(pages, calls)
    for path, (kind, names) in SHOWN.items():
        pages.add_url_rule(f"{path}/<identity>", f"show_{kind}", desk.shows(kind))
        pages.add_url_rule(path, f"list_{kind}", desk.lists(kind, names))
    return pages


class Desk:
    """The calls of the API: each answers one request."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create_session(self) -> Response:
        pay_page = f"{request.host_url}{NAME}/pay"

        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), SESSION)
            wanted = judge_session(asked, now=moment.now)
            session = sessions.open_session(moment, wanted, pay_page)
            return expanded(session, moment, asked.get("expand", []))

        return self._calls.posted("session", make)

    def expire_session(self, identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), {"expand": [TEXT]})
            session = sessions.session_of(moment, identity)
            sessions.expire(moment, session)
            return expanded(session, moment, asked.get("expand", []))

        return self._calls.posted("expire", make)

    def show_session(self, identity: str) -> Response:
        return self._calls.looked("retrieve", lambda moment: sessions.session_of(moment, identity))

    def list_lines(self, identity: str) -> Response:
        return self._calls.listed(
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

        return self._calls.listed("retrieve", make)

    def create_refund(self) -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), refunds.REFUND)
            refund = refunds.refund(moment, asked, moment.switches.refund_status)
            return expanded(refund, moment, asked.get("expand", []))

        return self._calls.posted("refund", make)

    def change_refund(self, identity: str) -> Response:
        """Only what it is called may change."""

        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), {"metadata": WORDS, "expand": [TEXT]})
            refund = refunds.refund_of(moment, identity)
            refund["metadata"] |= asked.get("metadata", {})
            return expanded(moment.objects.put(refund), moment, asked.get("expand", []))

        return self._calls.posted("refund", make)

    def list_events(self) -> Response:
        asked = asked_for(type=TEXT, types=[TEXT])
        types = [*asked.get("types", []), *([asked["type"]] if "type" in asked else [])] or ["*"]

        def make(moment: Moment) -> Facts:
            page = page_of(moment, "event", asked, lambda one: is_asked_for(one["type"], types))
            for event in page["data"]:
                event["pending_webhooks"] = pending(moment, event)
            return page

        return self._calls.listed("events", make)

    def show_event(self, identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            event = moment.objects.get("event", identity)
            if event is None:
                raise missing("event", identity)
            return event | {"pending_webhooks": pending(moment, event)}

        return self._calls.listed("events", make)

    def shows(self, kind: str) -> Callable[[str], Response]:
        """The page that shows an object of this kind."""

        def show(identity: str) -> Response:
            def find(moment: Moment) -> Facts:
                found = moment.objects.get(kind, identity)
                if found is None:
                    raise missing(kind, identity)
                return found

            return self._calls.looked("retrieve", find)

        return show

    def lists(self, kind: str, names: tuple[str, ...]) -> Callable[[], Response]:
        """The page that lists objects of this kind, by what they belong to."""

        def show() -> Response:
            asked = asked_for(**dict.fromkeys(names, TEXT))

            def fits(one: Facts) -> bool:
                return all(asked.get(name) in (None, one[name]) for name in names)

            def make(moment: Moment) -> Facts:
                return expanded(page_of(moment, kind, asked, fits), moment, asked.get("expand", []))

            return self._calls.listed("retrieve", make)

        return show
