"""What every adapter needs around its own wire format: one call with its proof, and small readers."""

import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from pipelines.providers.exact import Unreadable
from pipelines.providers.ports import (
    NOT_AUTHORISED,
    QUESTION_THROTTLED,
    AuthFailed,
    NotSent,
    Throttled,
    Unknown,
)
from pipelines.providers.transport import Answer, AnswerLost, ConnectFailed, VendorTransport

RETRY_AFTER_DEFAULT_SECONDS = 5.0
_RETRY_AFTER_MAX_SECONDS = 3600.0

NoAnswer = NotSent | Throttled | AuthFailed | Unknown


def ask(
    transport: VendorTransport,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    seconds: float,
    json: object = None,
    form: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    send_by: float | None = None,
) -> Answer | NotSent | Unknown:
    """One call within `seconds`: the answer, or whether the vendor may have got the question."""
    if seconds <= 0:
        return NotSent("no_time_left")
    try:
        return transport.request(
            method,
            url,
            headers=headers,
            json=json,
            form=form,
            params=params,
            deadline_seconds=seconds,
            send_by=send_by,
        )
    except ConnectFailed as fault:
        return NotSent(str(fault))
    except AnswerLost as fault:
        return Unknown(str(fault))


def unanswered(failure: NoAnswer) -> Unknown:
    """A question that failed says nothing about the order, whatever it says about itself."""
    match failure:
        case Unknown():
            return failure
        case NotSent():
            return Unknown("question_not_sent")
        case Throttled(retry_after_seconds=seconds):
            return Unknown(QUESTION_THROTTLED, seconds)
        case AuthFailed():
            return Unknown(NOT_AUTHORISED)


def not_told(answer: Answer, *, throttled_seconds: float = RETRY_AFTER_DEFAULT_SECONDS) -> Unknown:
    """A question that got another status than it may have says nothing about the order.

    `throttled_seconds`: how long a 429 that does not say so itself asks us to wait.
    """
    match answer.status:
        case 401 | 403:
            return Unknown(NOT_AUTHORISED)
        case 429:
            seconds = retry_after_seconds(answer, default=throttled_seconds)
            return Unknown(QUESTION_THROTTLED, seconds)
        case status:
            return Unknown(f"http_{status}")


def not_found(answer: Answer) -> bool:
    """Whether a vendor asked by its own order's id says that it has none such, or no such id."""
    return answer.status in {400, 404, 422}


def retry_after_seconds(answer: Answer, *, default: float = RETRY_AFTER_DEFAULT_SECONDS) -> float:
    """How long an answer asks us to wait, by its Retry-After: seconds or a date, at most an hour."""
    text = answer.headers.get("retry-after", "").strip()
    wait = default
    if re.fullmatch(r"[0-9]{1,9}", text):
        wait = float(text)
    elif text:
        with suppress(ValueError, TypeError):
            sent = parsedate_to_datetime(answer.headers.get("date", ""))
            wait = (parsedate_to_datetime(text) - sent).total_seconds()
    return min(max(wait, 1.0), _RETRY_AFTER_MAX_SECONDS)


def as_object(value: object) -> Mapping[str, object]:
    """A JSON object, or `Unreadable`."""
    if not isinstance(value, dict):
        raise Unreadable("not an object")
    return value


def as_text(value: object) -> str | None:
    """Strings and integers as text; empty is None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def as_currency(value: object) -> str:
    """A currency of three letters, or `Unreadable`."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
        raise Unreadable("not a currency")
    return value
