"""Why discount codes were refused: counted beside the requests, told with their analytics (S2-062, S2-064)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from models import clock
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.people import Role
from models.scope import SYSTEM
from pipelines.boot import make_heartbeat
from pipelines.discounts.refused import (
    KEPT_DAYS,
    RefusedFor,
    Times,
    add_refusals,
    forget_refusals,
    refused_for,
)
from pipelines.queue.processes import Tally
from pipelines.wiring import House
from tests.discounting import asked, cart, make_discount, tried_by_another
from tests.driving import change, rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.until import until
from tests.web.conftest import Caller
from tests.web.console.conftest import Visitor, visitor_of
from web.app import create_app
from web.refusals import RefusalTally, refusals_of

#: Nobody listens there.
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/none"
LOOK = "subtotal_minor=10000&currency=USD"


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded) -> Caller:
    """A storefront with a key for discount codes."""
    return key_caller(app, house, seeded.client_id)


def write(house: House, app: Flask) -> None:
    """What the front does with its beat."""
    refusals_of(app).write(house.sessions)


def counted(house: House) -> dict[tuple[str | None, str], tuple[int, int]]:
    """By code and reason: when it was applied, when it was asked about."""
    found = rows(
        house,
        "SELECT c.code, r.reason, sum(r.applied) AS applied, sum(r.validated) AS validated "
        "FROM discount_refusals r LEFT JOIN discount_codes c ON c.id = r.code_id GROUP BY 1, 2",
    )
    return {(row.code, row.reason): (row.applied, row.validated) for row in found}


def test_s2_062_each_refusal_of_a_code_is_counted_by_its_reason(
    app: Flask, house: House, seeded: Seeded, shop: Caller
) -> None:
    make_discount(house, seeded, "BIG10", min_subtotal_minor=50_000, currency="USD")
    make_discount(house, seeded, "ONCE10", max_uses=1)
    tried_by_another(house, seeded)
    answers = [
        shop.post("/discounts/apply", asked(code)).json.get("code", "taken")
        for code in ("BIG10", "big10", "ONCE10", "ONCE10", "HERS", "NOBODYS", "?")
    ]
    looked = [
        shop.get(f"/discounts/validate?code={code}&{LOOK}").json["reason"]
        for code in ("BIG10", "ONCE10", "NOBODYS")
    ]
    assert rows(house, "SELECT 1 FROM discount_refusals") == []

    write(house, app)
    write(house, app)

    assert answers == [
        *("min_order_not_met", "min_order_not_met", "taken", "slot_exhausted"),
        *("code_invalid", "code_invalid", "code_invalid"),
    ]
    assert looked == ["min_order_not_met", "slot_exhausted", "code_invalid"]
    assert counted(house) == {
        ("BIG10", "min_order_not_met"): (2, 1),
        ("ONCE10", "slot_exhausted"): (1, 1),
        ("HERS", "code_invalid"): (1, 0),
        (None, "code_invalid"): (2, 1),
    }


def test_s2_062_what_says_nothing_of_a_code_is_not_counted(
    app: Flask, house: House, seeded: Seeded, shop: Caller
) -> None:
    """Good codes, carts that have theirs, wrong bodies; and strangers, who could count what they like."""
    make_discount(house, seeded)
    body = asked(cart=cart(reference="cart-1"))
    shop.post("/discounts/apply", body)
    shop.post("/discounts/apply", body)
    shop.post("/discounts/apply", body | {"customer": {}})
    shop.get(f"/discounts/validate?code=SAVE10&{LOOK}")
    app.test_client().get(
        f"/api/v1/public/discounts/validate?client_id={seeded.client_id}&code=NOBODYS&{LOOK}"
    )

    write(house, app)

    assert counted(house) == {}


def test_s2_064_analytics_tell_why_codes_were_refused_of_one_and_of_all(
    app: Flask, house: House, seeded: Seeded, shop: Caller, manager: Caller
) -> None:
    big = make_discount(house, seeded, "BIG10", min_subtotal_minor=50_000, currency="USD")
    make_discount(house, seeded, "PAUSED")
    change(house, "UPDATE discount_codes SET state = 'paused' WHERE code = 'PAUSED'")
    other = seed(house, vendor=False)
    for code in ("BIG10", "BIG10", "PAUSED"):
        shop.post("/discounts/apply", asked(code))
    key_caller(app, house, other.client_id).post("/discounts/apply", asked("BIG10"))
    write(house, app)

    one = manager.get(f"/discounts/{big}/analytics").json
    every = manager.get("/discounts/analytics").json
    earlier = manager.get("/discounts/analytics?from=2025-01-01&to=2025-01-31").json
    theirs = manager.get(f"/discounts/analytics?client_id={other.client_id}")

    few = {"reason": "min_order_not_met", "applied": 2, "validated": 0}
    assert one["refused"] == [few]
    assert every["refused"] == [few, {"reason": "code_inactive", "applied": 1, "validated": 0}]
    assert earlier["refused"] == []
    assert theirs.status_code == 404
    assert every["totals"]["made"] == 0


def test_s2_064_the_console_says_the_reasons_in_words(
    app: Flask, house: House, seeded: Seeded, shop: Caller
) -> None:
    big = make_discount(house, seeded, "BIG10", min_subtotal_minor=50_000, currency="USD")
    shop.post("/discounts/apply", asked("BIG10"))
    shop.post("/discounts/apply", asked("NOBODYS"))
    write(house, app)
    mia: Visitor = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    one = mia.get(f"/console/discounts/{big}/analytics").text
    every = mia.get("/console/discounts/analytics").text

    assert "The cart cost too little" in one
    assert "No such code" not in one
    assert "No such code, or somebody else’s" in every
    assert (
        "Nothing was refused"
        in mia.get("/console/discounts/analytics?from=2025-01-01&to=2025-01-31").text
    )


def test_s2_064_fronts_add_to_one_sum_by_quarters_of_an_hour(house: House, seeded: Seeded) -> None:
    """So that days of every time zone are whole: in Kathmandu one begins at a quarter past six."""
    code_id = make_discount(house, seeded)
    what = RefusedFor(seeded.client_id, "SAVE10", "already_used")
    nobody = RefusedFor(UUID(int=7), "SAVE10", "already_used")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session).replace(hour=18, minute=14, second=59)
        add_refusals(session, {what: Times(1, 0), nobody: Times(9, 9)}, now=now)
        add_refusals(session, {what: Times(2, 5)}, now=now)
        add_refusals(session, {what: Times(4, 0)}, now=now + timedelta(seconds=1))
        before = refused_for(session, _bounds(now, 18 * 60, 18 * 60 + 15), code_id=code_id)
        after = refused_for(session, _bounds(now, 18 * 60 + 15, 24 * 60), code_id=code_id)

    assert [(one.applied, one.validated) for one in before] == [(3, 5)]
    assert [(one.applied, one.validated) for one in after] == [(4, 0)]
    assert len(rows(house, "SELECT 1 FROM discount_refusals")) == 2


def _bounds(now: Any, first: int, last: int) -> dict[str, Any]:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {"begins": day + timedelta(minutes=first), "ends": day + timedelta(minutes=last)}


def test_s2_064_a_guesser_of_codes_fills_no_memory(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound refusals are counted for their client, and no more by their code."""
    monkeypatch.setattr("web.refusals.KEPT_APART_MAX", 3)
    make_discount(house, seeded)
    tally = RefusalTally()
    for code in ("GUESS-1", "GUESS-2", "GUESS-3", "SAVE10", "GUESS-1", "GUESS-4"):
        tally.count(RefusedFor(seeded.client_id, code, "code_invalid"), Times(applied=1))

    tally.write(house.sessions)

    assert counted(house) == {(None, "code_invalid"): (6, 0)}


