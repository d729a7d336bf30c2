"""The link of an issued card goes out by SMS: tried, refused, receipted, sent to another phone."""

import base64
import hashlib
import hmac
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.deliveries.resend import Resend, resend
from pipelines.errors import ValidationFailed
from pipelines.wiring import House
from tests.canary import MARK
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows, submit, view
from tests.mail.test_deliveries import delivery, opened, outcomes, provision
from tests.mail.test_replaced_links import replaced
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import signed_in
from web.app import create_app

ADA, BOB = "+4915112345678", "+4915187654321"
UNSUBSCRIBED, INVALID = "+15005550004", "+15005550001"
LINK = re.compile(r"http://127\.0\.0\.1:8000/r/([\w-]+)")


@pytest.fixture
def seeded(mail_house: House) -> Seeded:
    seeded = seed(mail_house, vendor=False)
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(3))
    return seeded


@pytest.fixture
def app(mail_house: House) -> Flask:
    return create_app(mail_house)


def issue(house: House, seeded: Seeded, phone: str = ADA) -> UUID:
    """A job whose card is issued and whose link was tried once."""
    job_id = submit(house, seeded, [{"phone": phone}], delivery_method="sms")
    drain(house)
    return job_id


def again(house: House, seeded: Seeded, **asked: Any) -> None:
    wanted = Resend(provision(house).id, **asked)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        resend(
            session,
            wanted,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
        )
    drain(house)


def link(sandbox: Sandbox, to: str) -> str:
    found = LINK.search(sandbox.messages(to)[0]["body"])
    assert found is not None
    return found[1]


def tell(app: Flask, message: dict[str, Any], *, token: str = MARK, **changes: str) -> TestResponse:
    """Post a message's receipt as Twilio would, signed with `token`."""
    url, form = message["callback"], message["receipt"] | changes
    signed = url + "".join(f"{name}{value}" for name, value in sorted(form.items()))
    mac = hmac.new(token.encode(), signed.encode(), hashlib.sha1)
    signature = base64.b64encode(mac.digest()).decode()
    headers = {"X-Twilio-Signature": signature}
    path = f"{urlsplit(url).path}?{urlsplit(url).query}"
    return app.test_client().post(path, data=form, headers=headers)


