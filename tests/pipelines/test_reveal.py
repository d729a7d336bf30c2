"""A given card is opened by link or by staff: the right one, audited, and not too often."""

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.errors import NotFound
from pipelines.provisioning.reveal import (
    REVEALS_PER_HOUR_MAX,
    OpenedCard,
    RevealLimited,
    facts_by_token,
    reveal,
    reveal_token,
)
from pipelines.provisioning.reveal_link import open_by_link
from pipelines.wiring import House
from tests.driving import drain, import_cards_now, recipients_csv, rows
from tests.intake import submit_file
from tests.seeding import ACTOR, Seeded, seed

CARDS = b"card_number,pin,expires_on\nFIRST-CARD-0001,1111,2028-06-30\nSECND-CARD-0002,,\n"


@pytest.fixture
def seeded(house: House) -> Seeded:
    """A client whose two recipients have a card each."""
    made = seed(house, vendor=False)
    import_cards_now(house, made.csv_pool, CARDS)
    submit_file(house, made, recipients_csv(2))
    drain(house)
    return made


def provision_of(house: House, position: int) -> UUID:
    return rows(house, "SELECT id FROM provisions WHERE position = :p", p=position)[0].id


def open_card(
    house: House, scope: Scope, provision_id: UUID, *, hours_later: float = 0
) -> OpenedCard:
    with scoped_transaction(house.sessions, scope) as session:
        now = clock.now(session) + timedelta(hours=hours_later)
        return reveal(
            session, provision_id, actor_id=ACTOR, keyring=house.settings.keyring, now=now
        )


def facts(house: House, token: str) -> Any:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return facts_by_token(session, token, house.settings.keyring)


def openings(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM audit_entries WHERE action = 'card.revealed'")


def test_each_recipient_s_own_card_is_opened(house: House, seeded: Seeded) -> None:
    scope = client(seeded.client_id)

    first = open_card(house, scope, provision_of(house, 1))
    second = open_card(house, scope, provision_of(house, 2))

    assert (first.number.reveal(), first.pin.reveal()) == ("FIRST-CARD-0001", "1111")
    assert first.expires_on.isoformat() == "2028-06-30"
    assert (first.value_minor, first.currency, first.url) == (2500, "USD", None)
    assert (second.number.reveal(), second.pin, second.expires_on) == (
        "SECND-CARD-0002",
        None,
        None,
    )
    assert "FIRST" not in repr(first)


def test_an_opening_is_audited_and_noted_once(house: House, seeded: Seeded) -> None:
    provision_id = provision_of(house, 1)
    open_card(house, client(seeded.client_id), provision_id)
    (noted,) = rows(house, "SELECT revealed_at FROM provisions WHERE position = 1")
    open_card(house, client(seeded.client_id), provision_id)

    assert [(row.object_id, row.actor_id, row.client_id) for row in openings(house)] == [
        (provision_id, ACTOR, seeded.client_id)
    ] * 2
    assert [row for row in openings(house) if "CARD" in repr(row)] == []
    (after,) = rows(house, "SELECT revealed_at FROM provisions WHERE position = 1")
    assert after == noted


def test_sec18_a_card_is_opened_five_times_an_hour_and_no_more(
    house: House, seeded: Seeded
) -> None:
    """SEC-18: another card, and another hour, are not affected."""
    scope, provision_id = client(seeded.client_id), provision_of(house, 1)
    for _ in range(REVEALS_PER_HOUR_MAX):
        open_card(house, scope, provision_id)

    with pytest.raises(RevealLimited) as refused:
        open_card(house, scope, provision_id)

    assert (refused.value.retry_after_seconds, len(openings(house))) == (3600, 5)
    assert open_card(house, scope, provision_of(house, 2)).number.reveal() == "SECND-CARD-0002"
    later = open_card(house, scope, provision_id, hours_later=1.01)
    assert later.number.reveal() == "FIRST-CARD-0001"


def test_another_client_cannot_open_a_card(house: House, seeded: Seeded) -> None:
    other = seed(house, vendor=False)

    with pytest.raises(NotFound):
        open_card(house, client(other.client_id), provision_of(house, 1))

    assert openings(house) == []


def test_a_link_leads_to_its_provision_and_shows_no_number(house: House, seeded: Seeded) -> None:
    provision_id = provision_of(house, 1)

    shown = facts(house, reveal_token(provision_id, 1, house.settings.keyring))

    assert (shown.provision_id, shown.client_id) == (provision_id, seeded.client_id)
    assert (shown.last4, shown.value_minor, shown.revealed_at) == ("0001", 2500, None)
    assert openings(house) == []


def test_links_that_are_not_genuine_lead_nowhere(house: House, seeded: Seeded) -> None:
    provision_id, keyring = provision_of(house, 1), house.settings.keyring
    good = reveal_token(provision_id, 1, keyring)
    tag_of_other = base64.urlsafe_b64decode(
        reveal_token(provision_of(house, 2), 1, keyring) + "=="
    )[16:]
    swapped = base64.urlsafe_b64encode(provision_id.bytes + tag_of_other).rstrip(b"=").decode()
    wrong = [
        "",
        "x",
        "é" * 43,
        good[:-1],
        good + "AAAA",
        ("A" if good[-2] != "A" else "B").join([good[:-2], good[-1]]),
        swapped,
        reveal_token(provision_id, 0, keyring),
        reveal_token(provision_id, 2, keyring),
        reveal_token(new_id(), 1, keyring),
        reveal_token(new_id(), 0, keyring),
    ]

    for token in wrong:
        with pytest.raises(NotFound):
            facts(house, token)


def test_raising_the_version_kills_every_link(house: House, seeded: Seeded) -> None:
    provision_id, keyring = provision_of(house, 1), house.settings.keyring
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(text("UPDATE provisions SET reveal_version = 2 WHERE position = 1"))

    with pytest.raises(NotFound):
        facts(house, reveal_token(provision_id, 1, keyring))

    assert facts(house, reveal_token(provision_id, 2, keyring)).provision_id == provision_id
    assert facts(house, reveal_token(provision_of(house, 2), 1, keyring)).last4 == "0002"


def test_a_link_opens_for_the_recipient_s_address_only(house: House, seeded: Seeded) -> None:
    provision_id = provision_of(house, 1)

    def answer(address: str) -> OpenedCard | None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            return open_by_link(
                session,
                provision_id,
                address,
                person_secret=house.person_secret,
                keyring=house.settings.keyring,
                now=clock.now(session),
            )

    refused = [answer(a) for a in ("person1@example.com", "", "no address")]
    opened = answer(" PERSON0@example.com ")

    assert refused == [None, None, None]
    assert opened.number.reveal() == "FIRST-CARD-0001"
    tries = rows(
        house,
        "SELECT action, count(*) AS n FROM audit_entries WHERE object_id = :id "
        "GROUP BY action ORDER BY action",
        id=provision_id,
    )
    assert [tuple(row) for row in tries] == [("card.reveal_refused", 3), ("card.revealed", 1)]


def test_guessing_the_address_ends_after_ten_tries(house: House, seeded: Seeded) -> None:
    provision_id = provision_of(house, 1)
    values = {"person_secret": house.person_secret, "keyring": house.settings.keyring}
    addresses = [f"guess{n}@example.com" for n in range(10)]
    for address in addresses:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now = clock.now(session)
            assert open_by_link(session, provision_id, address, now=now, **values) is None

    with (
        pytest.raises(RevealLimited),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        now = clock.now(session)
        open_by_link(session, provision_id, "person0@example.com", now=now, **values)

    assert openings(house) == []
