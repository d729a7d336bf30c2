"""Partners at the console: listed, made, changed, disabled and enabled (S0-33, S0-29)."""

import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.partners.partners import PARTNERS_MAX
from pipelines.partners.rules import OFFERS_MAX
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.driving import rows
from tests.partnering import SITE, make_partner, present, visit
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.partner_visits import HOME, NEW, actions, form_of, home_of, only, post

TYPED = {"name": "Corner shop", "time_zone": "Europe/Vienna", "origins": f"{SITE}\r\n"}


def offer(number: int, book: object, title: str, **more: object) -> dict[str, object]:
    """A row of the form as it is filled in."""
    row = {"book": str(book), "title": title, "place": str(number)} | more
    return {f"offer_{number}_{name}": value for name, value in row.items()}


def offers(house: House) -> list[tuple[object, ...]]:
    found = rows(
        house,
        "SELECT book_id, title, description FROM partner_offers WHERE ended_at IS NULL ORDER BY place",
    )
    return [tuple(row) for row in found]


def test_s033_a_partner_is_made_once_however_often_the_form_is_sent(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    first, second = (make_book(house, seeded, name=f"Book {n}") for n in range(2))
    assert "No partner yet" in bob.get(HOME).text
    form = (
        form_of(bob, NEW)
        | TYPED
        | offer(1, first, "Ten off")
        | offer(2, second, "A gift", place="1", description="With tea")
    )

    made, again = (post(bob, NEW, form) for _ in range(2))

    row = only(house)
    assert made.headers["Location"] == f"{HOME}/{row.id}?done=created"
    assert again.headers["Location"] == made.headers["Location"]
    assert (row.name, row.time_zone, row.origins) == ("Corner shop", "Europe/Vienna", [SITE])
    assert row.client_id == seeded.client_id
    assert offers(house) == [(second, "A gift", "With tea"), (first, "Ten off", "")]
    page = bob.get(made.headers["Location"]).text
    for words in (
        str(row.id),
        SITE,
        "Europe/Vienna",
        "A gift",
        "With tea",
        "Book 1",
        "There is none",
    ):
        assert words in page
    assert "Generate its secret next" in page
    assert f"object_id={row.id}" in page


def test_s033_the_list_says_what_each_does_and_is_narrowed_by_its_address(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 2)
    busy = make_partner(house, seeded, book, name="Corner shop")
    off = make_partner(house, seeded, name="100% books")
    visit(app, busy).post("/claims", {})
    bob.send(f"{home_of(off)}/disable", reason="It closed")

    every = bob.get(HOME).text
    assert ("Corner shop" in every, "100% books" in every) == (True, True)
    assert '<td data-label="Claims this month" class="number">1</td>' in every
    assert str(busy.id) in every
    for query, shown in (
        ("?find=shop", "Corner shop"),
        ("?find=100%25", "100% books"),
        ("?state=disabled", "100% books"),
        ("?state=active", "Corner shop"),
    ):
        found = bob.get(HOME + query).text
        assert [name for name in ("Corner shop", "100% books") if f">{name}</a>" in found] == [
            shown
        ]
    nothing = bob.get(f"{HOME}?find=nobody").text
    assert "No partner is like this" in nothing
    assert "Clear the filter" in nothing


def test_the_list_goes_on_where_a_page_ends(house: House, seeded: Seeded, bob: Visitor) -> None:
    for number in range(51):
        make_partner(house, seeded, name=f"Shop {number:02}")

    first = bob.get(HOME).text
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = bob.get(older).text

    assert (">Shop 50</a>" in first, ">Shop 00</a>" in first) == (True, False)
    assert (">Shop 50</a>" in second, ">Shop 00</a>" in second) == (False, True)
    assert "Newest partners" in second


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": ""}, "name", "The text is empty."),
        ({"name": "x" * 201}, "name", "The text is too long."),
        ({"name": "a\x07b"}, "name", "control characters"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "IANA name"),
        ({"origins": f"{SITE}\nhttps://x.example/a"}, "origins", "Site 2:"),
        (
            {"origins": "\n".join(f"https://s{n}.example" for n in range(21))},
            "origins",
            "At most 20",
        ),
        ({"offer_1_title": "Ten off"}, "offer_1_book", "Choose the book"),
        ({"offer_3_book": "7"}, "offer_1_book", "Choose the book"),
        (
            {"offer_1_book": "00000000-0000-0000-0000-000000000007", "offer_1_title": "x"},
            "offer_1_book",
            "no such book",
        ),
        (
            {"offer_1_book": "00000000-0000-0000-0000-000000000007"},
            "offer_1_title",
            "The text is empty.",
        ),
    ],
)
def test_what_is_wrong_with_a_partner_is_said_at_its_field_and_nothing_is_made(
    house: House, bob: Visitor, typed: dict[str, str], field: str, words: str
) -> None:
    answer = bob.send(NEW, **(TYPED | typed))

    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert words in answer.text.partition(f'id="{field}-wrong"')[2].partition("</span>")[0]
    assert f'id="{field}"' in answer.text
    assert 'value="Europe/Vienna"' in answer.text or "time_zone" in typed
    assert rows(house, "SELECT 1 FROM partners") == []


