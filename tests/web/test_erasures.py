"""A person is forgotten on request; the books and the audit log stay whole (EC-041, SEC-40)."""

import hashlib
import io
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from ops.bootstrap import database_url
from pipelines.erasure import erase
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.large import submit_large
from pipelines.provisioning.plan import BulkOptions
from pipelines.provisioning.reveal import reveal_token
from pipelines.wiring import House
from tests.auditing import look, seal_all
from tests.conftest import Database
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows, submit
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import ask_undo, undo
from tests.web.conftest import Caller, signed_in
from web.admission import canonical

ANN, JOANN = "Ann.Lee@example.com", "joann.lee@example.com"
FILE = (
    "reference,email,name,phone\n"
    f"r1,{ANN},Ann Lee,+4930901820\n"
    f"r2,{JOANN},Joann Lee,\n"
    f"r3,{ANN.lower()},Ann L.,\n"
    f'r4,other@example.com,"mail to {ANN}",\n'
    f"{ANN.upper()},third@example.com,Third,\n"
).encode()
BODY = {"email": ANN, "reason": "ann.lee@example.com asked by letter"}


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def ask(caller: Caller, body: dict | None = None, key: str = "k") -> dict:
    answer = caller.post("/erasures", body or BODY, Idempotency_Key=key)
    assert answer.status_code == 202, answer.json
    return answer.json


def fetch(caller: Caller, identity: str) -> dict:
    return caller.get(f"/erasures/{identity}").json


def dump(database: Database) -> str:
    """Every cell of every table as text, lower case."""
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        found = []
        for (table,) in tables:
            for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t'.encode()):
                found.append(row)
    return "\n".join(found).lower()


def traces_of(dumped: str, address: str = ANN) -> int:
    """How often the address stands there, in clear or as the bytes of a file."""
    return sum(
        dumped.count(one)
        for one in (address.lower(), address.lower().encode().hex(), address.encode().hex())
    ) - dumped.count("jo" + address.lower())


def served(house: House, seeded: Seeded) -> UUID:
    import_cards_now(house, seeded.csv_pool, cards_csv(10))
    job_id = submit(house, seeded, FILE, on_error=OnError.SKIP)
    drain(house)
    return job_id


def hold(house: House, kind: str) -> None:
    """Keep work of this kind back until somebody hastens."""
    later = "UPDATE tasks SET run_after = now() + interval '1 hour' WHERE kind = :kind"
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(later), {"kind": kind})


