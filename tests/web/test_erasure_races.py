"""An erasure reaches what others were writing, or copying, when it was asked for (EC-041)."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from models.database import scoped_transaction
from models.drafts import UploadDraft
from models.people import Role
from models.scope import SYSTEM, client
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.clone import CloneChoices, submit_clone
from pipelines.provisioning.submit import Recipients, submit_bulk
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import drain, hasten, rows
from tests.intake import options, with_limits
from tests.seeding import ACTOR, Seeded, seed
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


def clone(house: House, seeded: Seeded, job_id: UUID) -> UUID:
    choices = CloneChoices(on_error=OnError.SKIP, allow_repeat=True)
    own = {"person_secret": house.person_secret, "limits": house.limits}
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        made = submit_clone(session, job_id, choices, actor_id=ACTOR, key=None, **own)
    return made.job_id