def test_a_book_is_offered_once_and_the_rows_stay_as_they_were_typed(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    book = make_book(house, seeded, name="Spring")

    answer = bob.send(NEW, **TYPED, **offer(1, book, "One"), **offer(2, book, "Two"))

    assert answer.status_code == 422
    assert "offered already" in answer.text.partition('id="offer_2_book-wrong"')[2][:80]
    assert answer.text.count(f'value="{book}" selected') == 2
    assert 'name="offer_2_title" value="Two"' in answer.text


def test_the_form_has_empty_lines_until_there_are_as_many_offers_as_may_be(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    books = [make_book(house, seeded, name=f"Book {n}") for n in range(OFFERS_MAX)]
    partner = make_partner(house, seeded, *books)

    assert 'id="offer_3_book"' in bob.get(NEW).text
    assert 'id="offer_4_book"' not in bob.get(NEW).text
    edit = bob.get(f"{home_of(partner)}/edit").text
    assert f'id="offer_{OFFERS_MAX}_book"' in edit
    assert f'id="offer_{OFFERS_MAX + 1}_book"' not in edit


def test_a_change_moves_takes_off_and_renames_offers(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    books = [make_book(house, seeded, name=f"Book {n}") for n in range(3)]
    partner = make_partner(house, seeded, *books)
    path = f"{home_of(partner)}/edit"
    kept = rows(house, "SELECT book_id, id FROM partner_offers")

    form = form_of(bob, path) | TYPED
    form |= offer(1, books[0], "Offer 1", place="3") | offer(2, books[1], "Offer 2", off="1")
    form |= offer(3, books[2], "Third", place="1")
    saved = post(bob, path, form)

    assert saved.headers["Location"] == f"{home_of(partner)}?done=changed"
    assert offers(house) == [(books[2], "Third", ""), (books[0], "Offer 1", "")]
    assert set(rows(house, "SELECT book_id, id FROM partner_offers")) == set(kept)
    assert "The partner is changed." in bob.get(saved.headers["Location"]).text


def test_a_stale_change_writes_nothing_and_keeps_what_was_typed(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    book = make_book(house, seeded, name="Spring")
    partner = make_partner(house, seeded, book)
    path = f"{home_of(partner)}/edit"
    shown = {"name": "Shop", "time_zone": "UTC", "origins": SITE} | offer(1, book, "Offer 1")
    first, second = (form_of(bob, path) | shown for _ in range(2))

    assert post(bob, path, first | {"time_zone": "Asia/Tokyo"}).status_code == 303
    stale = post(bob, path, second | {"name": "Mine"})

    assert stale.status_code == 409
    assert "somebody changed the partner meanwhile" in stale.text
    assert 'name="name" value="Mine"' in stale.text
    assert 'name="time_zone" value="Asia/Tokyo"' in stale.text
    assert 'name="offer_1_title" value="Offer 1"' in stale.text
    assert only(house).name == "Shop"


def test_who_sees_several_clients_names_one_and_offers_its_books(
    app: Flask, house: House, seeded: Seeded
) -> None:
    root, other = visitor_of(app, house, Role.PLATFORM_ADMIN), seed(house, vendor=False)
    book = make_book(house, other, name="Of the other")
    form = root.get(NEW).text
    assert "<optgroup label=" in form
    assert "Of the other (open)" in form

    none = root.send(NEW, **TYPED)
    wrong = root.send(NEW, **TYPED, client_id=str(seeded.client_id), **offer(1, book, "x"))
    made = root.send(NEW, **TYPED, client_id=str(other.client_id), **offer(1, book, "x"))

    assert (none.status_code, '<a href="#client_id">' in none.text) == (422, True)
    assert (wrong.status_code, "no such book" in wrong.text) == (422, True)
    assert made.status_code == 303
    assert only(house).client_id == other.client_id


def test_a_client_has_so_many_partners_and_no_more(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    make_partner(house, seeded)
    more = text(
        "INSERT INTO partners (id, agency_id, client_id, name, time_zone, created_by) "
        "SELECT gen_random_uuid(), agency_id, client_id, name, time_zone, created_by FROM partners, "
        "generate_series(2, :n)"
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(more, {"n": PARTNERS_MAX})

    answer = bob.send(NEW, **TYPED)

    assert (answer.status_code, f"{PARTNERS_MAX} partners already" in answer.text) == (422, True)


def test_ec113_disabling_says_what_it_ends_and_asks_why(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    """EC-113"""
    partner = make_partner(house, seeded)
    caller = visit(app, partner)
    path = f"{home_of(partner)}/disable"

    question = bob.get(path).text
    without = bob.send(path)
    assert "Disable, and end 1 visit" in question
    assert (without.status_code, caller.get("/claims").status_code) == (422, 200)

    done = bob.send(path, reason="They do not pay")
    assert done.headers["Location"] == f"{home_of(partner)}?done=disabled"
    assert caller.get("/claims").status_code == 401
    assert present(app, partner.token()).status_code == 401
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'partner.disabled'")
    assert entry.detail == {"visits_ended": 1, "reason": "They do not pay"}

    form = form_of(bob, home_of(partner))
    enabled, again = (post(bob, f"{home_of(partner)}/enable", form) for _ in range(2))
    assert (enabled.status_code, again.status_code) == (303, 303)
    assert caller.get("/claims").status_code == 401
    assert present(app, partner.token()).status_code == 201
    assert actions(house).count("partner.enabled") == 1


def test_sec09_who_may_only_look_sees_no_button_and_others_nothing(
    app: Flask, house: House, seeded: Seeded
) -> None:
    partner = make_partner(house, seeded)
    manager = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)
    stranger = visitor_of(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    user = visitor_of(app, house, Role.END_USER)

    page = manager.get(home_of(partner)).text
    assert "<form" not in page.partition("<main")[2]
    assert "Only administrators change partners" in page
    assert "Generate" not in page
    assert "New partner" not in manager.get(HOME).text
    for path in ("new", f"{partner.id}/edit", f"{partner.id}/secret", f"{partner.id}/check-token"):
        assert manager.get(f"{HOME}/{path}").status_code == 403
    for path in ("", "/claims", "/embed", "/claims.csv", "/secret", "/edit"):
        assert stranger.get(home_of(partner) + path).status_code == 404
    assert user.get(HOME).status_code == 403
    assert 'href="/console/partners"' in manager.get("/console/").text
    assert 'href="/console/partners"' not in user.get("/console/my/coupons").text
