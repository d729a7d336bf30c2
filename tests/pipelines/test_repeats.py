"""One card per person and campaign, also when two files with the same people wait together."""

from typing import Any
from uuid import UUID

import pytest

from models.database import scoped_transaction
from models.scope import client
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, submit_file
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Twenty cards in the pool, and no vendor."""
    made = seed(house, vendor=False)
    import_cards_now(house, made.csv_pool, cards_csv(20))
    return made


def outcomes(house: House, job_id: UUID) -> list[tuple[Any, ...]]:
    return items_of(house, job_id, "state", "code", "field", "detail")


def jobs_that_served(house: House) -> dict[UUID, int]:
    found = rows(house, "SELECT job_id, count(*) AS n FROM provisions GROUP BY job_id")
    return {row.job_id: row.n for row in found}


def test_two_waiting_files_with_the_same_people_give_each_person_one_card(
    house: House, seeded: Seeded
) -> None:
    """Neither file had been served when the other was accepted."""
    one = submit_file(house, seeded, recipients_csv(5)).job_id
    other = submit_file(house, seeded, recipients_csv(6), force=True).job_id
    assert money_of(house, seeded.client_account) == (10_000_000, 11 * 2500)

    drain(house)

    served = jobs_that_served(house)
    first, second = (one, other) if served[one] == 5 else (other, one)
    sentence = f"This recipient got a card of this campaign before (job {first})."
    skipped = [row for row in outcomes(house, second) if row[0] == "skipped"]
    assert skipped == [("skipped", "already_served", "email", sentence)] * 5
    assert sum(served.values()) == 6
    people = rows(house, "SELECT count(DISTINCT person_key) AS n FROM provisions")
    assert people[0].n == 6
    assert view(house, second)["counts"]["skipped"] == 5
    assert view(house, second)["money"]["held_minor"] == 0
    assert money_of(house, seeded.client_account) == (10_000_000 - 6 * 2500, 0)
    assert_proven(house)


def test_a_file_that_allows_repeats_serves_everybody_again(house: House, seeded: Seeded) -> None:
    first = submit_file(house, seeded, recipients_csv(3)).job_id
    again = submit_file(house, seeded, recipients_csv(3), allow_repeat=True, force=True).job_id

    drain(house)

    # Whichever ran first, the file that allows repeats is served whole.
    served = jobs_that_served(house)
    assert served[again] == 3
    assert served.get(first, 0) + view(house, first)["counts"]["skipped"] == 3
    assert_proven(house)


def test_the_same_person_twice_in_one_file_is_served_twice_if_doubles_are_allowed(
    house: House, seeded: Seeded
) -> None:
    content = b"email\none@example.com\none@example.com\n"

    job_id = submit_file(house, seeded, content, dedupe=Dedupe.ALLOW).job_id
    drain(house)

    assert items_of(house, job_id, "state") == [("succeeded",), ("succeeded",)]
    assert_proven(house)


def test_a_single_request_is_served_as_often_as_it_is_sent(house: House, seeded: Seeded) -> None:
    request = SingleRequest(
        seeded.campaign_id,
        seeded.brand_id,
        2500,
        DeliveryMethod.EMAIL,
        {"email": "person0@example.com"},
    )
    for _ in range(2):
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            submit_single(
                session,
                request,
                actor_id=ACTOR,
                key=None,
                keyring=house.settings.keyring,
                person_secret=house.person_secret,
                limits=house.limits,
            )

    hasten(house)
    drain(house)

    (count,) = rows(house, "SELECT count(*) AS n FROM provisions")
    assert count.n == 2
    assert_proven(house)
