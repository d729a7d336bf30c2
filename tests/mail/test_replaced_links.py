"""EC-067, EC-079: the link of a replacement goes where the card was redirected to, and the old one nowhere."""

from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.deliveries.resend import NothingToSendTo
from pipelines.erasure.ask import Asked, ask_erasure
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.refusals import ProvisionReplaced, RecipientsForgotten
from pipelines.provisioning.reveal import reveal_token
from pipelines.provisioning.reveal_link import open_by_link
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.wiring import House
from tests.delivering import ADA, BOB, again, issue, link, opened, provision
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.proof import assert_proven
from tests.replacing import report
from tests.seeding import ACTOR, Seeded, seed
from tests.vendor import Sandbox

CAROL = "carol@example.com"


@pytest.fixture
def seeded(mail_house: House) -> Seeded:
    seeded = seed(mail_house, vendor=False)
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(4))
    return seeded


def replaced(house: House, seeded: Seeded, provision_id: UUID, *, approved: bool = False) -> Any:
    """The provision of the other card, whose link was tried once."""
    job_id = report(house, seeded, provision_id, approved=approved)
    hasten(house)
    drain(house)
    (row,) = rows(house, "SELECT * FROM provisions WHERE job_id = :job", job=job_id)
    return row


def delivery_of(house: House, job_id: UUID) -> Any:
    (row,) = rows(house, "SELECT * FROM deliveries WHERE job_id = :job", job=job_id)
    return row


def erase(house: House, seeded: Seeded, address: str) -> None:
    asked = Asked(address, "asked", seeded.client_id)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        keyring, now = house.settings.keyring, clock.now(session)
        ask_erasure(session, asked, actor_id=ACTOR, keyring=keyring, now=now)


def given_to_nobody(house: House, seeded: Seeded) -> Any:
    """The provision of a card that was asked for without a person."""
    asked = SingleRequest(seeded.campaign_id, seeded.brand_id, 2500, DeliveryMethod.NONE, {})
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        submit_single(
            session,
            asked,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        )
    hasten(house)
    drain(house)
    return provision(house)


