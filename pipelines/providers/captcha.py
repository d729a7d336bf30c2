"""Ask Turnstile or hCaptcha whether a person answered; both speak the same way (S2-048)."""

import re
from enum import StrEnum

from pipelines.providers.exact import Unreadable, decode_json
from pipelines.providers.transport import Answer, AnswerLost, ConnectFailed, VendorTransport
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Nobody waits longer for a page because of the company behind it.
DEADLINE_SECONDS = 3.0
#: What a widget may have given the browser; anything else is not worth a question.
_RESPONSE = re.compile(r"[\x21-\x7e]{1,16384}")
#: The company says that it, or we, are at fault: that is no word about who asks.
_NOT_THEIRS = frozenset(
    {
        "internal-error",
        "missing-input-secret",
        "invalid-input-secret",
        "sitekey-secret-mismatch",
        "not-using-dummy-passcode",
    }
)


class Verdict(StrEnum):
    """What the company said, or that it said nothing."""

    HUMAN = "human"
    REFUSED = "refused"
    AWAY = "away"


class CaptchaVerifier:
    """One account with one company; safe to share between threads."""

    def __init__(self, transport: VendorTransport, *, url: str, secret: str) -> None:
        self._transport = transport
        self._url = url
        self._secret = secret

    def verify(self, response: str) -> Verdict:
        """Who solved it: each response is good once. The visitor's address is not passed on."""
        if not _RESPONSE.fullmatch(response):
            return Verdict.REFUSED
        try:
            answer = self._transport.request(
                "POST",
                self._url,
                headers={"Accept": "application/json"},
                form={"secret": self._secret, "response": response},
                deadline_seconds=DEADLINE_SECONDS,
            )
        except (ConnectFailed, AnswerLost) as fault:
            log.warning("captcha.away", reason=str(fault))
            return Verdict.AWAY
        return _read(answer)


def _read(answer: Answer) -> Verdict:
    try:
        said = decode_json(answer.body)
    except Unreadable:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("success"), bool):
        log.warning("captcha.away", reason="unreadable", status=answer.status)
        return Verdict.AWAY
    if said["success"]:
        return Verdict.HUMAN if answer.status == 200 else Verdict.AWAY
    codes = said.get("error-codes")
    named = {code for code in codes if isinstance(code, str)} if isinstance(codes, list) else set()
    if named and named <= _NOT_THEIRS:
        log.error("captcha.away", reason=min(named))
        return Verdict.AWAY
    return Verdict.REFUSED
