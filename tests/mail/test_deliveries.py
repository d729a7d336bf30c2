"""The link of an issued card goes out by mail, apart from the card: tried, bounced, sent again."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.deliveries.resend import (
    RESENDS_PER_DAY_MAX,
    AddressFixed,
    NothingToSendTo,
    ResendLimited,
)
from pipelines.errors import NotFound, ValidationFailed
from pipelines.jobs.addresses import person_key
from pipelines.wiring import House
from tests.delivering import ADA, BOB, again, issue, link, opened, provision
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.statements import statements
from tests.undoing import open_card, undo
from tests.vendor import Sandbox
from tests.web.conftest import signed_in
from web.app import create_app


@pytest.fixture
def seeded(mail_house: House) -> Seeded:
    seeded = seed(mail_house, vendor=False)
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(3))
    return seeded


@pytest.fixture
def app(mail_house: House) -> Flask:
    return create_app(mail_house)


def delivery(house: House, position: int = 1) -> Any:
    (row,) = rows(house, "SELECT * FROM deliveries WHERE position = :position", position=position)
    return row


def outcomes(house: House) -> list[str]:
    return [one["outcome"] for one in delivery(house).tries]


def test_an_address_with_other_letters_gets_its_mail_from_a_server_that_takes_them(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, "bööl@example.com")

    assert outcomes(mail_house) == ["sent"]
    (mail,) = sandbox.mails("bööl@example.com")
    assert mail["subject"].startswith("Client sent you a $25.00 gift card")


def test_a_card_s_link_goes_to_its_recipient_and_never_its_number(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    job_id = issue(mail_house, seeded, ADA, BOB)

    (mail,) = sandbox.mails(ADA)
    row = delivery(mail_house)
    assert mail["subject"].startswith("Client sent you a $25.00 gift card for Brand ")
    assert provision(mail_house).last4 not in mail["text"] + mail["html"]
    assert opened(mail_house, seeded, link(sandbox, ADA), ADA)
    assert (row.state, row.code, row.attempts, row.sending) == ("sent", None, 1, 1)
    assert outcomes(mail_house) == ["sent"]
    assert view(mail_house, job_id)["state"] == "succeeded"
    assert rows(mail_house, "SELECT 1 FROM tasks") == []
    assert_proven(mail_house)


def test_neither_row_nor_task_holds_an_address(mail_house: House, seeded: Seeded):
    submit(mail_house, seeded, [{"email": ADA}], delivery_method="email")
    unsent = replace(mail_house, settings=replace(mail_house.settings, mail=None))

    drain(unsent)

    (task,) = rows(mail_house, "SELECT args, job_id FROM tasks WHERE kind = 'deliver'")
    row = delivery(mail_house)
    assert (task.args, task.job_id) == ({"delivery_id": str(row.id), "sending": 1}, None)
    assert (row.state, row.code, row.sealed_address) == ("waiting", "no_mail_server", None)
    assert ADA not in str(row)


def test_s4_100_without_a_delivery_method_nothing_is_sent(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA, method="none")

    assert (sandbox.mails(), rows(mail_house, "SELECT 1 FROM deliveries")) == ([], [])


def test_ec039_a_bounced_link_fails_alone_and_a_resend_delivers_the_same_card(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-039: the mail server answers 550: one card, one failed delivery, resend succeeds."""
    sandbox.arm_mail(refuse_recipient={"always": True})
    job_id = issue(mail_house, seeded, ADA)
    failed = delivery(mail_house)
    sandbox.control("DELETE", "/mail/faults")

    again(mail_house, seeded)

    assert (failed.state, failed.code, failed.attempts) == ("failed", "delivery_failed", 1)
    assert (delivery(mail_house).state, delivery(mail_house).sending) == ("sent", 2)
    assert outcomes(mail_house) == ["smtp_550", "sent"]
    assert view(mail_house, job_id)["counts"]["succeeded"] == 1
    assert len(rows(mail_house, "SELECT 1 FROM provisions")) == 1
    assert opened(mail_house, seeded, link(sandbox, ADA), ADA)
    assert_proven(mail_house)


def test_ec039_five_tries_and_it_is_given_up(mail_house: House, sandbox: Sandbox, seeded: Seeded):
    """EC-039"""
    sandbox.arm_mail(defer_recipient={"always": True})
    issue(mail_house, seeded, ADA)
    for _ in range(6):
        hasten(mail_house)
        drain(mail_house)

    row = delivery(mail_house)
    assert (row.state, row.code, row.attempts) == ("failed", "delivery_failed", 5)
    assert outcomes(mail_house) == ["smtp_450"] * 5
    assert rows(mail_house, "SELECT 1 FROM tasks") == []


def test_a_mail_server_that_is_away_spends_no_try(mail_house: House, seeded: Seeded):
    mail = mail_house.settings.mail
    assert mail is not None
    away = replace(
        mail_house, settings=replace(mail_house.settings, mail=replace(mail, port=mail.port + 1))
    )
    submit(mail_house, seeded, [{"email": ADA}], delivery_method="email")

    drain(away)

    row = delivery(mail_house)
    assert (row.state, row.code, row.attempts, row.tries) == ("waiting", "unreachable", 0, [])


