"""S4-125: the walks of docs/roles.md name pages and buttons that are there.

S4-075: the pages that the notes wanted added to a front are the console's own.
"""

import re
from pathlib import Path

import pytest

from models.people import Role
from pipelines.access.permissions import GRANTS
from pipelines.wiring import House
from web.app import create_app
from web.console.frame import NAVIGATION

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
PAGE = re.compile(r"`(/(?:console|redeem)[a-z/{}-]*)`")
BUTTON = re.compile(r"\*\*([^*]+)\*\*")
#: Whose walk each part is: what they may open is in it.
WALKS = {
    "Platform administrator": Role.PLATFORM_ADMIN,
    "Agency administrator": Role.AGENCY_ADMIN,
    "Client administrator": Role.CLIENT_ADMIN,
}
_CONTROL = re.compile(r"<(button|a)\b[^>]*>(.*?)</\1>", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<[^>]+>", re.DOTALL)


def buttons() -> set[str]:
    """The words of every button and link of every page, without what differs by the day."""
    return {
        " ".join(_JINJA.sub(" ", words).split())
        for path in (ROOT / "web" / "templates").rglob("*.html")
        for _tag, words in _CONTROL.findall(path.read_text(encoding="utf-8"))
    }


def shown(rule: str) -> str:
    """`/console/jobs/<uuid:job_id>` as the page writes it."""
    return re.sub(r"<[^>]+>", "{}", rule)


def test_s4_125_every_page_of_the_walks_is_there(house: House) -> None:
    rules = {
        shown(rule.rule): rule.endpoint
        for rule in create_app(house).url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    named = {re.sub(r"\{\w+\}", "{}", page) for page in PAGE.findall(TEXT)}

    assert len(named) > 12
    assert named - set(rules) == set()


@pytest.mark.parametrize("title", WALKS)
def test_s4_125_who_walks_has_the_pages_of_their_walk_in_their_navigation(title: str) -> None:
    walk = TEXT.partition(f"## {title}")[2].partition("\n## ")[0]
    granted = GRANTS[WALKS[title]]
    hidden = {
        entry.section
        for entry in NAVIGATION
        if f"`/console/{entry.section}`" in walk and entry.needs not in granted
    }

    assert walk
    assert hidden == set()


def test_s4_125_every_button_of_the_walks_is_on_a_page() -> None:
    named = set(BUTTON.findall(TEXT))

    assert len(named) > 25
    assert named - buttons() == set()
