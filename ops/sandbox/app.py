"""Put the vendors, the mail server, the phones, a partner's shop and their control pages together."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from ops.sandbox import captcha, stripe_faults, twilio
from ops.sandbox.control import control_pages, fault_pages
from ops.sandbox.faults import BadControl, FaultBoard
from ops.sandbox.giftbit import giftbit
from ops.sandbox.mailbox import Mailbox, mailbox_pages
from ops.sandbox.partner import Shop, partner_control, partner_site
from ops.sandbox.receiver import FAULTS as RECEIVER_FAULTS
from ops.sandbox.receiver import Receiver, receiver_pages
from ops.sandbox.reloadly import reloadly
from ops.sandbox.smtp import FAULTS, start_smtp
from ops.sandbox.store import Store
from ops.sandbox.stripe import stripe_pages
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_control import stripe_control
from ops.sandbox.stripe_control_events import event_control
from ops.sandbox.stripe_control_money import money_control
from ops.sandbox.stripe_endpoints import Standing
from ops.sandbox.stripe_page import pay_page
from ops.sandbox.stripe_postman import Postman
from ops.sandbox.tango import tango
from ops.sandbox.tremendous import tremendous
from ops.sandbox.vendor import Vendor
from ops.sandbox.wire import reply

#: One maker per outside company; each brings its pages under `/<name>`.
VENDORS = (reloadly, tango, tremendous, giftbit)
#: Companies that sell nothing, with the faults of each.
OTHERS = {
    "captcha": captcha.FAULTS,
    "mail": FAULTS,
    "twilio": twilio.FAULTS,
    "receiver": RECEIVER_FAULTS,
    "stripe": stripe_faults.FAULTS,
}


@dataclass(frozen=True, slots=True)
class SmtpAddress:
    """Where the mail server listens."""

    host: str
    port: int


def create_app(
    data: str | None = None,
    *,
    smtp: SmtpAddress | None = None,
    hooks: Standing | None = None,
) -> Flask:
    """Make the app with its state in the file `data`, or in memory.

    Mail is served if it is told where, and `hooks` is who Stripe tells of events from the start.
    """
    app = Flask(__name__, static_folder=None)
    # A cut connection leaves the app as an OSError: the server, not Flask, must see it.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    store = Store(data)
    vendors = _open_vendors(app, store)
    boards = {name: FaultBoard(kinds) for name, kinds in OTHERS.items()}
    for name, faults in boards.items():
        app.register_blueprint(fault_pages(name, faults))
    mailbox, receiver = Mailbox(store), Receiver()
    app.register_blueprint(captcha.captcha_pages(boards["captcha"]))
    app.register_blueprint(mailbox_pages(mailbox))
    app.register_blueprint(twilio.twilio_pages(twilio.Phones(store), boards["twilio"]))
    app.register_blueprint(receiver_pages(receiver, boards["receiver"]))
    shop = _open_shop(app)
    account, postman = _open_stripe(app, store, boards["stripe"], hooks)
    if smtp is not None:
        start_smtp(mailbox, boards["mail"], host=smtp.host, port=smtp.port)

    @app.get("/healthz")
    def healthz() -> Response:
        return reply({"status": "ok"})

    @app.post("/control/reset")
    def reset() -> Response:
        store.clear()
        postman.rest()
        receiver.clear()
        shop.leave()
        account.restore()
        for faults in boards.values():
            faults.clear()
        for vendor in vendors:
            vendor.faults.clear()
            vendor.switches.clear()
        return reply({"status": "ok"})

    _refuse(app)
    return app


def _refuse(app: Flask) -> None:
    """What no page takes: a control that is not known, a path that is nobody's."""

    @app.errorhandler(BadControl)
    def refuse_control(error: BadControl) -> Response:
        return reply({"error": str(error)}, 400)

    @app.errorhandler(404)
    def refuse_unknown_path(_: NotFound) -> Response:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = {"timestamp": now, "status": 404, "error": "Not Found", "path": request.path}
        return reply(body, 404)


def _open_vendors(app: Flask, store: Store) -> list[Vendor]:
    vendors = [make(store) for make in VENDORS]
    for vendor in vendors:
        app.register_blueprint(vendor.pages)
        app.register_blueprint(control_pages(vendor, store))
    return vendors


def _open_shop(app: Flask) -> Shop:
    """A partner's site, which knows only what it is handed."""
    shop = Shop()
    app.register_blueprint(partner_site(shop))
    app.register_blueprint(partner_control(shop))
    return shop


def _open_stripe(
    app: Flask, store: Store, faults: FaultBoard, standing: Standing | None
) -> tuple[Account, Postman]:
    """Its API, its buyers, and the postman who tells `standing` and others of events."""
    account = Account(store, standing)
    account.restore()
    postman = Postman(account)
    app.register_blueprint(stripe_pages(account, faults))
    app.register_blueprint(pay_page(account))
    app.register_blueprint(stripe_control(account, faults))
    app.register_blueprint(event_control(account, postman))
    app.register_blueprint(money_control(account))
    postman.start()
    return account, postman