def test_ec041_an_erased_person_is_in_no_cell_and_everything_still_adds_up(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    job_id = served(house, seeded)
    before = rows(house, "SELECT count(*), sum(charge_minor) FROM provisions")
    assert traces_of(dump(database)) > 0

    asked = ask(client_admin)
    drain(house)
    seal_all(house)
    done = fetch(client_admin, asked["id"])

    assert (asked["state"], done["state"]) == ("running", "finished")
    assert (done["erased"]["items"], done["erased"]["provisions"]) == (4, 1)
    assert traces_of(dump(database)) == 0
    kept = rows(
        house, "SELECT email, name FROM items WHERE job_id = :job AND position = 2", job=job_id
    )
    assert kept == [(JOANN, "Joann Lee")]
    assert rows(house, "SELECT count(*), sum(charge_minor) FROM provisions") == before
    assert look(house, database).ok
    assert_proven(house)


def test_ec041_another_s_line_loses_only_the_field_that_names_the_person(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    job_id = served(house, seeded)
    line = "SELECT email, name, reference, person_key FROM items WHERE job_id = :job AND position "
    (fourth,) = rows(house, f"{line} = 4", job=job_id)
    (fifth,) = rows(house, f"{line} = 5", job=job_id)

    ask(client_admin)
    drain(house)

    assert (fourth.email, fifth.email) == ("other@example.com", "third@example.com")
    assert rows(house, f"{line} IN (4, 5) ORDER BY position", job=job_id) == [
        (fourth.email, None, "r4", fourth.person_key),
        (fifth.email, "Third", None, fifth.person_key),
    ]


def test_ec041_a_line_without_an_address_of_its_own_is_the_person_s(
    house: House, client_admin: Caller, seeded: Seeded
):
    """A rejected line that names somebody is nobody else's."""
    submit(house, seeded, f"email,name\n,{ANN}\n".encode(), on_error=OnError.SKIP)

    ask(client_admin)
    drain(house)

    assert rows(house, "SELECT email, name, person_key FROM items") == [(None, None, None)]


def test_ec041_the_audit_tells_of_the_erasure_and_not_whom(
    house: House, client_admin: Caller, seeded: Seeded
):
    served(house, seeded)
    asked = ask(client_admin)
    drain(house)

    told = rows(
        house,
        "SELECT action, object_id, client_id, detail FROM audit_entries "
        "WHERE object_kind = 'erasure' ORDER BY at, id",
    )
    assert [(row.action, str(row.object_id), row.client_id) for row in told] == [
        ("person.erasure_asked", asked["id"], seeded.client_id),
        ("person.erased", asked["id"], seeded.client_id),
    ]
    assert told[0].detail == {"reason": "[removed] asked by letter"}
    assert told[1].detail["items"] == 4
    assert rows(house, "SELECT sealed_email FROM erasures") == [(None,)]


def test_one_pseudonym_stands_for_the_person_in_every_table(
    house: House, client_admin: Caller, seeded: Seeded
):
    served(house, seeded)
    before = rows(house, "SELECT person_key FROM items WHERE position = 1")
    ask(client_admin)
    drain(house)

    keys = rows(
        house,
        "SELECT person_key FROM items WHERE position = 1 "
        "UNION SELECT person_key FROM provisions WHERE position = 1",
    )
    assert len(keys) == 1
    assert keys != before


def test_ec041_no_link_of_theirs_opens_a_card_afterwards(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    """Nobody can prove any more that they are the recipient, so the link alone would open it."""
    served(house, seeded)
    (given,) = rows(house, "SELECT id FROM provisions WHERE position = 1")
    (other,) = rows(house, "SELECT id FROM provisions WHERE position = 2")
    links = [reveal_token(one.id, 1, house.settings.keyring) for one in (given, other)]
    browser = app.test_client()
    assert [browser.get(f"/r/{link}").status_code for link in links] == [200, 200]

    ask(client_admin)
    drain(house)

    assert [browser.get(f"/r/{link}").status_code for link in links] == [404, 200]


def test_ec041_an_undo_that_copies_the_person_meanwhile_is_erased_too(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    job_id = served(house, seeded)
    asked = ask(client_admin)
    hold(house, "erase_person")
    undo_id = undo(house, seeded, job_id)
    copied = rows(house, "SELECT email FROM items WHERE job_id = :job", job=undo_id)
    hasten(house)
    drain(house)

    assert ANN in [row.email for row in copied]
    assert fetch(client_admin, asked["id"])["state"] == "finished"
    assert traces_of(dump(database)) == 0


def test_ec041_an_undo_without_its_items_yet_is_waited_for(
    house: House, client_admin: Caller, seeded: Seeded
):
    """It may have begun to copy what the erasure has not reached."""
    job_id = served(house, seeded)
    ask_undo(house, seeded, job_id)
    hold(house, "plan_job")
    asked = ask(client_admin)
    drain(house)
    waiting = fetch(client_admin, asked["id"])["state"]
    for _round in range(3):
        hasten(house)
        drain(house)

    assert waiting == "running"
    assert fetch(client_admin, asked["id"])["state"] == "finished"


def test_only_the_own_tenant_s_rows_are_erased(
    app: Flask, house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    other = seed(house, vendor=False)
    for tenant in (seeded, other):
        submit(house, tenant, FILE, on_error=OnError.SKIP)

    ask(client_admin)
    drain(house)

    left = "SELECT DISTINCT client_id FROM items WHERE lower(email) = 'ann.lee@example.com'"
    assert rows(house, left) == [(other.client_id,)]
    named = {**BODY, "client_id": str(other.client_id)}
    assert client_admin.post("/erasures", named, Idempotency_Key="x").status_code == 404

    admin = signed_in(app, house, Role.PLATFORM_ADMIN)
    everywhere = ask(admin)
    drain(house)
    assert traces_of(dump(database)) == 0
    assert client_admin.get(f"/erasures/{everywhere['id']}").status_code == 404
    assert len(client_admin.get("/erasures").json["data"]) == 1
    assert len(admin.get("/erasures").json["data"]) == 2


def test_a_file_not_read_yet_is_waited_for(
    house: House, database: Database, client_admin: Caller, seeded: Seeded
):
    options = BulkOptions(seeded.campaign_id, seeded.brand_id, 2500, "none", on_error=OnError.SKIP)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        submit_large(
            session,
            options,
            io.BytesIO(FILE),
            sha256=hashlib.sha256(FILE).digest(),
            file_name="large.csv",
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    hold(house, "plan_job")

    asked = ask(client_admin)
    drain(house)
    waiting = fetch(client_admin, asked["id"])["state"]
    for _round in range(3):
        hasten(house)
        drain(house)

    assert waiting == "running"
    assert fetch(client_admin, asked["id"])["state"] == "finished"
    assert traces_of(dump(database)) == 0


def test_a_large_job_is_gone_through_in_pieces(
    house: House, database: Database, client_admin: Caller, seeded: Seeded, monkeypatch
):
    """And many small ones together: no transaction looks at more than it may."""
    monkeypatch.setattr(erase, "ITEMS_AT_ONCE", 2)
    submit(house, seeded, FILE, on_error=OnError.SKIP)
    for name in ("one", "two", "three"):
        submit(house, seeded, [{"reference": name, "email": ANN}])

    asked = ask(client_admin)
    drain(house)

    done = fetch(client_admin, asked["id"])
    assert (done["state"], done["erased"]["items"]) == ("finished", 4 + 3)
    assert traces_of(dump(database)) == 0


def test_ec035_an_erasure_is_asked_once_per_key(house: House, client_admin: Caller):
    first = ask(client_admin)
    again = client_admin.post("/erasures", BODY, Idempotency_Key="k")
    other = client_admin.post("/erasures", {**BODY, "email": JOANN}, Idempotency_Key="k")

    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (first["id"], "true")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert client_admin.post("/erasures", BODY).status_code == 400
    assert rows(house, "SELECT count(*) FROM erasures") == [(1,)]


def test_no_fast_hash_of_the_address_is_kept(house: House, client_admin: Caller):
    """Who knows an address and the reason does not find the request again without our key."""
    ask(client_admin)

    (kept,) = rows(house, "SELECT fingerprint FROM idempotency_keys")
    plain = hashlib.sha256()
    for part in (b"POST", b"/api/v1/erasures", canonical({**BODY, "client_id": None})):
        plain.update(len(part).to_bytes(8, "big") + part)
    assert bytes(kept.fingerprint) != plain.digest()


@pytest.mark.parametrize(
    "body", [{"reason": "x"}, {"email": "ann", "reason": "x"}, {"email": ANN}, {**BODY, "x": 1}]
)
def test_a_request_that_names_nobody_is_refused(house: House, client_admin: Caller, body: dict):
    assert client_admin.post("/erasures", body, Idempotency_Key="k").status_code == 422
    assert rows(house, "SELECT 1 FROM erasures") == []


def test_an_agency_does_not_erase(app: Flask, house: House, seeded: Seeded):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    assert agency.post("/erasures", BODY, Idempotency_Key="k").status_code == 403