def test_a_corrected_address_gets_a_new_link_and_the_old_one_is_dead(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA)
    old = link(sandbox, ADA)

    again(mail_house, seeded, email=BOB, reason="typed wrongly")

    with pytest.raises(NotFound):
        opened(mail_house, seeded, old, ADA)
    new = link(sandbox, BOB)
    assert not opened(mail_house, seeded, new, ADA)
    assert opened(mail_house, seeded, new, BOB)
    row = delivery(mail_house)
    assert BOB.encode() not in bytes(row.sealed_address)
    (entry,) = rows(mail_house, "SELECT detail FROM audit_entries WHERE action = 'card.resent'")
    assert entry.detail == {
        "channel": "email",
        "to_another_address": True,
        "reason": "typed wrongly",
    }


def test_the_same_address_given_again_keeps_the_link(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA)
    old = link(sandbox, ADA)

    again(mail_house, seeded, email=ADA)

    assert link(sandbox, ADA) == old


def test_an_address_changes_for_a_reason_and_never_once_the_card_was_seen(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA)
    with pytest.raises(ValidationFailed):
        again(mail_house, seeded, email=BOB)
    open_card(mail_house, seeded, provision(mail_house).id)
    with pytest.raises(AddressFixed):
        again(mail_house, seeded, email=BOB, reason="moved")

    assert (sandbox.mails(BOB), delivery(mail_house).sending) == ([], 1)


def test_a_card_without_an_address_is_sent_once_it_gets_one(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA, method="none")
    with pytest.raises(NothingToSendTo):
        again(mail_house, seeded)

    again(mail_house, seeded, email=BOB, reason="asked for it")

    assert opened(mail_house, seeded, link(sandbox, BOB), BOB)


def test_a_link_is_sent_again_five_times_a_day(mail_house: House, seeded: Seeded):
    issue(mail_house, seeded, ADA)
    for _ in range(RESENDS_PER_DAY_MAX):
        again(mail_house, seeded)

    with pytest.raises(ResendLimited):
        again(mail_house, seeded)

    assert delivery(mail_house).sending == 1 + RESENDS_PER_DAY_MAX


def test_undoing_a_job_stops_the_links_that_wait(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    sandbox.arm_mail(defer_recipient={"always": True})
    job_id = issue(mail_house, seeded, ADA)
    undo(mail_house, seeded, job_id)
    sandbox.control("DELETE", "/mail/faults")
    hasten(mail_house)
    drain(mail_house)

    row = delivery(mail_house)
    assert (row.state, row.code, sandbox.mails(ADA)) == ("cancelled", "undone", [])
    assert rows(mail_house, "SELECT 1 FROM tasks") == []
    assert_proven(mail_house)


def test_a_chunk_of_cards_is_one_insert_of_deliveries(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """A statement per chunk: 60 recipients cost as many statements as 2 do."""
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(70, "MORE"))
    unsent = replace(mail_house, settings=replace(mail_house.settings, mail=None))
    found = []
    for start, size in ((0, 2), (100, 60)):
        listed = [{"email": f"p{n}@example.com"} for n in range(start, start + size)]
        submit(mail_house, seeded, listed, delivery_method="email")
        with statements(mail_house) as seen:
            drain(unsent)
        found.append(sum("INSERT INTO deliveries" in sent for sent in seen))

    assert found == [1, 1]
    assert len(rows(mail_house, "SELECT 1 FROM tasks WHERE kind = 'deliver'")) == 62


def test_ec041_who_is_erased_is_sent_nothing_and_kept_nowhere(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    """EC-041: a corrected address goes with its person, and the link with it."""
    issue(mail_house, seeded, ADA)
    sandbox.arm_mail(defer_recipient={"always": True})
    again(mail_house, seeded, email=BOB, reason="typed wrongly")
    version = provision(mail_house).reveal_version
    admin = signed_in(app, mail_house, Role.CLIENT_ADMIN, seeded)
    asked = admin.post("/erasures", {"email": BOB, "reason": "asked"}, Idempotency_Key="k")
    drain(mail_house)
    sandbox.control("DELETE", "/mail/faults")
    hasten(mail_house)
    drain(mail_house)

    row = delivery(mail_house)
    assert (asked.status_code, sandbox.mails(BOB)) == (202, [])
    assert (row.state, row.code) == ("cancelled", "recipient_erased")
    assert row.sealed_address is None
    assert bytes(row.address_key) != person_key(BOB, mail_house.person_secret)
    assert provision(mail_house).reveal_version == version + 1


def test_over_http_a_manager_resends_and_only_who_may_open_cards_redirects(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, app: Flask
):
    job_id = issue(mail_house, seeded, ADA)
    manager = signed_in(app, mail_house, Role.CAMPAIGN_MANAGER, seeded)
    owner = signed_in(app, mail_house, Role.CLIENT_ADMIN, seeded)
    path = f"/gift-cards/{provision(mail_house).id}"
    other = {"email": BOB, "reason": "moved"}

    first = manager.post(f"{path}/resend", {}, Idempotency_Key="k")
    repeat = manager.post(f"{path}/resend", {}, Idempotency_Key="k")
    refused = manager.post(f"{path}/resend", other)
    allowed = owner.post(f"{path}/resend", other)
    drain(mail_house)

    assert (first.status_code, first.json["state"], first.json["sending"]) == (202, "waiting", 2)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert (allowed.status_code, len(sandbox.mails(BOB))) == (202, 1)
    shown = owner.get(f"{path}/delivery").json
    assert (shown["state"], shown["channel"], BOB in str(shown)) == ("sent", "email", False)
    (item,) = owner.get(f"/jobs/{job_id}/items").json["data"]
    assert item["delivery_state"] == "sent"
    results = owner.get(f"/jobs/{job_id}/results.csv").data.decode("utf-8-sig")
    assert [row["delivery_state"] for row in csv.DictReader(io.StringIO(results))] == ["sent"]
