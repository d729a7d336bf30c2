"""Try at Largesse what must not work: a used, an old and a forged token, and a race for a coupon."""

import json
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

from ops.sandbox.partner.shop import SECRET_BYTES, TOKEN_SECONDS, Vendor

BASE = "/api/v1"
ANSWER_SECONDS = 15
#: What is left of a bearer in an answer that is shown.
SHOWN_CHARACTERS = 4
#: Pages of offers that are looked through for the scarcest.
PAGES_MAX = 10
#: A token that ended a minute ago.
OLD_SECONDS = TOKEN_SECONDS + 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What Largesse said, and to what."""

    asked: str
    status: int
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The answer to be shown; a bearer in it is cut short."""
        shown = dict(self.body)
        if isinstance(bearer := shown.get("session_token"), str):
            shown["session_token"] = f"…{bearer[-SHOWN_CHARACTERS:]}"
        return json.dumps(shown, indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """A button of the page."""

    title: str
    explained: str
    run: Callable[[Vendor, str, str], list[Answer]]


def replay(vendor: Vendor, origin: str, customer: str) -> list[Answer]:
    """One token, exchanged twice."""
    token = vendor.sign(customer)
    return [
        _exchange(vendor, origin, token, asked="The token, for the first time"),
        _exchange(vendor, origin, token, asked="The same token again"),
    ]


def expire(vendor: Vendor, origin: str, customer: str) -> list[Answer]:
    token = vendor.sign(customer, issued_at=int(time.time()) - OLD_SECONDS)
    return [_exchange(vendor, origin, token, asked="A token that ended a minute ago")]


def forge(vendor: Vendor, origin: str, customer: str) -> list[Answer]:
    token = vendor.sign(customer, secret=secrets.token_bytes(SECRET_BYTES))
    return [_exchange(vendor, origin, token, asked="A token signed with another secret")]


def race(vendor: Vendor, origin: str, _customer: str) -> list[Answer]:
    """Two new customers, each with a session of their own, claim one coupon at one moment."""
    racers = [f"racer-{secrets.token_hex(6)}" for _ in range(2)]
    entered = [
        _exchange(vendor, origin, vendor.sign(racer), asked=f"{racer} comes in") for racer in racers
    ]
    if refused := [answer for answer in entered if answer.status != 201]:
        return refused
    bearers = [answer.body["session_token"] for answer in entered]
    coupon_id = scarcest(vendor, bearers[0])
    if coupon_id is None:
        return [Answer("The offers that are left", 200, {"data": []})]
    line = threading.Barrier(len(racers))

    def claim(racer: str, bearer: str) -> Answer:
        line.wait(timeout=ANSWER_SECONDS)
        asked = f"{racer} claims coupon {coupon_id}"
        return _call(
            vendor, "POST", "/claims", asked=asked, bearer=bearer, body={"coupon_id": coupon_id}
        )

    with ThreadPoolExecutor(len(racers)) as pool:
        return list(pool.map(claim, racers, bearers))


def scarcest(vendor: Vendor, bearer: str) -> str | None:
    """A coupon of the offer of which fewest are left; None if nothing is."""
    left: dict[str, list[str]] = defaultdict(list)
    cursor = None
    for _page in range(PAGES_MAX):
        path = "/available-coupons?limit=100" + (f"&cursor={cursor}" if cursor else "")
        body = _call(vendor, "GET", path, asked="The offers", bearer=bearer).body
        for row in body.get("data", ()):
            left[row["offer"]["id"]].append(row["id"])
        cursor = body.get("next_cursor")
        if not cursor:
            break
    return min(left.values(), key=len)[0] if left else None


TRIALS: Mapping[str, Trial] = {
    "replay": Trial("Use a token twice", "The second time is refused: token_replayed.", replay),
    "expired": Trial("Use an expired token", "It is refused: token_expired.", expire),
    "wrong-secret": Trial(
        "Use a token signed with a wrong secret",
        "It is refused: invalid_token, and nothing says what was wrong with it.",
        forge,
    ),
    "race": Trial(
        "Let two browsers race for the last coupon",
        "Two new customers claim one coupon of the scarcest offer at once. One gets it; the other "
        "gets the next of that offer, or, if it was the last, 409 coupon_unavailable.",
        race,
    ),
}


def _exchange(vendor: Vendor, origin: str, token: str, *, asked: str) -> Answer:
    body = {"token": token, "host_origin": origin}
    return _call(vendor, "POST", "/session-from-token", asked=asked, body=body)


def _call(
    vendor: Vendor,
    method: str,
    path: str,
    *,
    asked: str,
    bearer: str | None = None,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    headers = {"Accept": "application/json"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    try:
        answer = requests.request(
            method, f"{vendor.host}{BASE}{path}", json=body, headers=headers, timeout=ANSWER_SECONDS
        )
        return Answer(asked, answer.status_code, answer.json())
    except (requests.RequestException, ValueError) as error:
        return Answer(asked, 0, {"error": f"Largesse did not answer ({type(error).__name__})."})