def test_ec067_a_replacement_goes_to_the_corrected_address_and_opens_for_no_other(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-067, EC-079: the address typed wrongly gets no link, of this card or of the next."""
    issue(mail_house, seeded, ADA)
    first = provision(mail_house)
    again(mail_house, seeded, email=BOB, reason="typed wrongly")

    second = replaced(mail_house, seeded, first.id)
    mailed = [len(sandbox.mails(to)) for to in (ADA, BOB)]
    token = link(sandbox, BOB)
    third = replaced(mail_house, seeded, second.id, approved=True)
    newest = link(sandbox, BOB)

    assert mailed == [1, 2]
    with pytest.raises(ProvisionReplaced):
        opened(mail_house, seeded, token, BOB)
    assert not opened(mail_house, seeded, newest, ADA)
    assert opened(mail_house, seeded, newest, BOB)
    assert len(sandbox.mails(ADA)) == 1
    assert third.person_key == first.person_key
    assert [row.sealed_address is None for row in _deliveries(mail_house)] == [False, True, True]
    assert_proven(mail_house)


def _deliveries(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM deliveries ORDER BY id")


def test_a_replacement_may_be_redirected_itself(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    issue(mail_house, seeded, ADA)
    first = provision(mail_house)
    again(mail_house, seeded, email=BOB, reason="typed wrongly")
    second = replaced(mail_house, seeded, first.id)

    again(mail_house, seeded, second.id)
    again(mail_house, seeded, second.id, email=CAROL, reason="bob is on leave")

    assert [len(sandbox.mails(to)) for to in (ADA, BOB, CAROL)] == [1, 3, 1]
    assert not opened(mail_house, seeded, link(sandbox, CAROL), BOB)
    assert opened(mail_house, seeded, link(sandbox, CAROL), CAROL)


@pytest.mark.parametrize("has_person", [True, False])
def test_ec067_a_card_that_got_its_address_by_resend_is_replaced_with_a_link(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, has_person: bool
):
    """EC-067: issued with `none`, by mail since: so is what replaces it."""
    if has_person:
        issue(mail_house, seeded, ADA, method="none")
    else:
        given_to_nobody(mail_house, seeded)
    first = provision(mail_house)
    again(mail_house, seeded, email=BOB, reason="asked for it")

    replaced(mail_house, seeded, first.id)

    assert [len(sandbox.mails(to)) for to in (ADA, BOB)] == [0, 2]
    assert not opened(mail_house, seeded, link(sandbox, BOB), ADA)
    assert opened(mail_house, seeded, link(sandbox, BOB), BOB)
    assert_proven(mail_house)


def test_ec041_a_corrected_address_that_was_erased_is_not_replaced_by_the_wrong_one(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-041: neither a report nor a resend falls back to whom the card was not for."""
    issue(mail_house, seeded, ADA)
    first = provision(mail_house)
    again(mail_house, seeded, email=BOB, reason="typed wrongly")
    erase(mail_house, seeded, BOB)
    drain(mail_house)

    with pytest.raises(RecipientsForgotten):
        report(mail_house, seeded, first.id)
    with pytest.raises(NothingToSendTo):
        again(mail_house, seeded)

    version = provision(mail_house).reveal_version
    token = reveal_token(first.id, version, mail_house.settings.keyring)
    assert [opened(mail_house, seeded, token, address) for address in (ADA, BOB)] == [False] * 2
    again(mail_house, seeded, email=CAROL, reason="found out")
    assert opened(mail_house, seeded, link(sandbox, CAROL), CAROL)


@pytest.mark.parametrize("is_issued", [True, False])
def test_ec041_who_is_erased_between_report_and_mail_is_sent_nothing(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, is_issued: bool
):
    """EC-041: whether the other card was given before the erasure or after it."""
    issue(mail_house, seeded, ADA)
    first = provision(mail_house)
    again(mail_house, seeded, email=BOB, reason="typed wrongly")
    sandbox.arm_mail(defer_recipient={"always": True})
    job_id = report(mail_house, seeded, first.id)
    if is_issued:
        hasten(mail_house)
        drain(mail_house)
    erase(mail_house, seeded, BOB)
    if not is_issued:
        rows(
            mail_house,
            "UPDATE tasks SET run_after = run_after + interval '1 day' "
            "WHERE job_id = :job RETURNING 1",
            job=job_id,
        )
    drain(mail_house)
    sandbox.control("DELETE", "/mail/faults")
    rows(mail_house, "UPDATE tasks SET run_after = created_at RETURNING 1")
    hasten(mail_house)
    drain(mail_house)

    row = delivery_of(mail_house, job_id)
    assert (row.state, row.code, row.sealed_address) == ("cancelled", "recipient_erased", None)
    assert [len(sandbox.mails(to)) for to in (ADA, BOB)] == [1, 1]
    assert_proven(mail_house)


@pytest.mark.parametrize("is_of_older_code", [True, False])
def test_ec079_a_card_whose_only_address_was_erased_opens_for_nobody(
    mail_house: House, sandbox: Sandbox, seeded: Seeded, is_of_older_code: bool
):
    """EC-079: no person, and no corrected address any more: not by the link alone, and no fault."""
    given = given_to_nobody(mail_house, seeded)
    again(mail_house, seeded, email=BOB, reason="asked for it")
    erase(mail_house, seeded, BOB)
    drain(mail_house)
    if is_of_older_code:  # which left no pseudonym
        rows(mail_house, "UPDATE deliveries SET address_key = NULL RETURNING 1")

    for answer in ("", ADA, BOB):
        with scoped_transaction(mail_house.sessions, client(seeded.client_id)) as session:
            card = open_by_link(
                session,
                given.id,
                answer,
                person_secret=mail_house.person_secret,
                keyring=mail_house.settings.keyring,
                now=clock.now(session),
            )
        assert card is None
    assert rows(mail_house, "SELECT 1 FROM provisions WHERE revealed_at IS NOT NULL") == []


def test_ec067_the_link_of_a_replaced_card_is_not_mailed_any_more(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-067: neither what waits, nor what somebody asks for again."""
    sandbox.arm_mail(defer_recipient={"always": True})
    job_id = issue(mail_house, seeded, ADA)
    first = provision(mail_house)
    report(mail_house, seeded, first.id)
    stopped = delivery_of(mail_house, job_id)
    sandbox.control("DELETE", "/mail/faults")
    with pytest.raises(ProvisionReplaced):
        again(mail_house, seeded, first.id)
    hasten(mail_house)
    drain(mail_house)

    assert (stopped.state, stopped.code) == ("cancelled", "replaced")
    assert len(sandbox.mails(ADA)) == 1
    assert opened(mail_house, seeded, link(sandbox, ADA), ADA)
    assert rows(mail_house, "SELECT 1 FROM tasks") == []


def test_ec067_a_link_that_still_waits_finds_its_card_replaced(
    mail_house: House, sandbox: Sandbox, seeded: Seeded
):
    """EC-067: whoever let it wait, sending looks at the card itself."""
    sandbox.arm_mail(defer_recipient={"always": True})
    job_id = issue(mail_house, seeded, ADA)
    report(mail_house, seeded, provision(mail_house).id)
    with scoped_transaction(mail_house.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql(
            "UPDATE deliveries SET state = 'waiting', code = NULL, ended_at = NULL"
        )
    hasten(mail_house)
    drain(mail_house)

    row = delivery_of(mail_house, job_id)
    assert (row.state, row.code) == ("cancelled", "replaced")
