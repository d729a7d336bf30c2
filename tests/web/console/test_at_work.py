"""A form that is sent while the same form is still at work claims nothing, and is no error (S4-061)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Event, Thread

from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.keys import RequestKey, first_result
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, visitor_of
from web.admission import intake_slot

WORDS = "It is being done"


@contextmanager
def at_work(house: House, path: str, name: str) -> Iterator[None]:
    """Another request of the same person and form that has not ended, and then does nothing."""
    (actor,) = rows(house, "SELECT id FROM users WHERE email LIKE 'platform%' LIMIT 1")
    called, taken, done = f"form:{path}:{name}", Event(), Event()
    key = RequestKey(actor.id, called, hashlib.sha256(called.encode()).digest())

    def hold() -> None:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            first_result(session, key)
            taken.set()
            done.wait(60)

    thread = Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_s4_061_the_second_of_two_clicks_is_told_to_look_again_and_claims_nothing(
    app: Flask, house: House, seeded: Seeded
) -> None:
    visitor = visitor_of(app, house, Role.PLATFORM_ADMIN)
    brand, campaign = (
        f"/console/brands/{seeded.brand_id}",
        f"/console/campaigns/{seeded.campaign_id}",
    )
    floor = visitor.send(f"{brand}/floor", floor="0.50").text
    settings = visitor.get(f"{campaign}/settings").text
    version = {"name": "Autumn", "time_zone": "UTC"}
    new = {"name": "Spring", "time_zone": "", "client_id": str(seeded.client_id)}
    forms = (
        (f"{brand}/floor", floor, {"reason": "Margin"}, brand),
        (f"{campaign}/settings", settings, version, campaign),
        ("/console/campaigns/new", visitor.get("/console/campaigns/new").text, new, "/campaigns"),
    )

    for path, page, fields, place in forms:
        hidden = dict(HIDDEN.findall(page.rpartition("<form")[2]))
        with at_work(house, path, hidden["form_name"]):
            sent = visitor.client.post(path, data=hidden | fields, headers=SAME_ORIGIN)
        told = visitor.get(sent.headers["Location"])

        assert (sent.status_code, told.status_code) == (303, 200), path
        assert place in sent.headers["Location"]
        assert WORDS in told.text
        assert 'class="notice good"' not in told.text
    assert WORDS not in visitor.get(brand).text
    (found,) = rows(
        house,
        "SELECT (SELECT min_margin_minor FROM brands) AS floor, "
        "(SELECT count(*) FROM campaigns WHERE name IN ('Spring', 'Autumn')) AS campaigns",
    )
    assert (found.floor, found.campaigns) == (0, 0)


def test_a_file_that_is_sent_while_another_is_taken_in_keeps_what_was_typed(
    app: Flask, house: House, seeded: Seeded
) -> None:
    visitor = visitor_of(app, house, Role.PLATFORM_ADMIN)
    day = "2026-01-31"
    forms: tuple[tuple[str, str, dict[str, str], str], ...] = (
        ("/console/balance-sheets", "/console/balance-sheets", {"reason": "Begun"}, "Begun"),
        ("/console/vendors/reloadly/statements", "/console/vendors/reloadly", {"day": day}, day),
    )

    with intake_slot():
        for path, shown_at, fields, kept in forms:
            busy = visitor.send(path, shown_at, file=(BytesIO(b"a,b\n1,2\n"), "a.csv"), **fields)

            assert busy.status_code == 503, path
            assert int(busy.headers["Retry-After"]) > 0
            assert f'value="{kept}"' in busy.text
            at_field = busy.text.partition('id="file-wrong"')[2].partition("</span>")[0]
            assert "Another file is being taken in" in at_field
