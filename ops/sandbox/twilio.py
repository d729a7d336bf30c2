"""Play Twilio's Messages API: take SMS in, refuse what it refuses, post signed receipts and answers."""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import requests
from flask import Blueprint, Response, request

from ops.sandbox.faults import HEADER, FaultBoard, FaultKind, Strike
from ops.sandbox.store import Store
from ops.sandbox.wire import bad_gateway, cut_connection, first_half, reply

FAULTS = (
    FaultKind("auth_401", "message"),
    FaultKind("throttled_429", "message"),
    FaultKind("queue_full", "message"),
    FaultKind("error_500_before", "message"),
    FaultKind("error_500_after", "message"),
    FaultKind("html_502", "message"),
    FaultKind("drop_before_create", "message"),
    FaultKind("drop_after_create", "message"),
    FaultKind("garbage", "message"),
    FaultKind("slow", "message", {"seconds": 60.0}),
    # Taken over, and told later not to have arrived.
    FaultKind("undelivered", "message", {"error_code": "30003"}),
)
#: What Twilio's own test numbers stand for, and any number that ends like them.
REFUSED = {
    "0001": (21211, "The 'To' number is not a valid phone number."),
    "0002": (21612, "The 'To' phone number is not currently reachable."),
    "0003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "0004": (21610, "Attempt to send to unsubscribed recipient"),
    "0009": (21614, "'To' number is not a valid mobile number"),
}
#: Their common beginning.
TEST_NUMBERS = "+1500555"
BODY_CHARACTERS_MAX = 1600
CALLBACK_SECONDS = 5.0
#: Messages in one answer of the control page, the newest first.
PAGE_MESSAGES = 200
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class Phones:
    """Every message that was taken in, and the receipts that were made of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: What each account signs with: whoever sends by it tells.
        self.tokens: dict[str, str] = {}

    def add(self, form: Mapping[str, str], account: str, strike: Strike | None) -> str:
        sid = f"SM{secrets.token_hex(16)}"
        error = strike.text("error_code") if strike and strike.name == "undelivered" else ""
        with self._store.alone() as connection:
            connection.execute(
                "INSERT INTO messages (sid, account, recipient, sender, body, callback, error)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    sid,
                    account,
                    form["To"],
                    form.get("From") or form["MessagingServiceSid"],
                    form["Body"],
                    form.get("StatusCallback"),
                    error,
                ),
            )
        return sid

    def listing(self, to: str | None) -> list[dict[str, Any]]:
        with self._store.alone() as connection:
            rows = connection.execute(
                "SELECT sid, account, recipient, sender, body, callback, error FROM messages"
                " WHERE ? IS NULL OR recipient = ? ORDER BY message_id DESC LIMIT ?",
                (to, to, PAGE_MESSAGES),
            ).fetchall()
        return [dict(row) | {"receipt": _receipt(dict(row))} for row in rows]


def twilio_pages(phones: Phones, faults: FaultBoard) -> Blueprint:
    pages = Blueprint("twilio", __name__)

    @pages.post("/twilio/2010-04-01/Accounts/<account>/Messages.json")
    def create_message(account: str) -> Response:
        strike = faults.draw("message", request.headers.get(HEADER))
        credentials = request.authorization
        if credentials is None or credentials.username != account or not credentials.password:
            return _problem(401, 20003, "Authenticate")
        if strike is not None and (early := _struck_before(strike)) is not None:
            return early
        if (wrong := _wrong(request.form)) is not None:
            return _problem(400, *wrong)
        sid = phones.add(request.form, account, strike)
        phones.tokens[account] = credentials.password
        _post_receipts(phones, request.form["To"], sid, credentials.password)
        answer = reply(_message(sid, account, request.form), 201)
        return _struck_after(strike, answer) if strike is not None else answer

    @pages.get("/control/twilio/messages")
    def list_messages() -> Response:
        """What phones got, with the form of the receipt that belongs to each."""
        return reply({"messages": phones.listing(request.args.get("to"))})

    @pages.post("/control/twilio/answers")
    def answer_message() -> Response:
        """A phone answers the last message it got: `{"from": "+49…", "body": "STOP"}`."""
        asked = request.get_json()
        got = phones.listing(asked["from"])
        if not got:
            return reply({"error": "this phone got no message that it could answer"}, 404)
        form = _answer(got[0], asked["body"])
        url = f"{got[0]['callback'].rpartition('/')[0]}/messages"
        signed = {"X-Twilio-Signature": signature(url, form, phones.tokens[got[0]["account"]])}
        try:
            status = requests.post(url, form, headers=signed, timeout=CALLBACK_SECONDS).status_code
        except requests.RequestException:
            status = None
        return reply({"url": url, "form": form, "headers": signed, "status": status})

    return pages


def signature(url: str, form: Mapping[str, str], token: str) -> str:
    """As Twilio documents it, written apart from the code that checks it."""
    text = url
    for name, value in sorted(form.items()):
        text += f"{name}{value}"
    mac = hmac.new(token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def _wrong(form: Mapping[str, str]) -> tuple[int, str] | None:
    to, body = form.get("To", ""), form.get("Body", "")
    if not to:
        return 21604, "A 'To' phone number is required."
    if not (form.get("From") or form.get("MessagingServiceSid")):
        return 21603, "A 'From' phone number is required."
    if not body:
        return 21602, "Message body is required."
    if len(body) > BODY_CHARACTERS_MAX:
        return 21617, "The concatenated message body exceeds the 1600 character limit"
    if not _E164.fullmatch(to):
        return 21211, f"Invalid 'To' Phone Number: {to}"
    return REFUSED.get(to[-4:]) if to.startswith(TEST_NUMBERS) else None


def _message(sid: str, account: str, form: Mapping[str, str]) -> dict[str, Any]:
    now = formatdate(time.time(), localtime=False).replace("-0000", "+0000")
    uri = f"/2010-04-01/Accounts/{account}/Messages/{sid}"
    return {
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": form["Body"],
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form.get("From"),
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": str(-(-len(form["Body"]) // 153)),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": form["To"],
        "uri": f"{uri}.json",
    }


def _problem(status: int, code: int, words: str) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return reply({"code": code, "message": words, "more_info": more, "status": status}, status)


def _struck_before(strike: Strike) -> Response | None:
    match strike.name:
        case "auth_401":
            return _problem(401, 20003, "Authenticate")
        case "throttled_429":
            return _problem(429, 20429, "Too Many Requests")
        case "queue_full":
            return _problem(400, 21611, "This 'From' number has exceeded its maximum queue size")
        case "error_500_before":
            return _problem(500, 20500, "Internal Server Error")
        case "html_502":
            return bad_gateway()
        case "drop_before_create":
            cut_connection(request.environ)
        case "slow":
            time.sleep(strike.number("seconds"))
    return None


def _struck_after(strike: Strike, answer: Response) -> Response:
    match strike.name:
        case "error_500_after":
            return _problem(500, 20500, "Internal Server Error")
        case "drop_after_create":
            cut_connection(request.environ)
        case "garbage":
            return first_half(answer)
    return answer


def _receipt(row: Mapping[str, Any]) -> dict[str, str]:
    """The last of the forms that Twilio posts about a message."""
    form = {
        "AccountSid": row["account"],
        "ApiVersion": "2010-04-01",
        "From": row["sender"],
        "MessageSid": row["sid"],
        "MessageStatus": "undelivered" if row["error"] else "delivered",
        "SmsSid": row["sid"],
        "SmsStatus": "undelivered" if row["error"] else "delivered",
        "To": row["recipient"],
    }
    return form | ({"ErrorCode": row["error"]} if row["error"] else {})


def _answer(row: Mapping[str, Any], body: str) -> dict[str, str]:
    """The form that Twilio posts when a phone answers."""
    sid = f"SM{secrets.token_hex(16)}"
    return {
        "AccountSid": row["account"],
        "ApiVersion": "2010-04-01",
        "Body": body,
        "From": row["recipient"],
        "MessageSid": sid,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "SmsStatus": "received",
        "To": row["sender"],
    }


def _post_receipts(phones: Phones, to: str, sid: str, token: str) -> None:
    """Beside the answer, as Twilio does; nobody may be there to take them."""
    row = next(one for one in phones.listing(to) if one["sid"] == sid)
    if not row["callback"]:
        return
    on_its_way = {"MessageStatus": "sent", "SmsStatus": "sent"}
    forms = [{k: v for k, v in row["receipt"].items() if k != "ErrorCode"} | on_its_way]
    forms.append(row["receipt"])

    def post() -> None:
        for form in forms:
            signed = {"X-Twilio-Signature": signature(row["callback"], form, token)}
            try:
                requests.post(row["callback"], form, headers=signed, timeout=CALLBACK_SECONDS)
            except requests.RequestException:
                return

    threading.Thread(target=post, daemon=True).start()
