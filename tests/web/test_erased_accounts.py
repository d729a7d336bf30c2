"""An erasure ends the account of a person, what was offered to them, and uploads that name them (EC-041)."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.drafts import UploadDraft
from models.mails import Invitation
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.authenticate import account_of
from pipelines.access.password_resets import hand_reset
from pipelines.access.registration import Registrant, register
from pipelines.access.sign_ins import SignInKind, open_sign_in
from pipelines.erasure import erase
from pipelines.erasure.traces import Traces
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Purpose
from pipelines.wiring import House
from tests.conftest import MASTER_KEYS, Database, Ground, a_house
from tests.driving import drain, hasten, rows
from tests.rotating import NEW
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in
from tests.web.test_erasures import ANN, BODY, FILE, JOANN, ask, dump, fetch, hold, traces_of


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_upload_with_the_person_in_it_loses_its_file(
    house: House, database: Database, client_admin: Caller, seeded: Seeded, encoding: str
):
    user_id = make_user(house, "maker@x.example", Role.CLIENT_ADMIN, seeded)
    tenant = {"agency_id": seeded.agency_id, "client_id": seeded.client_id, "user_id": user_id}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for content in (FILE.decode().encode(encoding), b"email\nother@example.com\n"):
            session.execute(
                insert(UploadDraft).values(
                    options={}, content=content, file_name="people.csv", **tenant
                )
            )

    asked = ask(client_admin)
    drain(house)

    assert fetch(client_admin, asked["id"])["erased"]["drafts"] == 1
    kept = rows(house, "SELECT content FROM upload_drafts WHERE content IS NOT NULL")
    assert [bytes(row.content) for row in kept] == [b"email\nother@example.com\n"]


def test_an_end_user_is_made_nobody_and_staff_is_left(
    app: Flask, house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    user_id = make_user(house, ANN, Role.END_USER, seeded)
    make_user(house, JOANN, Role.CLIENT_VIEWER, seeded)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        open_sign_in(session, user_id, SignInKind.REFRESH, seconds=600, now=now)

    first = ask(client_admin)
    second = ask(client_admin, {**BODY, "email": JOANN}, key="second")
    drain(house)

    assert fetch(client_admin, first["id"])["erased"]["users"] == 1
    assert fetch(client_admin, second["id"])["erased"]["users"] == 0
    (gone,) = rows(house, "SELECT * FROM users WHERE id = :id", id=user_id)
    assert (gone.name, gone.password_hash, gone.disabled_at is not None) == ("", None, True)
    assert gone.email == f"erased-{user_id}@erased.invalid"
    ended = rows(house, "SELECT revoked_at FROM sign_ins WHERE user_id = :id", id=user_id)
    assert [row.revoked_at is not None for row in ended] == [True]
    assert traces_of(dump(database)) == 0


def test_what_hangs_on_the_account_or_was_offered_to_the_address_ends(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    user_id = make_user(house, ANN, Role.END_USER, seeded)
    digest = account_of(ANN)
    keyring = house.settings.keyring
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        open_sign_in(session, user_id, SignInKind.REFRESH, seconds=600, now=now)
        session.execute(text("UPDATE sign_ins SET address = '192.0.2.1', user_agent = 'Ann/1'"))
        letter = Letter(Template.INVITATION, address=ANN, values={"token": "t"})
        mail_id = post(session, letter, keyring=keyring, now=now)
        post(session, Letter(Template.PASSWORD_RESET, user_id=user_id), keyring=keyring, now=now)
        identity = new_id()
        invitation = Invitation(
            id=identity,
            agency_id=seeded.agency_id,
            client_id=seeded.client_id,
            role=Role.CLIENT_VIEWER.value,
            sealed_guest=keyring.seal(
                Purpose.PII, ANN, table="invitations", row_id=identity, column="sealed_guest"
            ),
            account=digest,
            token_hash=b"t" * 32,
            mail_id=mail_id,
            invited_by=ACTOR,
            expires_at=now + timedelta(days=1),
        )
        session.add(invitation)
        hand_reset(session, user_id, now=now)

    ask(client_admin)
    hold(house, "send_mail")
    drain(house)

    places = "SELECT DISTINCT address, user_agent FROM sign_ins WHERE user_id = :id"
    assert rows(house, places, id=user_id) == [(None, None)]
    assert rows(house, "SELECT 1 FROM password_resets WHERE user_id = :id", id=user_id) == []
    (invited,) = rows(house, "SELECT * FROM invitations")
    assert (invited.ended_at is not None, invited.sealed_guest) == (True, None)
    assert bytes(invited.account) != digest
    mails = "SELECT DISTINCT state, code, sealed_letter FROM outgoing_mails"
    assert rows(house, mails) == [("gave_up", "erased", None)]


def test_who_has_not_confirmed_a_registration_is_forgotten_when_asked_everywhere(
    app: Flask, house: House, client_admin: Caller
):
    """It is no client's: at one client's request nothing of it ends."""
    keyring = house.settings.keyring
    for address in (ANN.upper(), JOANN):
        register(house.sessions, Registrant(address, "correct horse battery"), keyring=keyring)
    hold(house, "send_mail")

    ask(client_admin)
    drain(house)
    before = rows(house, "SELECT count(*) FROM registrations")
    ask(signed_in(app, house, Role.PLATFORM_ADMIN))
    drain(house)

    (left,) = rows(house, "SELECT id, sealed_person FROM registrations")
    place = {"table": "registrations", "row_id": left.id, "column": "sealed_person"}
    assert before == [(2,)]
    assert JOANN in keyring.open_sealed(Purpose.PII, left.sealed_person, **place).reveal()
    mails = "SELECT state, count(*) FROM outgoing_mails GROUP BY state ORDER BY state"
    assert rows(house, mails) == [("gave_up", 1), ("waiting", 1)]


def test_what_does_not_open_is_counted_and_keeps_nobody_from_being_forgotten(
    app: Flask, house: House
):
    """SEC-14: one damaged row of a stranger would stop every erasure there is."""
    keyring = house.settings.keyring
    for address in (JOANN, ANN):
        register(house.sessions, Registrant(address, "correct horse battery"), keyring=keyring)
    hold(house, "send_mail")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for table, column in (
            ("registrations", "sealed_person"),
            ("outgoing_mails", "sealed_letter"),
        ):
            damaged = (
                f"UPDATE {table} SET {column} = set_byte({column}, 20, 255 - get_byte({column}, 20)) "
                f"WHERE id = (SELECT id FROM {table} ORDER BY id LIMIT 1)"
            )
            session.execute(text(damaged))
    before = keyring.unopened

    asked = ask(signed_in(app, house, Role.PLATFORM_ADMIN))
    drain(house)

    assert rows(house, "SELECT state FROM erasures WHERE id = :id", id=asked["id"]) == [
        ("finished",)
    ]
    assert keyring.unopened == before + 2
    assert rows(house, "SELECT count(*) FROM registrations") == [(1,)]
    mails = "SELECT state, count(*) FROM outgoing_mails GROUP BY state ORDER BY state"
    assert rows(house, mails) == [("gave_up", 1), ("waiting", 1)]


def test_a_worker_without_the_key_of_a_registration_leaves_the_erasure_to_others(
    app: Flask, house: House, ground: Ground, database: Database
):
    """It could be the person's; a damaged value is another matter."""
    with a_house(ground, database, LARGESSE_MASTER_KEYS=f"{NEW},{MASTER_KEYS}") as newer:
        person = Registrant(ANN, "correct horse battery")
        register(newer.sessions, person, keyring=newer.settings.keyring)
        hold(house, "send_mail")
        asked = ask(signed_in(app, house, Role.PLATFORM_ADMIN))
        drain(house)
        waiting = rows(house, "SELECT postponed_for FROM tasks WHERE kind = 'erase_person'")
        hasten(house)
        hold(house, "send_mail")
        drain(newer)

    assert waiting == [("keys_missing",)]
    assert rows(house, "SELECT state FROM erasures WHERE id = :id", id=asked["id"]) == [
        ("finished",)
    ]
    assert rows(house, "SELECT 1 FROM registrations") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_address_across_two_windows_of_an_upload_is_found(
    house: House, client_admin: Caller, seeded: Seeded, monkeypatch, encoding: str
):
    monkeypatch.setattr(erase, "WINDOW", 16)
    user_id = make_user(house, "maker@x.example", Role.CLIENT_ADMIN, seeded)
    tenant = {"agency_id": seeded.agency_id, "client_id": seeded.client_id, "user_id": user_id}
    content = f"email\nÄäẞ@example.com\n{ANN.upper()}\n".encode(encoding)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(insert(UploadDraft).values(options={}, content=content, **tenant))

    asked = ask(client_admin)
    drain(house)

    assert fetch(client_admin, asked["id"])["erased"]["drafts"] == 1


@pytest.mark.parametrize(
    ("cells", "is_found"),
    [
        ("ann.lee@example.com", True),
        ("mail ann.lee@example.com.", True),
        ("<ann.lee@example.com>", True),
        ("joann.lee@example.com", False),
        ("x.ann.lee@example.com", False),
        ("ann.lee@example.community", False),
        ("annxlee@example.com", False),
    ],
)
def test_an_address_is_found_as_a_whole_word(house: House, cells: str, is_found: bool):
    pattern = Traces.of(ANN, b"k" * 32).pattern

    assert rows(house, "SELECT CAST(:cells AS text) ~ :pattern", cells=cells, pattern=pattern) == [
        (is_found,)
    ]
