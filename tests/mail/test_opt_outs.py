"""S4-128: a phone that answers STOP is sent no more, START lets it in again, and no number is kept."""

from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from pipelines.sms.port import Wish
from pipelines.sms.twilio import read_wish
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, rows, submit
from tests.mail.test_deliveries import delivery, outcomes
from tests.mail.test_sms import ADA, BOB, again, issue
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from web.app import create_app


@pytest.fixture
def seeded(mail_house: House) -> Seeded:
    seeded = seed(mail_house, vendor=False)
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(4))
    return seeded


@pytest.fixture
def app(mail_house: House) -> Flask:
    return create_app(mail_house)


def answer(app: Flask, sandbox: Sandbox, words: str, **forged: str) -> TestResponse:
    """What Twilio posts when Ada's phone answers; nobody listens where the sandbox posts it first."""
    call = sandbox.answered(ADA, words)
    path = urlsplit(call["url"]).path
    return app.test_client().post(path, data=call["form"] | forged, headers=call["headers"])


def opt_outs(house: House) -> int:
    return len(rows(house, "SELECT 1 FROM sms_opt_outs"))


def test_s4_128_who_says_stop_is_sent_nothing_until_start(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
) -> None:
    issue(mail_house, seeded)
    stopped = [answer(app, sandbox, words).status_code for words in (" Stop ", "UNSUBSCRIBE")]

    send = {"delivery_method": "sms", "allow_repeat": True}
    submit(mail_house, seeded, [{"phone": phone} for phone in (BOB, ADA)], **send)
    drain(mail_house)
    (refused,) = rows(mail_house, "SELECT * FROM deliveries WHERE state = 'failed'")
    messages = len(sandbox.messages(ADA))
    answer(app, sandbox, "start")
    submit(mail_house, seeded, [{"phone": ADA}], **send)
    drain(mail_house)

    assert stopped == [204, 204]
    assert refused.code == "recipient_opted_out"
    assert [one["outcome"] for one in refused.tries] == ["recipient_opted_out"]
    assert (messages, len(sandbox.messages(BOB)), len(sandbox.messages(ADA))) == (1, 1, 2)
    assert opt_outs(mail_house) == 0
    assert len(rows(mail_house, "SELECT 1 FROM provisions")) == 4
    assert_proven(mail_house)


def test_s4_128_a_card_of_who_opted_out_goes_another_way(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
) -> None:
    issue(mail_house, seeded)
    answer(app, sandbox, "QUIT")

    again(mail_house, seeded)
    refused = delivery(mail_house)
    again(mail_house, seeded, phone=BOB, reason="opted out")

    assert (refused.state, refused.code) == ("failed", "recipient_opted_out")
    assert outcomes(mail_house) == ["sent", "recipient_opted_out", "sent"]
    assert (len(sandbox.messages(ADA)), len(sandbox.messages(BOB))) == (1, 1)


@pytest.mark.parametrize("words", ["STOP PLEASE", "", "HELP", "thanks, not stop"])
def test_s4_128_other_words_change_nothing(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask, words: str
) -> None:
    issue(mail_house, seeded)

    assert answer(app, sandbox, words).status_code == 204
    assert opt_outs(mail_house) == 0


def test_s4_128_a_word_of_the_accounts_own_is_told_by_its_meaning() -> None:
    assert read_wish({"From": ADA, "Body": "ARRET", "OptOutType": "STOP"}) == Wish(ADA, False)
    assert read_wish({"From": ADA, "Body": "oui", "OptOutType": "START"}) == Wish(ADA, True)
    assert read_wish({"From": ADA, "Body": "info", "OptOutType": "HELP"}) is None
    assert read_wish({"From": "whatsapp:+49151", "Body": "STOP"}) is None


def test_s4_128_an_answer_that_nobody_signed_is_refused_and_no_number_is_kept(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
) -> None:
    issue(mail_house, seeded)

    forged = answer(app, sandbox, "STOP", From=BOB)
    nothing = opt_outs(mail_house)
    answer(app, sandbox, "STOP")

    assert (forged.status_code, forged.json["code"], nothing) == (400, "invalid_signature", 0)
    (kept,) = rows(mail_house, "SELECT number_key, to_jsonb(o)::text AS row FROM sms_opt_outs o")
    assert len(kept.number_key) == 32
    assert ADA[3:] not in kept.row
