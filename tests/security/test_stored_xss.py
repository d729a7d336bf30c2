"""Text that people gave is shown as text on every page of the console (SEC-33, B35)."""

import io
import json

import pytest
from flask import Flask
from sqlalchemy import insert, text

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM
from models.tasks import Task
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, rows, submit
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user
from tests.web.console.conftest import Visitor, visitor_of

#: Closes whatever it may stand in, then would run.
CANARY = "\"'></title></script><script>alert(1)</script>{{7*7}}"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture(scope="module")
def tainted(app: Flask, house: House) -> Seeded:
    """A tenant whose every text is hostile, with a job that ended in failures and refusals."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    people = [{"reference": CANARY, "name": CANARY, "email": f"a{n}@x.de"} for n in range(2)]
    key_caller(app, house, seeded.client_id)
    make_user(house, "viewer@tainted.example", Role.CLIENT_VIEWER, seeded)
    job_id = submit(house, seeded, people)
    drain(house)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for table in ("agencies", "clients", "campaigns", "brands"):
            session.execute(
                text(f"UPDATE {table} SET name = left(:name || id, 190)"), {"name": CANARY}
            )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE jobs SET file_name = :name, error = CAST(:error AS jsonb) WHERE id = :job"
            ),
            {
                "name": CANARY,
                "error": json.dumps({"status": 422, "code": CANARY, "detail": CANARY}),
                "job": job_id,
            },
        )
        session.execute(
            text("UPDATE items SET detail = :name WHERE job_id = :job AND state = 'failed'"),
            {"name": CANARY, "job": job_id},
        )
        session.execute(text("UPDATE api_keys SET name = :name"), {"name": CANARY})
        session.execute(
            insert(Task).values(
                id=new_id(),
                kind="poll_order",
                queue="vendor",
                lane="vendor",
                run_after=text("now()"),
                state="dead",
                args={"order_id": str(new_id())},
                died_at=text("now()"),
                attempts=8,
                last_error=CANARY,
            )
        )
    return seeded


def pages(app: Flask, ids: dict[str, object]) -> list[str]:
    """Every page of the console that is read with GET."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/console") and "GET" in rule.methods:
            path = rule.rule
            for name in rule.arguments & set(ids):
                path = path.replace(f"<uuid:{name}>", str(ids[name]))
            found.append(path.replace("<token>", "t"))
    assert [path for path in found if "<" in path] == []
    return found


def draft_of(visitor: Visitor, seeded: Seeded) -> str:
    chosen = {"campaign_id": str(seeded.campaign_id), "brand_id": str(seeded.brand_id)}
    home = visitor.send("/console/jobs/new", amount="25", **chosen).headers["Location"]
    content = f'reference,name,email\n"{CANARY}","{CANARY}",{CANARY}\n'.replace("\"'", "'")
    visitor.send(home, file=(io.BytesIO(content.encode()), f"{CANARY}.csv"))
    return home.removesuffix("/upload").rpartition("/")[2]


@pytest.mark.parametrize("role", [Role.CLIENT_ADMIN, Role.AGENCY_ADMIN, Role.PLATFORM_ADMIN])
def test_sec033_hostile_text_is_escaped_on_every_page(
    app: Flask, house: House, tainted: Seeded, role: Role
) -> None:
    visitor = visitor_of(app, house, role, tainted)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE users SET name = :name"), {"name": CANARY})
    job = rows(house, "SELECT id FROM jobs WHERE kind = 'provisioning' ORDER BY id")[0]
    (key,) = rows(house, "SELECT id FROM api_keys")
    person = rows(house, "SELECT id FROM users WHERE role = 'client_viewer'")[0]
    draft = draft_of(visitor, tainted)
    shown, raw = set(), []
    ids = {"job_id": job.id, "draft_id": draft, "key_id": key.id, "user_id": person.id}
    for path in pages(app, ids):
        answer = visitor.get(path)
        if answer.mimetype != "text/html":
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            continue
        if "<script>alert" in answer.text or "<title>\"'>" in answer.text:
            raw.append(path)
        if ESCAPED in answer.text:
            shown.add(path)

    assert raw == []
    assert len(shown) >= 8, "the canary must be seen, or this test proves nothing"
    assert "/console/" in shown
    assert f"/console/jobs/{job.id}" in shown


@pytest.mark.parametrize(
    "path",
    ["/console/jobs?state={}", "/console/sign-in?next={}", "/console/{}", "/{}", "/r/{}"],
)
def test_sec033_text_of_an_address_is_never_markup(app: Flask, path: str) -> None:
    answer = app.test_client().get(path.format("%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))

    assert "<script>alert" not in answer.text
    assert "<script>alert" not in str(answer.headers)


def test_sec033_what_is_typed_into_a_form_comes_back_as_text(
    app: Flask, house: House, tainted: Seeded
) -> None:
    visitor = visitor_of(app, house, Role.CAMPAIGN_MANAGER, tainted)

    signing_in = app.test_client().post(
        "/console/sign-in",
        data={"email": CANARY, "password": "x", "next": CANARY},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    choosing = visitor.send("/console/jobs/new", amount=CANARY, campaign_id=CANARY, brand_id=CANARY)

    for answer in (signing_in, choosing):
        assert answer.status_code == 422
        assert ESCAPED in answer.text
        assert "<script>alert" not in answer.text
