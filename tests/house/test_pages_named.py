"""What the console's pages tell people to run or call exists."""

import re
from pathlib import Path

from ops.__main__ import main
from pipelines.wiring import House
from web.app import create_app

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
COMMAND = re.compile(r"\blargesse ([a-z][a-z-]*)")
ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/api/v1/[A-Za-z0-9/{}-]+)")


def texts() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))


def test_every_command_a_page_names_exists() -> None:
    named = set(COMMAND.findall(texts()))

    assert named == {"discounts", "import-cards", "partners", "referrals", "user"}
    assert named <= set(main.commands)


def test_every_route_a_page_names_exists(house: House) -> None:
    routes = {
        (method, re.sub(r"<[^>]+>", "{}", rule.rule))
        for rule in create_app(house).url_map.iter_rules()
        for method in rule.methods or ()
    }

    named = {
        (method, re.sub(r"\{\w+\}|\bID\b", "{}", path)) for method, path in ROUTE.findall(texts())
    }

    assert ("POST", "/api/v1/gift-cards/provision-jobs") in named
    assert named - routes == set()
