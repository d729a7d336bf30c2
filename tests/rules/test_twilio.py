"""What Twilio's answers mean, and who may sign its receipts: pure."""

import json
from typing import Any

import pytest

from pipelines.mail.outcomes import Bounced, NotNow, Outcome, Sent
from pipelines.providers.transport import Answer
from pipelines.sms.compose import gift_card_text
from pipelines.sms.port import Fate, Receipt
from pipelines.sms.twilio import is_genuine, judged, read_receipt

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
#: What Twilio's own documentation gives for this address, form and token.
SIGNATURE, TOKEN = "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, {"sid": "SM1", "status": "queued"}, Sent("SM1")),
        (201, "<html>", Sent(None)),
        (400, {"code": 21211}, Bounced("sms_21211")),
        (400, {"code": 21610}, Bounced("sms_21610")),
        (400, {"code": 99999}, Bounced("sms_99999")),
        (400, "", Bounced("sms_400")),
        (400, {"code": 21606}, NotNow("sms_21606", of_house=True)),
        (400, {"code": 21611}, NotNow("sms_21611", of_house=True)),
        (401, {"code": 20003}, NotNow("sms_20003", of_house=True)),
        (404, "", NotNow("sms_404", of_house=True)),
        (429, {"code": 20429}, NotNow("sms_20429", of_house=True)),
        (500, {"code": 20500}, NotNow("sms_20500")),
        (502, "<html>", NotNow("sms_502")),
        (302, "", NotNow("sms_302")),
    ],
)
def test_an_answer_is_for_good_for_later_or_says_nothing_of_the_number(
    status: int, body: Any, outcome: Outcome
):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    assert judged(Answer(status, sent, {})) == outcome


def test_a_receipt_is_genuine_only_under_its_own_address_form_and_token():
    assert is_genuine(URL, FORM, SIGNATURE, TOKEN)
    assert not is_genuine(URL + "3", FORM, SIGNATURE, TOKEN)
    assert not is_genuine(URL, FORM | {"Digits": "1235"}, SIGNATURE, TOKEN)
    assert not is_genuine(URL, FORM, SIGNATURE, "123456")
    assert not is_genuine(URL, FORM, "", TOKEN)
    assert not is_genuine(URL, FORM, "é", TOKEN)


@pytest.mark.parametrize(
    ("form", "receipt"),
    [
        ({"MessageStatus": "sent", "MessageSid": "SM1"}, None),
        ({}, None),
        (
            {"MessageStatus": "delivered", "MessageSid": "SM1"},
            Receipt(Fate.DELIVERED, "delivered", "SM1"),
        ),
        (
            {"MessageStatus": "undelivered", "MessageSid": "SM1", "ErrorCode": "30003"},
            Receipt(Fate.UNDELIVERED, "undelivered_30003", "SM1"),
        ),
        (
            {"MessageStatus": "failed", "MessageSid": "+49 170", "ErrorCode": "+4917012345"},
            Receipt(Fate.UNDELIVERED, "undelivered", None),
        ),
    ],
)
def test_a_receipt_is_read_by_its_last_word(form: dict[str, str], receipt: Receipt | None):
    assert read_receipt(form) == receipt


def test_names_stay_on_one_line_and_within_the_message():
    words = gift_card_text(
        sender="Shop\nBcc: x", brand="B" * 200, amount="$25.00", url="https://g.example/r/abc"
    )

    assert "\n" not in words
    assert words.startswith("Shop Bcc: x sent you a $25.00 gift card for BBB")
    assert words.endswith("Open it: https://g.example/r/abc")
    assert len(words) < 320
