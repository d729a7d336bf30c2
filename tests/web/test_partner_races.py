"""Whoever ends a partner's secrets or disables it, beside visits that open and claims that are made (EC-106, EC-113)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.errors import ValidationFailed
from pipelines.partners.claim import Asked, claim_coupon
from pipelines.partners.partners import change_partner
from pipelines.partners.secrets import rotate_secret
from pipelines.partners.sessions import Visitor, find_visitor
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.driving import rows
from tests.partnering import SITE, Partner, make_partner, present, visit
from tests.seeding import ACTOR, Seeded
from tests.until import until
from web import cross_origin

#: Somebody waits for a lock that another has.
WAITS = "SELECT FROM pg_locks WHERE NOT granted"


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 3)
    return book_id


@pytest.fixture
def partner(house: House, seeded: Seeded, book: UUID) -> Partner:
    return make_partner(house, seeded, book)


@contextmanager
def under_way(house: House, scope: Scope, work: Callable[[Session], object]) -> Iterator[None]:
    """Somebody's transaction that has done its work and commits when the block ends."""
    done, may_commit = Event(), Event()

    def run() -> None:
        with scoped_transaction(house.sessions, scope) as session:
            work(session)
            done.set()
            assert may_commit.wait(60)

    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(run)
        assert done.wait(60)
        yield
        may_commit.set()
        ran.result(timeout=60)


def compromise(session: Session, house: House, partner: Partner) -> None:
    rotate_secret(
        session,
        partner.id,
        overlap_seconds=0,
        actor_id=ACTOR,
        keyring=house.settings.keyring,
        now=clock.now(session),
    )


def disable(session: Session, partner: Partner) -> None:
    change_partner(
        session,
        partner.id,
        {"is_disabled": True},
        version=None,
        actor_id=ACTOR,
        anywhere=False,
        now=clock.now(session),
    )


@pytest.mark.parametrize("ends", ["its secrets", "the partner"])
def test_ec106_a_token_that_waited_for_the_end_of_its_secret_opens_nothing(
    app: Flask, house: House, seeded: Seeded, partner: Partner, ends: str
) -> None:
    token = partner.token()

    def end(session: Session) -> None:
        if ends == "its secrets":
            compromise(session, house, partner)
        else:
            disable(session, partner)

    with ThreadPoolExecutor(1) as pool:
        with under_way(house, client(seeded.client_id), end):
            answer = pool.submit(lambda: present(app, token))
            until(lambda: bool(rows(house, WAITS)))
        told = answer.result(timeout=60)

    assert (told.status_code, told.json["code"]) == (401, "invalid_token")
    assert rows(house, "SELECT count(*) AS n FROM widget_sessions")[0].n == 0


def visitor_of(house: House, bearer: str) -> Visitor:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        token = bearer.removeprefix("Bearer ")
        return find_visitor(session, token, None, now=clock.now(session))


@pytest.mark.parametrize("ends", ["its secrets", "the partner"])
def test_ec113_a_claim_that_began_before_its_visit_was_ended_takes_nothing(
    app: Flask, house: House, seeded: Seeded, partner: Partner, ends: str
) -> None:
    me = visitor_of(house, visit(app, partner).headers["Authorization"])
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        if ends == "its secrets":
            compromise(session, house, partner)
        else:
            disable(session, partner)

    with (
        pytest.raises(Exception, match="session_expired"),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        claim_coupon(session, me, Asked(), now=clock.now(session))

    assert rows(house, "SELECT count(*) AS n FROM claims")[0].n == 0


def test_s029_what_is_good_no_more_keeps_nobody_from_disabling_a_partner(
    house: House, seeded: Seeded, book: UUID
) -> None:
    partner = make_partner(house, seeded, book, origins=["http://shop.example"])

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        disable(session, partner)

    (kept,) = rows(house, "SELECT disabled_at IS NOT NULL AS is_off FROM partners")
    assert kept.is_off
    with (
        pytest.raises(ValidationFailed),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        change_partner(
            session,
            partner.id,
            {"origins": ["http://shop.example"]},
            version=None,
            actor_id=ACTOR,
            anywhere=False,
            now=clock.now(session),
        )


def test_a_visit_is_not_lost_while_somebody_edits_its_partner(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    edit = text("SELECT FROM partners FOR NO KEY UPDATE")

    with under_way(house, client(seeded.client_id), lambda session: session.execute(edit)):
        assert present(app, partner.token()).status_code == 201


def test_ec112_a_lost_answer_at_the_turn_of_a_month_is_told_again(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    me = visitor_of(house, visit(app, partner).headers["Authorization"])
    turn = datetime(2026, 12, 1, tzinfo=UTC)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        first = claim_coupon(session, me, Asked(), now=turn - timedelta(seconds=2))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        again = claim_coupon(session, me, Asked(), now=turn.replace(second=2))

    assert (again.claim_id, again.is_replay) == (first.claim_id, True)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        late = claim_coupon(session, me, Asked(), now=turn.replace(minute=20))
    assert late.claim_id != first.claim_id


def test_sec017_a_code_that_is_not_shown_is_not_opened(
    app: Flask, house: House, seeded: Seeded
) -> None:
    book = make_book(house, seeded, seals_codes=True)
    put_codes(house, seeded, book, 2, seals=True)
    partner = make_partner(house, seeded, book)
    me = visit(app, partner)
    who = visitor_of(house, me.headers["Authorization"])
    for month in (10, 11):
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            claim_coupon(session, who, Asked(), now=datetime(2026, month, 15, tzinfo=UTC))

    page = me.get("/claims?limit=1").json

    assert (len(page["data"]), page["has_more"]) == (1, True)
    opened = "SELECT count(*) AS n FROM audit_entries WHERE action = 'coupon.revealed'"
    assert rows(house, opened)[0].n == 1


def test_sec034_what_cannot_be_asked_is_not_allowed(
    app: Flask, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(cross_origin, "is_listed", away)

    answer = app.test_client().options(
        "/api/v1/claims", headers={"Origin": SITE, "Access-Control-Request-Method": "POST"}
    )

    assert answer.status_code == 204
    assert "Access-Control-Allow-Origin" not in answer.headers
