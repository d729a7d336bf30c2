"""What a partner's page and the network may do to the widget, on two real origins (EC-102..115)."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from pipelines.partners.partners import change_partner
from pipelines.wiring import House
from tests.couponing import act, finish
from tests.driving import rows
from tests.embedding import Site, frame_of, heard, open_site, refresh, sign_in, spoken, widget
from tests.partnering import now_of, visit
from tests.security.tenants import key_caller
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox
from tests.web.conftest import signed_in
from web.app import create_app

pytestmark = pytest.mark.journey


@pytest.fixture
def site(house: House, sandbox: Sandbox, address: str) -> Iterator[Site]:
    with open_site(house, seed(house), sandbox, address) as opened:
        yield opened


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house)


def old_token(site: Site) -> str:
    begun = int(now_of(site.house).timestamp()) - 400
    return site.partner.token("ada", iat=begun, exp=begun + 180)


def leave_list(site: Site) -> None:
    """Somebody takes the site's origins off the partner's list."""
    with scoped_transaction(site.house.sessions, client(site.seeded.client_id)) as session:
        change_partner(
            session,
            site.partner.id,
            {"origins": ["https://other.example"]},
            version=None,
            actor_id=ACTOR,
            anywhere=True,
            now=clock.now(session),
        )


def test_ec104_of_an_expired_token_the_page_is_asked_for_another(
    site: Site, chromium: Browser
) -> None:
    """EC-104: and it is shown what it came for."""
    tokens = [old_token(site), site.partner.token("ada")]
    page, given = site.open_own(chromium, tokens)
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    ready = heard(page, "ready")
    page.context.close()

    assert given == tokens
    assert ready == [{"claimed": False}]


def test_ec102_of_a_used_token_the_page_is_asked_for_another(
    site: Site, chromium: Browser, app: Flask
) -> None:
    """EC-102: a page from a browser's cache may hold one."""
    used = site.partner.token("ada")
    assert (
        app.test_client()
        .post("/api/v1/session-from-token", json={"token": used, "host_origin": site.own_url})
        .status_code
        == 201
    )
    page, given = site.open_own(chromium, [used, site.partner.token("ada")])
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    page.context.close()

    assert len(given) == 2


def test_ec104_a_page_that_has_only_old_tokens_is_not_asked_without_end(
    site: Site, chromium: Browser
) -> None:
    page, given = site.open_own(chromium, [old_token(site)])
    expect(widget(page).locator("#place").get_by_text("cannot be shown just now")).to_be_visible()
    told = heard(page, "error")
    page.context.close()

    assert len(given) == 3
    assert told == [{"code": "token_expired"}]
    assert rows(site.house, "SELECT FROM widget_sessions") == []


def test_ec113_a_visit_that_ended_is_begun_anew_within_the_claim(
    site: Site, chromium: Browser
) -> None:
    """EC-113: whoever clicks gets their coupon, and does not learn of it."""
    tokens = [site.partner.token("ada"), site.partner.token("ada")]
    page, given = site.open_own(chromium, tokens)
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    with scoped_transaction(site.house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE widget_sessions SET revoked_at = now()"))
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    page.context.close()

    assert given == tokens
    assert len(site.claims()) == 1


def test_ec112_a_lost_answer_is_given_again_under_the_same_key(
    site: Site, chromium: Browser
) -> None:
    """EC-112: the claim was made, its answer never came; the retry brings that coupon and no other."""
    page, _given = site.open_own(chromium, [site.partner.token("ada")])
    keys: list[str] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
            return
        assert route.fetch().status == 201
        route.abort()

    page.route("**/api/v1/claims", lose_the_first)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="No answer")).to_be_focused()
    made = site.claims()
    widget(page).get_by_role("button", name="Try again").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    code = widget(page).locator("[data-slot=code]").inner_text()
    told = heard(page, "claimed")
    page.context.close()

    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert site.claims() == made
    assert len(made) == 1
    assert code in site.codes
    assert [(one["replayed"], one["claim"]["coupon_id"]) for one in told] == [
        (True, str(made[0].coupon_id))
    ]
    assert code not in str(told)


