"""An administrator's way: invite a person, make one and a key, with and without scripts, on any screen."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.journeys.test_upload_to_results import sign_in
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user

pytestmark = pytest.mark.journey


@pytest.fixture
def seeded(house: House) -> Seeded:
    made = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, made)
    return made


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no_scripts"])
def test_a_person_is_invited_one_is_made_and_a_key_too(
    house: House, chromium: Browser, address: str, with_scripts: bool
):
    context = chromium.new_context(java_script_enabled=with_scripts)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    sign_in(page, address)

    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_role("link", name="Invitations").click()
    page.get_by_role("link", name="Invite a person").click()
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_label("Role").select_option("client_viewer")
    page.get_by_role("button", name="Send the invitation").click()
    page.get_by_role("button", name="Send again to ann@example.com").click()
    expect(page.get_by_text("The invitation is on its way.")).to_be_visible()
    page.get_by_role("button", name="End the invitation to ann@example.com").click()
    expect(page.get_by_role("cell", name="Ended")).to_have_count(2)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="People").click()
    page.get_by_role("link", name="New person").click()
    page.get_by_label("E-mail").fill("nell@example.com")
    page.get_by_label("Role").select_option("client_viewer")
    page.get_by_label("Password", exact=True).fill("short but not")
    page.get_by_role("button", name="Make the person").click()
    if with_scripts:
        expect(page.locator("[data-focus]")).to_be_focused()
    page.get_by_role("link", name="A password has at least").click()
    page.get_by_label("Password", exact=True).fill("ochre ladder piano 7")
    page.get_by_role("button", name="Make the person").click()
    expect(page.get_by_role("heading", name="nell@example.com")).to_be_visible()

    page.get_by_role("link", name="API keys", exact=True).click()
    page.get_by_role("link", name="New API key").click()
    page.get_by_label("Name").fill("Web shop")
    page.get_by_label("Issue cards").check()
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_label("API key", exact=True).input_value()
    page.get_by_role("link", name="To the API keys").click()

    expect(page.get_by_role("cell", name="Works")).to_be_visible()
    assert key.startswith(rows(house, "SELECT prefix FROM api_keys")[0].prefix)
    assert faults == []
    context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_fit_the_screen(
    house: House, chromium: Browser, address: str, seeded: Seeded, tmp_path: Path, width: int
):
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)
    page = chromium.new_page(viewport={"width": width, "height": 720})
    sign_in(page, address)
    page.goto(f"{address}/console/api-keys/new")
    page.get_by_label("Name").fill("Web shop")
    page.get_by_label("Issue cards").check()
    page.get_by_role("button", name="Make the key").click()
    page.screenshot(path=tmp_path / f"made-{width}.png", full_page=True)
    wide = {"made": page.evaluate("document.documentElement.scrollWidth")}

    page.goto(f"{address}/console/invitations/new")
    page.get_by_label("E-mail").fill("somebody.with.a.long.name@department.example.com")
    page.get_by_label("Role").select_option("client_viewer")
    page.get_by_role("button", name="Send the invitation").click()

    places = (
        "people",
        "people/new",
        "invitations",
        "invitations/new",
        f"people/{user_id}",
        f"people/{user_id}/disable",
        "roles",
    )
    for place in (*places, "api-keys", "api-keys/new"):
        page.goto(f"{address}/console/{place}")
        name = place.replace("/", "-").replace(str(user_id), "max")
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
        wide[place] = page.evaluate("document.documentElement.scrollWidth")
    page.close()

    assert {place: found for place, found in wide.items() if found != width} == {}