def test_s2_064_what_cannot_be_written_is_counted_on(house: House, seeded: Seeded) -> None:
    tally = RefusalTally()
    what = RefusedFor(seeded.client_id, None, "code_invalid")
    tally.count(what, Times(applied=1))
    away = sessions_of(create_database_engine(NOWHERE, pool_size=1))
    with pytest.raises(OperationalError):
        tally.write(away)
    tally.count(what, Times(applied=1))

    tally.write(house.sessions)

    assert counted(house) == {(None, "code_invalid"): (2, 0)}


def test_s2_064_a_front_writes_what_it_counted_with_its_beat(house: House, seeded: Seeded) -> None:
    """Also when it ends."""
    app = create_app(house)
    shop = key_caller(app, house, seeded.client_id)
    heart = make_heartbeat(house, "web", Tally(), beside=refusals_of(app).write)
    shop.post("/discounts/apply", asked("NOBODYS"))

    heart.start()
    until(lambda: counted(house) == {(None, "code_invalid"): (1, 0)})
    shop.post("/discounts/apply", asked("NOBODYS"))
    heart.stop()
    until(lambda: counted(house) == {(None, "code_invalid"): (2, 0)})


def test_s2_064_what_no_period_has_any_more_is_forgotten(house: House, seeded: Seeded) -> None:
    what = {RefusedFor(seeded.client_id, None, "code_invalid"): Times(applied=1)}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        add_refusals(session, what, now=now - timedelta(days=KEPT_DAYS + 1))
        add_refusals(session, what, now=now - timedelta(days=KEPT_DAYS - 1))

        is_full = forget_refusals(session, now)

    assert not is_full
    assert len(rows(house, "SELECT 1 FROM discount_refusals")) == 1