def test_ec111_who_claims_from_an_old_list_is_shown_what_is_left(
    site: Site, chromium: Browser, app: Flask
) -> None:
    """EC-111: the last coupon of an offer went to somebody else meanwhile."""
    page, _given = site.open_own(chromium, [site.partner.token("ada")])
    expect(widget(page).get_by_role("button", name="Claim Offer 2")).to_be_visible()
    faster = visit(app, site.partner, "ben")
    last = [
        one["id"]
        for one in faster.get("/available-coupons").json["data"]
        if one["offer"]["title"] == "Offer 2"
    ]
    assert faster.post("/claims", {"coupon_id": last[0]}).status_code == 201
    widget(page).get_by_role("button", name="Claim Offer 2").click()
    expect(widget(page).locator("#place").get_by_text("Somebody was faster")).to_be_focused()
    left = widget(page).get_by_role("button").all_inner_texts()
    page.context.close()

    assert len(last) == 1
    assert [name.split()[-1] for name in left] == ["1"]
    assert len(site.claims()) == 1


def test_ec114_a_page_that_is_not_on_the_list_shows_no_frame(site: Site, chromium: Browser) -> None:
    """EC-114: the same shop under another name is another origin; the page is told, in words."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.clock.install()
    page.goto(f"{site.url.replace('127.0.0.1', 'localhost')}/partner/")
    expect(page.locator("#largesse iframe")).to_be_attached()
    page.wait_for_load_state("load")
    page.clock.fast_forward(20_000)
    expect(page.get_by_text("The coupons cannot be shown here just now.")).to_be_visible()
    shown = page.locator("#largesse iframe").is_visible()
    page.context.close()

    assert not shown
    assert any("frame-ancestors" in line for line in said)
    (hint,) = [line for line in said if line.startswith("Largesse: the frame is not shown.")]
    assert "localhost" in hint
    for may_be in ("not among the vendor's allowed origins", "data-vendor=", "is disabled"):
        assert may_be in hint


def test_ec114_an_origin_that_left_the_list_is_told_so_in_the_frame(
    site: Site, chromium: Browser
) -> None:
    """EC-114: the page was there when the list changed."""
    page, _given = site.open_own(chromium, [site.partner.token(f"ada-{n}") for n in range(3)])
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    leave_list(site)
    refresh(page)
    expect(widget(page).get_by_role("heading", name="Not to be shown here")).to_be_visible()
    told = heard(page, "error")
    page.context.close()

    assert told == [{"code": "origin_not_allowed"}]


def test_sec_034_words_of_other_windows_are_nothing_to_page_and_frame(
    site: Site, chromium: Browser
) -> None:
    """A frame beside the widget speaks to both as if it were the other one."""
    page, given = site.open_own(chromium, [site.partner.token("ada")])
    frame = frame_of(page)
    height = page.locator("#largesse iframe").evaluate("frame => frame.style.height")
    page.evaluate(
        """() => new Promise(done => {
          addEventListener("message", event => { if (event.data === "said") done(); });
          const beside = document.createElement("iframe");
          beside.srcdoc = `<script>
            const mark = {largesse: 1};
            parent.postMessage({...mark, type: "height", height: 5000}, "*");
            parent.postMessage({...mark, type: "token-needed", ask: 9}, "*");
            parent.postMessage({...mark, type: "claimed", claim: {}}, "*");
            parent.frames[0].postMessage({...mark, type: "hello", theme: {"--largesse-scheme": "dark"}}, "*");
            parent.frames[0].postMessage({...mark, type: "theme", theme: {"--largesse-scheme": "dark"}}, "*");
            parent.postMessage("said", "*");
          </scr` + `ipt>`;
          document.body.append(beside);
        })"""
    )
    page.evaluate("fetch('/en')")
    after = page.locator("#largesse iframe").evaluate("frame => frame.style.height")
    events = [name for name, _detail in page.evaluate("heard")]
    scheme = frame.evaluate("document.documentElement.dataset.scheme ?? null")
    page.context.close()

    assert (after, scheme, events, len(given)) == (height, None, ["ready"], 1)


def test_who_asked_too_often_is_told_for_how_long_and_may_then_again(
    site: Site, chromium: Browser
) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.clock.install()
    page.goto(f"{site.url}/partner/")
    refusal = {"json": {"code": "rate_limited"}, "status": 429, "headers": {"Retry-After": "30"}}
    page.route("**/api/v1/available-coupons*", lambda route: route.fulfill(**refusal))
    sign_in(page, "Ada")
    expect(widget(page).get_by_text("Try again in 30 s.")).to_be_visible()
    again = widget(page).get_by_role("button", name="Try again")
    early = again.get_attribute("aria-disabled")
    page.unroute_all()
    page.clock.run_for(31_000)
    spoken(page, "You can try again now.")
    again.click()
    expect(widget(page).get_by_text("Choose one coupon this month.")).to_be_focused()
    page.context.close()

    assert early == "true"


def test_a_page_that_never_loaded_the_script_shows_nothing_of_anybody(
    site: Site, chromium: Browser
) -> None:
    """Opened by itself, the frame says that it belongs elsewhere, and asks the API for nothing."""
    page = chromium.new_page(locale="en-GB")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.address}/widget/{site.partner.id}")
    expect(page.get_by_role("heading", name="Not to be shown here")).to_be_visible()
    page.close()

    assert [url for url in asked if "/api/" in url] == []


def test_s0_019_a_coupon_that_was_taken_back_is_said_to_be(
    site: Site, chromium: Browser, app: Flask
) -> None:
    """Its code may be somebody else's by now, and is not shown; one that is void says so."""
    manager = signed_in(app, site.house, Role.CLIENT_ADMIN, site.seeded)
    kept, lost = (
        visit(app, site.partner, user).post("/claims", {}).json["coupon"]["code"]
        for user in ("ada", "ben")
    )
    assert act(manager, f"/coupons/{lost}/release", {"reason": "a mistake"}).status_code == 200
    assert act(manager, f"/coupons/{kept}/void", {"reason": "a mistake"}).status_code == 200

    page, _given = site.open_own(chromium, [site.partner.token("ben")])
    expect(widget(page).get_by_role("heading", name="Your coupon was taken back")).to_be_visible()
    shown = widget(page).locator("main").inner_text()
    page.context.close()
    page, _given = site.open_own(chromium, [site.partner.token("ada")])
    expect(
        widget(page).get_by_text("It is not good any more. Please ask this website.", exact=True)
    ).to_be_visible()
    page.context.close()

    assert lost not in shown
    assert "The next one from" in shown


def test_s0_024_a_coupon_that_the_shop_redeemed_is_said_to_be(
    site: Site, chromium: Browser, app: Flask
) -> None:
    """Its claimant still sees the code, and that it was used; nothing else is to be claimed."""
    page, _given = site.open_own(chromium, [site.partner.token("ada") for _ in range(2)])
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    note = widget(page).locator("#place [data-slot=note]")
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    expect(note).to_be_hidden()
    code = widget(page).locator("[data-slot=code]").inner_text()
    shop = key_caller(app, site.house, site.seeded.client_id)
    assert act(shop, f"/coupons/redeem/{code}").status_code == 202
    finish(site.house)

    page.reload()
    expect(note).to_have_text("It has been redeemed.")
    again = widget(page).locator("[data-slot=code]").inner_text()
    buttons = widget(page).get_by_role("button").all_inner_texts()
    page.context.close()

    assert again == code
    assert buttons == ["Copy the code"]
