"""No address with a NUL is a fault of ours: each is refused before any page or route looks at it."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.console.conftest import Visitor, visitor_of

#: Every name by which something in `web` asks for a part of the query by itself.
ASKED_FOR = re.compile(r'args\.get\(\s*"(\w+)"')
PARAMETER = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
#: Values of parameters that are no free text: nothing of that id is there.
TYPED = {"uuid": str(UUID(int=7)), "int": "7"}


def routes(app: Flask, *, api: bool) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or set()) and rule.rule.startswith("/api/") is api:
            yield rule.rule


def path_of(rule: str, free: str) -> str:
    """The rule's path; `free` stands wherever it takes any text."""
    return PARAMETER.sub(lambda found: TYPED.get(found[1] or "", free), rule)


def names_of_pages() -> list[str]:
    files = Path(__file__).parents[2].joinpath("web").rglob("*.py")
    return sorted({name for file in files for name in ASKED_FOR.findall(file.read_text())})


def refused(answer: TestResponse, path: str) -> None:
    """400 where it stands in the query; nothing has such a name, where it stands in the path."""
    in_query = "%00" in path.partition("?")[2]
    assert answer.status_code == (400 if in_query else 404), path
    if path.startswith("/api/"):
        assert answer.json is not None
        code = "illegal_character" if in_query else "not_found"
        assert answer.json["code"] == code, path
    elif in_query:
        assert "a character that no text can have" in answer.text, path


@pytest.fixture
def boss(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN, seeded)


def test_j12_a_nul_in_an_address_of_the_console_is_refused_on_every_page(
    app: Flask, boss: Visitor
) -> None:
    names, paths = names_of_pages(), list(routes(app, api=False))
    assert {"find", "code", "action", "state"} <= set(names)
    assert len(paths) > 60

    for rule in paths:
        for name in names:
            path = f"{path_of(rule, 'x')}?{name}=%00x"
            refused(boss.get(path), path)
        if (path := path_of(rule, "a%00b")) != path_of(rule, "x"):
            refused(boss.get(path), path)


def test_j12_a_nul_in_an_address_of_the_api_is_refused_on_every_route(
    app: Flask, admin: Caller
) -> None:
    documented = admin.client.get("/api/v1/openapi.json").json["paths"]
    names = {
        path: [one["name"] for one in verbs["get"].get("parameters", ()) if one["in"] == "query"]
        for path, verbs in documented.items()
        if "get" in verbs
    }
    assert sum(map(len, names.values())) > 60

    for path, asked in names.items():
        for name in asked:
            whole = f"{re.sub(r'{[^}]*}', str(UUID(int=7)), path)}?{name}=a%00b"
            refused(admin.client.get(whole, headers=admin.headers), whole)
    for rule in routes(app, api=True):
        for whole in (path_of(rule, "%00"), f"{path_of(rule, 'x')}?%00=1"):
            if "%00" in whole:
                refused(admin.client.get(whole, headers=admin.headers), whole)


def test_j12_other_characters_of_an_address_are_taken_as_they_are(boss: Visitor) -> None:
    for words in ("%C3%A9t%C3%A9", "%01", "%ED%A0%80", "%F0%9F%8E%81", "%2500"):
        assert boss.get(f"/console/campaigns?find={words}").status_code == 200, words
    assert boss.get("/console/vendors/%C3%A9").status_code == 404
