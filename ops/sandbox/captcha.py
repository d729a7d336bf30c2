"""Play Turnstile and hCaptcha: `human-...` is a person's answer, good once; all others are not."""

import threading
import time

from flask import Blueprint, Response, request

from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.wire import bad_gateway, cut_connection, first_half, reply

FAULTS = (
    FaultKind("error_500", "siteverify"),
    FaultKind("internal_error", "siteverify"),
    FaultKind("html_502", "siteverify"),
    FaultKind("garbage", "siteverify"),
    FaultKind("drop", "siteverify"),
    FaultKind("slow", "siteverify", {"seconds": 60.0}),
)
PERSON = "human-"
#: An account of ours has this secret; every other is refused.
SECRET = "sandbox"


def captcha_pages(faults: FaultBoard) -> Blueprint:
    pages = Blueprint("captcha", __name__, url_prefix="/captcha")
    used: set[str] = set()
    lock = threading.Lock()

    @pages.post("/turnstile/siteverify")
    @pages.post("/hcaptcha/siteverify")
    def siteverify() -> Response:
        strike = faults.draw("siteverify", request.headers.get(HEADER))
        if strike is not None and (answer := _struck(strike)) is not None:
            return answer
        response = request.form.get("response", "")
        with lock:
            wrong = _wrong(request.form.get("secret", ""), response, is_used=response in used)
            used.add(response)
        if wrong:
            return reply({"success": False, "error-codes": [wrong]})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return reply(
            {"success": True, "challenge_ts": stamp, "hostname": "localhost", "error-codes": []}
        )

    return pages


def _wrong(secret: str, response: str, *, is_used: bool) -> str:
    if not secret or secret != SECRET:
        return "invalid-input-secret" if secret else "missing-input-secret"
    if not response:
        return "missing-input-response"
    if not response.startswith(PERSON):
        return "invalid-input-response"
    return "timeout-or-duplicate" if is_used else ""


def _struck(strike: Strike) -> Response | None:
    match strike.name:
        case "error_500":
            return reply({"error": "internal"}, 500)
        case "internal_error":
            return reply({"success": False, "error-codes": ["internal-error"]})
        case "html_502":
            return bad_gateway()
        case "garbage":
            return first_half(reply({"success": True, "error-codes": []}))
        case "drop":
            cut_connection(request.environ)
        case "slow":
            time.sleep(strike.number("seconds"))
    return None
