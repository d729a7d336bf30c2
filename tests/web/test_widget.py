"""The widget's script and page: who may load them, who may show them, and in which words."""

import re
from collections.abc import Iterator
from dataclasses import fields
from uuid import UUID, uuid4

import pytest
from flask import Flask

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.partners.partners import change_partner
from pipelines.wiring import House
from tests.booking import make_book
from tests.conftest import Database, Ground, a_house
from tests.couponing import put_codes
from tests.partnering import make_partner, visit
from tests.seeding import ACTOR, Seeded
from web.app import create_app
from web.security_headers import CONTENT_SECURITY_POLICY
from web.widget.words import WORDS, Words, language_of

ORIGINS = ("https://shop.example", "http://127.0.0.1:8100")
NOBODY = "frame-ancestors 'none'"


def policy_of(app: Flask, partner_id: UUID) -> tuple[int, str, str]:
    """How the page answers: its status, its policy, and itself without the vendor's own facts."""
    answer = app.test_client().get(f"/widget/{partner_id}")
    text = re.sub(r'data-(vendor|origins)="[^"]*"', "", answer.text)
    return answer.status_code, answer.headers["Content-Security-Policy"], text


def test_ec114_only_the_vendors_own_origins_may_show_the_frame(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-114: the header is the list, and the page knows it for its messages."""
    partner = make_partner(house, seeded, origins=ORIGINS)

    answer = app.test_client().get(f"/widget/{partner.id}")

    policy = answer.headers["Content-Security-Policy"]
    listed = "frame-ancestors https://shop.example http://127.0.0.1:8100"
    assert policy == CONTENT_SECURITY_POLICY.replace(NOBODY, listed)
    assert 'data-origins="https://shop.example http://127.0.0.1:8100"' in answer.text
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "no-store"


def test_ec115_an_unknown_a_disabled_and_an_originless_vendor_are_one_page(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-115: nobody may show it, and nothing tells which of the three it is."""
    disabled = make_partner(house, seeded, origins=ORIGINS, name="Disabled")
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        change_partner(
            session,
            disabled.id,
            {"is_disabled": True},
            version=None,
            actor_id=ACTOR,
            anywhere=True,
            now=clock.now(session),
        )
    without = make_partner(house, seeded, origins=(), name="Without")

    answers = {policy_of(app, one) for one in (uuid4(), disabled.id, without.id)}

    ((status, policy, text),) = answers
    assert (status, policy) == (200, CONTENT_SECURITY_POLICY)
    assert NOBODY in policy
    assert policy_of(app, make_partner(house, seeded, origins=ORIGINS).id)[2] == text


def test_s0_035_any_page_may_load_the_script_and_keeps_it_for_a_while(app: Flask) -> None:
    asking = app.test_client()
    answer = asking.get("/widget.js", headers={"Origin": "https://shop.example"})
    tag = answer.headers["ETag"]

    again = asking.get("/widget.js", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.cache_control.max_age == 300
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_sec_034_no_word_is_sent_to_whoever_may_be_there(app: Flask) -> None:
    """A target origin stands in every message, and no text becomes markup."""
    scripts = {
        name: app.test_client().get(f"/static/widget/{name}").text
        for name in (
            "calls.js",
            "frame.js",
            "host.js",
            "parent.js",
            "session.js",
            "theme.js",
            "views.js",
            "visitor.js",
        )
    }
    banned = ('"*"', "innerHTML", "outerHTML", "insertAdjacent", "localStorage", "document.cookie")

    found = [(name, word) for name, text in scripts.items() for word in banned if word in text]

    assert found == []
    assert sum(text.count(".postMessage(") for text in scripts.values()) == 2


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("de", [], "de"),
        ("de-AT", ["en"], "de"),
        ("DE_ch", [], "de"),
        ("fr", ["fr-FR", "de"], "de"),
        ("fr", ["it"], "en"),
        ("", ["de-DE", "en"], "de"),
        ("<b>", [], "en"),
    ],
)
def test_the_page_speaks_the_language_that_is_asked_for_if_it_can(
    app: Flask, asked: str, accepted: list[str], language: str
) -> None:
    headers = {"Accept-Language": ", ".join(accepted)} if accepted else {}
    answer = app.test_client().get(
        f"/widget/{uuid4()}", query_string={"lang": asked}, headers=headers
    )

    assert language_of(asked, accepted) == language
    assert f'<html lang="{language}"' in answer.text
    assert WORDS[language].title in answer.text


@pytest.mark.parametrize("language", WORDS)
def test_no_text_is_missing_in_any_language(language: str) -> None:
    words = WORDS[language]

    empty = [one.name for one in fields(Words) if not getattr(words, one.name).strip()]
    assert empty == []
    assert "{seconds}" in words.limited_text


@pytest.fixture
def demo(ground: Ground, database: Database) -> Iterator[House]:
    told = {"LARGESSE_ENV": "demo", "DEMO_PARTNER_URL": "http://127.0.0.1:8100/partner/"}
    with a_house(ground, database, **told) as built:
        yield built


def test_a_demo_leads_to_the_shop_and_nothing_else_does(app: Flask, demo: House) -> None:
    led = create_app(demo).test_client().get("/demo/partner")

    assert (led.status_code, led.location) == (303, "http://127.0.0.1:8100/partner/")
    assert app.test_client().get("/demo/partner").status_code == 404


def test_only_a_demo_reads_where_the_shop_is(ground: Ground, database: Database) -> None:
    with a_house(ground, database, DEMO_PARTNER_URL="http://127.0.0.1:8100/partner/") as house:
        assert create_app(house).test_client().get("/demo/partner").status_code == 404


def test_ec111_one_coupon_of_each_offer_is_enough_to_choose_from(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-111: an offer of many coupons does not hide the next one, on a first page or a later one."""
    books = [make_book(house, seeded) for _ in range(3)]
    for book, count in zip(books, (3, 0, 2), strict=True):
        put_codes(house, seeded, book, count)
    me = visit(app, make_partner(house, seeded, *books))

    whole = me.get("/available-coupons?one_per_offer=true").json
    first = me.get("/available-coupons?one_per_offer=true&limit=1").json
    then = me.get(f"/available-coupons?one_per_offer=true&limit=1&cursor={first['next_cursor']}")

    titles = [[one["offer"]["title"] for one in page["data"]] for page in (whole, first, then.json)]
    assert titles == [["Offer 1", "Offer 3"], ["Offer 1"], ["Offer 3"]]
    assert [page["has_more"] for page in (whole, first, then.json)] == [False, True, False]
    assert len(me.get("/available-coupons").json["data"]) == 5
