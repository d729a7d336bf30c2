"""An erasure reaches what others were writing, or copying, when it was asked for (EC-041)."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from models.database import scoped_transaction
from models.drafts import UploadDraft
from models.people import Role
from models.scope import SYSTEM, client
from ops.bootstrap import database_url
from ops.doctor import Check, waiting_erasures
from pipelines.erasure import writers
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.clone import CloneChoices, submit_clone
from pipelines.provisioning.submit import Recipients, submit_bulk
from pipelines.wiring import House
from tests.auditing import as_superuser
from tests.conftest import Database, Ground
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.intake import options, with_limits
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import undo
from tests.web.conftest import Caller, make_user
from tests.web.test_erasures import ANN, FILE, ask, dump, fetch, hold, served, traces_of


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def test_ec041_what_was_being_written_when_it_was_asked_is_waited_for(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    """Neither the job nor the upload is seen before its transaction ends."""
    choices = options(seeded, on_error=OnError.SKIP)
    given = Recipients(sha256=hashlib.sha256(FILE).digest(), csv=io.BytesIO(FILE))
    own = {"person_secret": house.person_secret, "limits": house.limits}
    user_id = make_user(house, "maker@x.example", Role.CLIENT_ADMIN, seeded)
    tenant = {"agency_id": seeded.agency_id, "client_id": seeded.client_id, "user_id": user_id}
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        submit_bulk(session, choices, given, actor_id=ACTOR, key=None, **own)
        session.execute(insert(UploadDraft).values(options={}, content=FILE, **tenant))
        asked = elsewhere.submit(ask, client_admin).result()
        elsewhere.submit(drain, house).result()
        waiting = elsewhere.submit(fetch, client_admin, asked["id"]).result()

    hasten(house)
    drain(house)

    done = fetch(client_admin, asked["id"])
    assert (waiting["state"], done["state"]) == ("running", "finished")
    assert (done["erased"]["items"], done["erased"]["drafts"]) == (4, 1)
    assert traces_of(dump(database)) == 0


def test_ec041_clones_of_what_is_erased_are_erased_too_and_waited_for(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    """Their worker may have read what the erasure comes to next."""
    job_id = served(house, seeded)
    asked = ask(client_admin)
    hold(house, "erase_person")
    copied = clone(house, seeded, job_id)
    clone(with_limits(house, clone_inline_items_max=2), seeded, job_id)
    hold(house, "plan_job")
    before = rows(house, "SELECT email FROM items WHERE job_id = :job", job=copied)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET run_after = now() WHERE kind = 'erase_person'"))
    drain(house)
    waiting = fetch(client_admin, asked["id"])["state"]
    for _round in range(3):
        hasten(house)
        drain(house)

    assert ANN in [row.email for row in before]
    assert (waiting, fetch(client_admin, asked["id"])["state"]) == ("running", "finished")
    assert traces_of(dump(database)) == 0


def test_ec041_a_clone_that_is_being_made_while_it_erases_is_erased_too(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    """It has read what is erased next, and is seen by nobody before it commits."""
    job_id = served(house, seeded)
    asked = ask(client_admin)
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        clone_in(session, house, job_id)
        elsewhere.submit(drain, house).result()
        waiting = elsewhere.submit(fetch, client_admin, asked["id"]).result()

    hasten(house)
    drain(house)

    assert (waiting["state"], waiting["erased"]["items"]) == ("running", 4)
    done = fetch(client_admin, asked["id"])
    assert (done["state"], done["erased"]["items"]) == ("finished", 8)
    assert traces_of(dump(database)) == 0


def test_ec041_so_is_the_clone_of_a_clone_that_was_being_made(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    """Each round may find what somebody was copying during it: the last one finds nothing."""
    job_id = served(house, seeded)
    asked = ask(client_admin)
    with ThreadPoolExecutor(1) as elsewhere:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            copied = clone_in(session, house, job_id)
            elsewhere.submit(drain, house).result()
        hold(house, "erase_person")
        drain(house)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            clone_in(session, house, copied)
            elsewhere.submit(hasten, house).result()
            elsewhere.submit(drain, house).result()
            waiting = elsewhere.submit(fetch, client_admin, asked["id"]).result()

    hasten(house)
    drain(house)

    assert (waiting["state"], waiting["erased"]["items"]) == ("running", 8)
    assert fetch(client_admin, asked["id"])["state"] == "finished"
    assert traces_of(dump(database)) == 0


def test_ec041_copies_of_copies_are_erased_too(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    job_id = served(house, seeded)
    asked = ask(client_admin)
    hold(house, "erase_person")
    import_cards_now(house, seeded.csv_pool, cards_csv(10, "MORE"))
    last = job_id
    for _copy in range(3):
        last = clone(house, seeded, last)
        drain(house)
    undo(house, seeded, last)
    hasten(house)
    drain(house)

    assert fetch(client_admin, asked["id"])["state"] == "finished"
    assert traces_of(dump(database)) == 0


def test_what_somebody_is_sent_after_the_request_is_not_erased(
    house: House, client_admin: Caller, seeded: Seeded
):
    ask(client_admin)
    hold(house, "erase_person")
    later = served(house, seeded)
    clone(house, seeded, later)
    hasten(house)
    drain(house)

    kept = "SELECT count(*) FROM items WHERE lower(email) = 'ann.lee@example.com'"
    assert rows(house, kept) == [(4,)]


def test_ec041_who_began_after_the_request_is_not_waited_for(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    """Also when the row was written anew meanwhile, as a rotation of keys does."""
    asked = ask(client_admin)
    with open_transaction(database) as younger:
        younger.execute("UPDATE clients SET name = name")
        as_superuser(database, "UPDATE erasures SET sealed_email = sealed_email")
        drain(house)

        assert fetch(client_admin, asked["id"])["state"] == "finished"


def test_ec041_a_prepared_transaction_is_waited_for_and_named(
    house: House, database: Database, client_admin: Caller
):
    with open_transaction(database) as older:
        older.execute("UPDATE clients SET name = name")
        older.execute("SELECT pg_current_xact_id()")
        older.execute("PREPARE TRANSACTION 'import of 1999'")
    with psycopg.connect(admin_of(database), autocommit=True) as admin:
        try:
            asked = ask(client_admin)
            drain(house)
            waiting = fetch(client_admin, asked["id"])["state"]
            (line,) = looked_over(database)
        finally:
            admin.execute("ROLLBACK PREPARED 'import of 1999'")
    hasten(house)
    drain(house)

    assert line.detail.endswith("prepared transaction import of 1999")
    assert (waiting, fetch(client_admin, asked["id"])["state"]) == ("running", "finished")


def test_a_long_wait_for_somebody_is_told_with_their_pid(
    house: House, database: Database, client_admin: Caller, monkeypatch: pytest.MonkeyPatch
):
    told: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(
        writers, "log", SimpleNamespace(warning=lambda event, **f: told.append((event, f)))
    )
    with open_transaction(database) as older:
        older.execute("SELECT pg_current_xact_id()")
        asked = ask(client_admin)
        drain(house)
        assert (told, looked_over(database, minutes=0)) == ([], [])
        hasten(house)
        (line,) = looked_over(database)
        drain(house)
        pid = f"pid {older.info.backend_pid}"

    assert told == [("erasure.waits", {"erasure_id": asked["id"], "writers": [pid]})]
    assert not line.ok
    assert line.detail == f"{asked['id']} waits since 10 min for {pid}"
    assert "pg_terminate_backend" in line.remedy
    hasten(house)
    drain(house)
    assert looked_over(database) == []


def test_who_writes_in_another_database_is_not_waited_for(
    house: House, ground: Ground, client_admin: Caller
):
    with psycopg.connect(ground.servers.admin_url) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        asked = ask(client_admin)
        drain(house)

        assert fetch(client_admin, asked["id"])["state"] == "finished"


def clone(house: House, seeded: Seeded, job_id: UUID) -> UUID:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return clone_in(session, house, job_id)


def clone_in(session: Session, house: House, job_id: UUID) -> UUID:
    choices = CloneChoices(on_error=OnError.SKIP, allow_repeat=True)
    own = {"person_secret": house.person_secret, "limits": house.limits}
    return submit_clone(session, job_id, choices, actor_id=ACTOR, key=None, **own).job_id


def admin_of(database: Database) -> str:
    return database_url(database.admin_url, database.name)


def open_transaction(database: Database) -> psycopg.Connection:
    """A stranger's transaction; it ends with the block."""
    return psycopg.connect(admin_of(database))


def looked_over(database: Database, minutes: int = 10) -> list[Check]:
    """What the doctor says of erasures that began to wait so long ago."""
    if minutes:
        since = f"UPDATE erasures SET waits_since = waits_since - interval '{minutes} minutes'"
        as_superuser(database, since)
    with psycopg.connect(database.urls["largesse_readonly"]) as connection:
        return waiting_erasures(connection)
