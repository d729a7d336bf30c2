"""Put the vendors, the mail server and their control pages into one Flask app."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from ops.sandbox import captcha
from ops.sandbox.control import control_pages, fault_pages
from ops.sandbox.faults import BadControl, FaultBoard
from ops.sandbox.mailbox import Mailbox, mailbox_pages
from ops.sandbox.reloadly import reloadly
from ops.sandbox.smtp import FAULTS, start_smtp
from ops.sandbox.store import Store
from ops.sandbox.wire import reply

#: One maker per outside company; each brings its pages under `/<name>`.
VENDORS = (reloadly,)


@dataclass(frozen=True, slots=True)
class SmtpAddress:
    """Where the mail server listens."""

    host: str
    port: int


def create_app(data: str | None = None, *, smtp: SmtpAddress | None = None) -> Flask:
    """Make the app with its state in the file `data`, or in memory; serve mail if asked to."""
    app = Flask(__name__, static_folder=None)
    # A cut connection leaves the app as an OSError: the server, not Flask, must see it.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    store = Store(data)
    vendors = [make(store) for make in VENDORS]
    for vendor in vendors:
        app.register_blueprint(vendor.pages)
        app.register_blueprint(control_pages(vendor, store))

    captcha_faults = FaultBoard(captcha.FAULTS)
    app.register_blueprint(captcha.captcha_pages(captcha_faults))
    app.register_blueprint(fault_pages("captcha", captcha_faults))
    mailbox, mail_faults = Mailbox(store), FaultBoard(FAULTS)
    app.register_blueprint(mailbox_pages(mailbox))
    app.register_blueprint(fault_pages("mail", mail_faults))
    if smtp is not None:
        start_smtp(mailbox, mail_faults, host=smtp.host, port=smtp.port)

    @app.get("/healthz")
    def healthz() -> Response:
        return reply({"status": "ok"})

    @app.post("/control/reset")
    def reset() -> Response:
        store.clear()
        captcha_faults.clear()
        mail_faults.clear()
        for vendor in vendors:
            vendor.faults.clear()
            vendor.switches.clear()
        return reply({"status": "ok"})

    @app.errorhandler(BadControl)
    def refuse_control(error: BadControl) -> Response:
        return reply({"error": str(error)}, 400)

    @app.errorhandler(404)
    def refuse_unknown_path(_: NotFound) -> Response:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = {"timestamp": now, "status": 404, "error": "Not Found", "path": request.path}
        return reply(body, 404)

    return app
