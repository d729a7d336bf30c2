"""Who signed a body, and when: the table of EC-031, and the SDK's own signatures (S2-039)."""

import hashlib
import hmac

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from pipelines.payments.signature import signed_with

NOW = 1_795_000_000
BODY = b'{"id": "evt_1"}'
NEW, OLD, STRANGER = "whsec_new", "whsec_old", "whsec_other"


def header(body: bytes = BODY, secret: str = NEW, at: int = NOW) -> str:
    right = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={right}"


def v1(text: str) -> str:
    return text.partition("v1=")[2]


@pytest.mark.parametrize(
    ("given_header", "body", "place"),
    [
        (header(), BODY, 0),
        (header(secret=OLD), BODY, 1),
        (f"{header(secret=STRANGER)},v1={v1(header())}", BODY, 0),
        (f"{header(secret=OLD)},v1={v1(header())}", BODY, 0),
        (header(at=NOW - 300), BODY, 0),
        (header(at=NOW + 300), BODY, 0),
        (header(at=NOW - 301), BODY, None),
        (header(at=NOW + 301), BODY, None),
        (header(secret=STRANGER), BODY, None),
        (header(), BODY + b" ", None),
        (header().replace("v1=", "v0="), BODY, None),
        (f"t=abc,v1={v1(header())}", BODY, None),
        (f"t={NOW},t={NOW},v1={v1(header())}", BODY, None),
        (f"v1={v1(header())}", BODY, None),
        (f"t={NOW}", BODY, None),
        ("", BODY, None),
        (header(body=b"\xff\xfe"), b"\xff\xfe", 0),
        (header(), b"\xff\xfe", None),
    ],
)
def test_ec031_only_what_stripe_signed_just_now_is_taken(given_header, body, place) -> None:
    assert signed_with(given_header, body, [NEW, OLD], now=NOW) == place


def test_s2_039_what_the_sdk_signs_is_taken() -> None:
    signed = stripe.WebhookSignature.generate_signature_header(BODY.decode(), NEW, NOW)

    assert signed == header()
    assert signed_with(signed, BODY, [NEW], now=NOW) == 0


def test_ec031_a_signature_of_tomorrow_is_refused_though_the_sdk_takes_it() -> None:
    tomorrow = header(at=NOW + 86_400)

    assert stripe.WebhookSignature.verify_header(BODY.decode(), tomorrow, NEW, 10**9)
    assert signed_with(tomorrow, BODY, [NEW], now=NOW) is None


@given(st.text(max_size=80))
def test_ec031_no_header_makes_it_fail(text: str) -> None:
    assert signed_with(text, BODY, [NEW], now=NOW) is None
