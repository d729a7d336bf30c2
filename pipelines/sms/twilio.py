"""Send SMS by Twilio's Messages API, and read the receipts that it signs.

Twilio has no idempotency for messages: a try whose answer was lost is repeated, and may give a
recipient the same link twice, as with mail (decision 0027). Its own words are not kept: they quote
the number.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from pipelines.mail.outcomes import Bounced, NotNow, Outcome, Sent
from pipelines.providers.exact import Unreadable, decode_json
from pipelines.providers.transport import Answer, AnswerLost, ConnectFailed, VendorTransport
from pipelines.sms.port import Fate, Receipt, Sms, Wish
from pipelines.vendor_settings import TwilioSettings

#: Refusals that say something of our account, our sender or our own address, never of a number.
OF_HOUSE = frozenset(
    {
        20003,  # sid or token are wrong
        20005,  # the account is not active
        20404,  # there is no such account
        21212,  # the sender cannot be used
        21603,  # the sender is missing
        21606,  # the sender sends no SMS
        21609,  # the address for receipts
        21659,  # the sender is not Twilio's
        21660,  # the sender is another account's
        21661,  # the sender sends no SMS
        21701,  # there is no such messaging service
        21703,  # the messaging service has no number
        21705,  # the messaging service cannot be used
        30002,  # the account is suspended
    }
)
#: The line of our sender is full, or its day is over: later there is room.
FULL = frozenset({20429, 21611, 30001, 63038})
_SERVICE = re.compile(r"MG[0-9a-f]{32}")
_REFERENCE = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_CODE = re.compile(r"[0-9]{1,6}", re.ASCII)
_FATES = {
    "delivered": Fate.DELIVERED,
    "undelivered": Fate.UNDELIVERED,
    "failed": Fate.UNDELIVERED,
}
#: What a phone says to be left alone and to be written to again: these words alone, however written.
STOP_WORDS = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class TwilioSender:
    """One account at Twilio; safe to share between threads."""

    def __init__(self, transport: VendorTransport, settings: TwilioSettings) -> None:
        self._transport = transport
        self._settings = settings

    def send(self, sms: Sms, *, deadline_seconds: float) -> Outcome:
        """One try, over within `deadline_seconds`."""
        settings = self._settings
        credentials = f"{settings.account_sid}:{settings.auth_token}".encode()
        by = "MessagingServiceSid" if _SERVICE.fullmatch(settings.sender) else "From"
        try:
            answer = self._transport.request(
                "POST",
                f"{settings.base_url}/2010-04-01/Accounts/{settings.account_sid}/Messages.json",
                headers={
                    "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
                    "Accept": "application/json",
                },
                form={
                    "To": sms.to,
                    by: settings.sender,
                    "Body": sms.text,
                    "StatusCallback": sms.receipts_to,
                },
                deadline_seconds=deadline_seconds,
            )
        except ConnectFailed:
            return NotNow("unreachable", of_house=True)
        except AnswerLost:
            return NotNow("connection_lost")
        return judged(answer)


def judged(answer: Answer) -> Outcome:
    """What an answer says: taken over, refused for good, or to be tried again."""
    try:
        said = decode_json(answer.body)
    except Unreadable:
        said = None
    said = said if isinstance(said, dict) else {}
    if 200 <= answer.status < 300:
        return Sent(_reference(said.get("sid")))
    number = said.get("code")
    code = number if isinstance(number, int) else answer.status
    if answer.status in {401, 403, 404, 429} or code in OF_HOUSE | FULL:
        return NotNow(f"sms_{code}", of_house=True)
    if answer.status == 400:
        return Bounced(f"sms_{code}")
    return NotNow(f"sms_{code}")


def signature(url: str, values: Mapping[str, str], auth_token: str) -> str:
    """How Twilio signs a form that it posts to `url`: SHA-1 over the address and sorted fields."""
    signed = url + "".join(name + values[name] for name in sorted(values))
    return base64.b64encode(
        hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)
    ).decode()


def is_genuine(url: str, values: Mapping[str, str], given: str, auth_token: str) -> bool:
    """Whether a receipt comes from who knows our token."""
    return hmac.compare_digest(given.encode(), signature(url, values, auth_token).encode())


def read_receipt(values: Mapping[str, str]) -> Receipt | None:
    """The last word about a message; None for a stage on its way."""
    fate = _FATES.get(values.get("MessageStatus", ""))
    if fate is None:
        return None
    number = values.get("ErrorCode", "")
    code = f"undelivered_{number}" if _CODE.fullmatch(number) else fate.value
    return Receipt(fate, code, _reference(values.get("MessageSid")))


def read_wish(values: Mapping[str, str]) -> Wish | None:
    """What a phone's message asks of us; None for any other words.

    Where an account has words of its own, Twilio tells in `OptOutType` what they mean.
    """
    phone = values.get("From", "")
    if not _NUMBER.fullmatch(phone):
        return None
    word = values.get("OptOutType") or values.get("Body", "").strip()
    if word.upper() in STOP_WORDS:
        return Wish(phone, wants_messages=False)
    return Wish(phone, wants_messages=True) if word.upper() in START_WORDS else None


def _reference(given: object) -> str | None:
    is_one = isinstance(given, str) and _REFERENCE.fullmatch(given)
    return str(given) if is_one else None
