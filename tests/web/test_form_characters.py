"""No field of a form is a fault of ours, whatever it holds: a NUL is refused, or counts as nothing."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.furnished import draft_of, furnish, ids_of, keep_books
from tests.standing import app, database, house
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, visitor_of

__all__ = ["app", "database", "house"]

#: Every field that something in `web/console` reads by its name.
READ = re.compile(r'form\.get(?:list)?\(\s*"(\w+)"|amount_of\(\s*"(\w+)"')
#: What other fields hold meanwhile, so that a form comes as far as it can.
GOOD = {
    "reason": "No",
    "name": "Spring",
    "amount": "25",
    "state": "active",
    "do": "check",
    "move": "quarantine",
}
NONE = UUID(int=7)
#: Forms of what is not there in the furnished house, or gone by then, or one's own request.
NOBODY_S = (
    "/console/account/sign-ins/",
    "/console/invitations/",
    "/console/register/",
    "/console/webhook-deliveries/",
    "/console/approvals/",
)
#: Nobody is signed in there, or not any more.
OUTSIDE = "/console/sign-"


def forms(app: Flask, ids: dict[str, object]) -> Iterator[tuple[str, set[str]]]:
    """Each address that takes a form, and the fields that the modules of its view read."""
    for rule in app.url_map.iter_rules():
        if (
            not rule.rule.startswith("/console/")
            or "POST" not in (rule.methods or set())
            or rule.rule.startswith(OUTSIDE)
        ):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(ids.get(found[1], NONE)), rule.rule)
        yield path, fields_read_by(app.view_functions[rule.endpoint].__module__)


def fields_read_by(module: str) -> set[str]:
    used = {module}
    source = Path(str(sys.modules[module].__file__)).read_text()
    used |= set(re.findall(r"^from (web\.console\.\w+) import", source, re.MULTILINE))
    texts = (Path(str(sys.modules[name].__file__)).read_text() for name in used)
    found = {name for text in texts for pair in READ.findall(text) for name in pair if name}
    return found - {"csrf_token"}


def more_ids(house: House) -> dict[str, object]:
    """Of what pages list, and have no page for."""
    tables = {"alert_id": "alerts", "approval_id": "approvals", "delivery_id": "webhook_deliveries"}
    found = {name: rows(house, f"SELECT id FROM {table}")[0].id for name, table in tables.items()}
    (letter,) = rows(house, "SELECT id FROM tasks WHERE state = 'dead'")
    return found | {"task_id": letter.id, "name": "bulk"}


def test_j12_a_nul_in_any_field_of_any_form_is_no_fault(app: Flask, house: House) -> None:
    seeded = furnish(app, house, "Spring Drop")
    root = visitor_of(app, house, Role.PLATFORM_ADMIN, seeded)
    keep_books(house, root, seeded, "Spring Drop")
    boss = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    ids = ids_of(house, seeded, draft_of(boss, seeded, "Spring Drop")) | more_ids(house)
    asked, let_in, faults = set(), set(), []

    for visitor in (boss, root):
        token = dict(HIDDEN.findall(visitor.get("/console/").text))["csrf_token"]
        for path, fields in forms(app, ids):
            # The key first: what a later form does may be done already.
            for field in sorted(fields, key=lambda name: (name != "idempotency_key", name)):
                form = GOOD | {"csrf_token": token, field: "a\0b"}
                answer = visitor.client.post(path, data=form, headers=SAME_ORIGIN)
                asked.add((path, field))
                if answer.status_code not in (403, 404):
                    let_in.add(path)
                if answer.status_code >= 500:
                    faults.append((path, field))
                assert not answer.headers.get("Location", "").startswith(OUTSIDE), path

    assert {"idempotency_key", "reason", "name"} <= {field for _, field in asked}
    assert faults == []
    shut = {path for path, _ in asked} - let_in
    assert {path for path in shut if not path.startswith(NOBODY_S)} == set()