def test_a_link_goes_to_its_recipients_phone_and_never_the_number_of_the_card(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    job_id = issue(mail_house, seeded)

    (message,) = sandbox.messages(ADA)
    row = delivery(mail_house)
    assert message["body"].startswith("Client sent you a $25.00 gift card for Brand ")
    assert provision(mail_house).last4 not in message["body"].partition("http")[0]
    assert (row.channel, row.state, row.attempts, row.sending) == ("sms", "sent", 1, 1)
    assert row.tries[0]["reference"] == message["sid"]
    assert not opened(mail_house, seeded, link(sandbox, ADA), "0000")
    assert opened(mail_house, seeded, link(sandbox, ADA), ADA[-4:])
    assert view(mail_house, job_id)["state"] == "succeeded"
    assert rows(mail_house, "SELECT 1 FROM tasks") == []
    assert_proven(mail_house)


def test_neither_row_nor_task_holds_a_phone_and_without_an_account_it_waits(
    mail_house: House, seeded: Seeded
):
    unsent = replace(mail_house, settings=replace(mail_house.settings, sms=None))

    issue(unsent, seeded)

    (task,) = rows(mail_house, "SELECT args FROM tasks WHERE kind = 'deliver'")
    row = delivery(mail_house)
    assert (row.state, row.code, row.attempts) == ("waiting", "no_sms_account", 0)
    assert ADA not in f"{row} {task}"


def test_ec039_a_number_that_is_refused_for_good_fails_alone(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-039: opted out or no number: the card is issued, the delivery failed, no further try."""
    listed = [{"phone": phone} for phone in (UNSUBSCRIBED, INVALID, ADA)]
    job_id = submit(mail_house, seeded, listed, delivery_method="sms")
    for _ in range(2):
        drain(mail_house)
        hasten(mail_house)

    found = [delivery(mail_house, position) for position in (1, 2, 3)]
    assert [row.state for row in found] == ["failed", "failed", "sent"]
    assert [one["outcome"] for row in found for one in row.tries] == [
        "sms_21610",
        "sms_21211",
        "sent",
    ]
    assert view(mail_house, job_id)["counts"]["succeeded"] == 3
    assert len(sandbox.messages()) == 1
    assert_proven(mail_house)


def test_what_says_nothing_of_the_number_spends_no_try(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    sandbox.arm_sms(throttled_429={"next": 1})
    issue(mail_house, seeded)
    before = delivery(mail_house)
    hasten(mail_house)
    drain(mail_house)

    assert (before.state, before.code, before.attempts) == ("waiting", "sms_20429", 0)
    assert (delivery(mail_house).state, outcomes(mail_house)) == ("sent", ["sent"])


@pytest.mark.parametrize(
    ("fault", "outcome", "messages"),
    [
        ("error_500_before", "sms_20500", 1),
        ("drop_after_create", "connection_lost", 2),
    ],
)
def test_an_unknown_outcome_is_tried_again_and_gives_at_most_the_same_link_twice(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, fault: str, outcome: str, messages: int
):
    sandbox.arm_sms(**{fault: {"next": 1}})
    issue(mail_house, seeded)
    hasten(mail_house)
    drain(mail_house)

    assert outcomes(mail_house) == [outcome, "sent"]
    got = [LINK.search(one["body"]) for one in sandbox.messages(ADA)]
    assert len(got) == messages
    assert len({found[1] for found in got if found}) == 1
    assert len(rows(mail_house, "SELECT 1 FROM provisions")) == 1


def test_a_receipt_says_that_it_arrived(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    issue(mail_house, seeded)
    (message,) = sandbox.messages(ADA)

    on_its_way = tell(app, message, MessageStatus="sent")
    before = delivery(mail_house).state
    first, repeat = tell(app, message), tell(app, message)
    late = tell(app, message, MessageStatus="undelivered", ErrorCode="30008")

    assert [one.status_code for one in (on_its_way, first, repeat, late)] == [204] * 4
    assert (before, delivery(mail_house).state) == ("sent", "delivered")
    assert outcomes(mail_house) == ["sent", "delivered"]


def test_a_receipt_that_nobody_signed_changes_nothing(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    issue(mail_house, seeded)
    (message,) = sandbox.messages(ADA)
    before = delivery(mail_house)

    forged = tell(app, message, token="guessed")
    other = tell(app, message | {"callback": message["callback"][:-1] + "2"})

    assert (forged.status_code, forged.json["code"]) == (400, "invalid_signature")
    assert other.status_code == 204
    assert delivery(mail_house) == before


def test_ec039_a_message_that_did_not_arrive_fails_and_goes_to_another_phone(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    """EC-039: the same card, a new link; the old one is dead."""
    sandbox.arm_sms(undelivered={"next": 1})
    issue(mail_house, seeded)
    (message,) = sandbox.messages(ADA)
    tell(app, message)
    failed = delivery(mail_house)
    old = link(sandbox, ADA)

    again(mail_house, seeded, phone="+49 151 87654321", reason="typed wrongly")
    tell(app, message)  # of the sending before: says nothing of this one

    assert (failed.state, failed.code) == ("failed", "delivery_failed")
    row = delivery(mail_house)
    assert (row.state, row.sending) == ("sent", 2)
    assert outcomes(mail_house) == ["sent", "undelivered_30003", "sent"]
    assert BOB.encode() not in bytes(row.sealed_address)
    assert opened(mail_house, seeded, link(sandbox, BOB), BOB[-4:])
    assert old != link(sandbox, BOB)
    assert len(rows(mail_house, "SELECT 1 FROM provisions")) == 1


UNFIT = (
    ({"phone": "0151 87654321", "reason": "moved"}, "phone", "invalid_phone"),
    ({"phone": "+49 15", "reason": "moved"}, "phone", "invalid_phone"),
    ({"phone": BOB, "email": "b@example.com", "reason": "moved"}, "phone", "one_address"),
    ({"phone": BOB}, "reason", "required"),
)


def test_a_phone_that_cannot_ring_is_named_and_nothing_is_sent(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded)
    before = delivery(mail_house)

    for asked, field, code in UNFIT:
        with pytest.raises(ValidationFailed) as refused:
            again(mail_house, seeded, **asked)
        (error,) = refused.value.errors
        assert (error.field, error.code) == (field, code)
    assert (delivery(mail_house), len(sandbox.messages())) == (before, 1)


def test_over_http_a_card_that_went_by_mail_goes_to_a_phone_instead(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    submit(mail_house, seeded, [{"email": "ada@example.com"}], delivery_method="email")
    drain(mail_house)
    owner = signed_in(app, mail_house, Role.CLIENT_ADMIN, seeded)
    path = f"/gift-cards/{provision(mail_house).id}"

    sent = owner.post(f"{path}/resend", {"phone": BOB, "reason": "no mail there"})
    drain(mail_house)

    assert (sent.status_code, sent.json["channel"]) == (202, "sms")
    assert len(sandbox.messages(BOB)) == 1
    shown = owner.get(f"{path}/delivery").json
    assert (shown["state"], shown["channel"], BOB in str(shown)) == ("sent", "sms", False)
    assert opened(mail_house, seeded, link(sandbox, BOB), BOB[-4:])


def test_ec067_a_replacement_goes_to_the_phone_that_the_card_was_redirected_to(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-067"""
    issue(mail_house, seeded, UNSUBSCRIBED)
    again(mail_house, seeded, phone=BOB, reason="opted out")
    first = link(sandbox, BOB)

    replaced(mail_house, seeded, provision(mail_house).id)
    drain(mail_house)

    assert len(sandbox.messages(BOB)) == 2
    assert link(sandbox, BOB) != first
    assert opened(mail_house, seeded, link(sandbox, BOB), BOB[-4:])
