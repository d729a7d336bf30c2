"""What comes of answers that Stripe's SDK cannot read, or that say no: nobody above it meets an exception."""

import json

import pytest

from pipelines.providers.stripe_answers import Away, FailureKept, KeysRefused, Refused
from pipelines.providers.stripe_door import TRIES_MAX, StripeDoor
from pipelines.vendor_settings import StripeSettings
from tests.providers.socket_server import reply, serving

#: A session whose rate is no number: the SDK makes a decimal of it.
NO_NUMBER = {"id": "cs_1", "object": "checkout.session", "currency_conversion": {"fx_rate": "-x-"}}
DECLINED = {"error": {"type": "card_error", "code": "card_declined", "message": "KANARIE0no"}}
REPLAYED = b"Idempotent-Replayed: true\r\n"


def answer_to(status: str, body: bytes, extra: bytes = b""):
    def replied(peer, _):
        peer.sendall(reply(body, head=b"HTTP/1.1 " + status.encode(), extra=extra))

    with serving(replied) as server:
        door = StripeDoor(StripeSettings(server.url, "sk_test_1", ()))
        return door.session("cs_1"), server.connections


@pytest.mark.parametrize("body", [json.dumps(NO_NUMBER).encode(), b"<html>", b"[]"])
def test_an_answer_that_cannot_be_read_is_asked_for_again_and_then_is_none(body: bytes):
    answer, calls = answer_to("200 OK", body)

    assert isinstance(answer, Away)
    assert calls == TRIES_MAX


@pytest.mark.parametrize(
    ("status", "extra", "told"),
    [
        ("402 Payment Required", b"", Refused("card_declined", 402)),
        ("401 Unauthorized", b"", KeysRefused()),
        ("500 Internal Server Error", REPLAYED, FailureKept()),
    ],
)
def test_a_no_is_told_without_its_words(status: str, extra: bytes, told: object):
    answer, calls = answer_to(status, json.dumps(DECLINED).encode(), extra)

    assert answer == told
    assert calls == 1
