"""What the house itself tells of: cards, links, credit; ids, states and numbers only (EC-134)."""

import json

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.deliveries.receipts import note_receipt
from pipelines.sms.port import Fate, Receipt
from pipelines.webhooks.catalogue import ALL
from pipelines.wiring import House
from tests.canary import PRIVATE
from tests.driving import drain, recipients_csv, rows, submit
from tests.funding import PRICE, funded, top_up
from tests.replacing import report


def facts(house: House, kind: str) -> list[dict]:
    """What is to be told of a type, the oldest first; nothing of it is secret or a person's."""
    found = rows(house, "SELECT * FROM webhook_facts WHERE type = :kind ORDER BY number", kind=kind)
    for row in found:
        assert set(row.data) == set(ALL[kind].facts)
        assert PRIVATE.search(json.dumps(row.data)) is None
    return [row.data | {"about": row.object_id, "client": row.client_id} for row in found]


def test_ec134_credit_is_told_as_it_falls_and_when_it_is_back(house: House):
    """EC-134"""
    seeded = funded(house, cards=10, minor=10 * PRICE)
    for start, count in ((0, 8), (8, 1), (9, 1)):
        submit(house, seeded, recipients_csv(count, start))
        drain(house)
    top_up(house, seeded, 10 * PRICE)
    drain(house)

    # What the agency was only given to pass on is low there, too.
    low, gone, back = (
        [one for one in facts(house, f"credit.{word}") if one["about"] == seeded.client_account]
        for word in ("low", "depleted", "restored")
    )
    assert [(one["percent"], one["balance_minor"]) for one in low] == [(20, 2 * PRICE), (10, PRICE)]
    assert [(one["percent"], one["balance_minor"]) for one in gone] == [(0, 0)]
    assert [(one["percent"], one["balance_minor"]) for one in back] == [(None, 10 * PRICE)]
    assert {one["client"] for one in low + gone + back} == {seeded.client_id}


def test_ec134_a_link_that_never_arrived_is_told_once_with_its_card(house: House):
    """EC-134: whether we give up, or the company that sends says so."""
    seeded = funded(house, cards=2, minor=10 * PRICE)
    people = [{"email": "ada@example.com"}]
    submit(house, seeded, people, delivery_method="email")
    drain(house)
    rows(house, "UPDATE deliveries SET good_until = now() RETURNING 1")
    rows(house, "UPDATE tasks SET run_after = now(), rung_at = NULL RETURNING 1")
    drain(house)
    (row,) = rows(house, "SELECT * FROM deliveries")
    (card,) = rows(house, "SELECT id FROM provisions")
    told = facts(house, "delivery.failed")
    change = """UPDATE deliveries SET state = 'sent', channel = 'sms', ended_at = now(),
        tries = '[{"outcome": "sent"}]' RETURNING 1"""
    rows(house, change)
    for _ in range(2):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            receipt = Receipt(Fate.UNDELIVERED, "sms_30003", "SM1")
            note_receipt(session, row.id, row.sending, receipt)

    assert row.state == "failed"
    assert [(one["redemption_id"], one["channel"], one["outcome"]) for one in told] == [
        (str(card.id), "email", "delivery_failed")
    ]
    _first, second = facts(house, "delivery.failed")
    assert (second["about"], second["outcome"]) == (row.id, "sms_30003")


def test_ec134_a_card_that_does_not_work_is_told_with_the_job_that_replaces_it(house: House):
    """EC-134"""
    seeded = funded(house, cards=2, minor=10 * PRICE)
    submit(house, seeded, recipients_csv(1))
    drain(house)
    (card,) = rows(house, "SELECT id, job_id FROM provisions")
    replacing = report(house, seeded, card.id)
    drain(house)

    (told,) = facts(house, "card.reported_defective")
    assert told["about"] == card.id
    assert (told["job_id"], told["replaced_by"]) == (str(card.job_id), str(replacing))


def test_a_job_of_many_rows_is_one_event_and_a_request_is_one(house: House):
    seeded = funded(house, cards=700, minor=700 * PRICE)
    submit(house, seeded, recipients_csv(650))
    drain(house)

    (told,) = [one for one in facts(house, "job.finished") if one["kind"] == "provisioning"]
    assert (told["succeeded"], told["is_single"], told["campaign_id"]) == (
        650,
        False,
        str(seeded.campaign_id),
    )
