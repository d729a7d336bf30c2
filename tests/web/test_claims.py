"""Claims: one coupon a month for each user of a partner, never one twice (EC-108..112, S0-19..24)."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import act, finish, key, put_codes
from tests.driving import rows
from tests.later import later
from tests.partnering import Partner, make_partner, now_of, shown, told, visit
from tests.racing import race
from tests.seeding import Seeded
from tests.web.conftest import Caller
from web.app import create_app


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    return make_book(house, seeded)


@pytest.fixture
def partner(house: House, seeded: Seeded, book: UUID) -> Partner:
    return make_partner(house, seeded, book)


def state(house: House, coupon_id: str) -> str:
    found = rows(house, f"SELECT state FROM coupons WHERE id = '{coupon_id}'")
    return str(found[0].state)


def test_s036_a_claim_gives_the_code_for_good(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    codes = put_codes(house, seeded, book, 3)
    me = visit(app, partner)
    wanted = shown(me)[1]

    answer = me.post("/claims", {"coupon_id": wanted}, **key())

    assert answer.status_code == 201
    assert answer.json["coupon"]["id"] == wanted
    assert answer.json["coupon"]["code"] in codes
    assert answer.json["replayed"] is False
    assert state(house, wanted) == "assigned"
    told = rows(house, "SELECT move, user_id, actor_id FROM coupon_events")
    assert [(row.move, row.user_id == row.actor_id) for row in told] == [("assigned", True)]


def test_s022_the_list_has_coupons_without_codes_and_is_kept_by_nobody(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    codes = put_codes(house, seeded, book, 2)

    answer = visit(app, partner).get("/available-coupons")

    assert len(answer.json["data"]) == 2
    assert not any(code in answer.text for code in codes)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.json["claimed_this_month"] is False


def test_s023_s024_what_is_claimed_is_hidden_from_all_and_the_rest_from_who_claimed(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 3)
    me, other = visit(app, partner), visit(app, partner, "user-2")

    mine = me.post("/claims", {}).json

    after = me.get("/available-coupons").json
    assert (after["data"], after["claimed_this_month"]) == ([], True)
    assert after["coupon"]["code"] == mine["coupon"]["code"]
    assert after["claim"]["id"] == mine["claim"]["id"]
    assert mine["coupon"]["id"] not in shown(other)
    assert len(shown(other)) == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"expires_at": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
        {"closed_at": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
    ],
    ids=["expired", "closed"],
)
def test_ec111_a_book_that_is_over_offers_nothing(
    app: Flask, house: House, seeded: Seeded, columns: dict[str, Any]
) -> None:
    over = make_book(house, seeded, **columns)
    put_codes(house, seeded, over, 1)
    me = visit(app, make_partner(house, seeded, over))

    assert shown(me) == []
    assert told(me.post("/claims", {})) == (409, "coupon_unavailable")


def test_ec111_a_book_that_has_given_a_person_all_it_gives_one_is_not_offered_to_them(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    book = make_book(house, seeded, max_assignments_per_user=1)
    put_codes(house, seeded, book, 3)
    partner, another = (make_partner(house, seeded, book, name=name) for name in ("A", "B"))
    mine = visit(app, partner)
    (user,) = rows(house, "SELECT user_id FROM partner_users")
    given = {"book_id": str(book), "user_id": str(user.user_id)}
    assert act(manager, "/coupons/assign", given).status_code == 202
    finish(house)

    assert shown(mine) == []
    assert told(mine.post("/claims", {})) == (409, "coupon_unavailable")
    assert len(shown(visit(app, another))) == 2


def test_ec111_what_a_book_has_given_as_a_whole_is_not_offered(
    app: Flask, house: House, seeded: Seeded
) -> None:
    book = make_book(house, seeded, max_assignments=1)
    put_codes(house, seeded, book, 3)
    partner = make_partner(house, seeded, book)
    assert visit(app, partner, "first").post("/claims", {}).status_code == 201

    second = visit(app, partner, "second")

    assert shown(second) == []
    assert told(second.post("/claims", {})) == (409, "coupon_unavailable")


def test_ec111_a_claim_from_an_old_list_is_given_the_next_or_told_what_there_is(
    app: Flask, house: House, seeded: Seeded, partner: Partner, book: UUID
) -> None:
    put_codes(house, seeded, book, 2)
    me, other = visit(app, partner), visit(app, partner, "user-2")
    gone = shown(me)[0]
    assert other.post("/claims", {"coupon_id": gone}).status_code == 201

    answer = me.post("/claims", {"coupon_id": gone})

    assert answer.status_code == 201
    assert answer.json["coupon"]["id"] != gone


@pytest.mark.parametrize("wanted", ["another's", "nobody's"])
def test_ec111_a_coupon_of_nobody_or_of_another_partner_has_the_same_answer(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner, wanted: str
) -> None:
    put_codes(house, seeded, book, 1)
    foreign = make_book(house, seeded)
    put_codes(house, seeded, foreign, 1)
    (theirs,) = shown(visit(app, make_partner(house, seeded, foreign, name="Other")))
    me = visit(app, partner)

    answer = me.post("/claims", {"coupon_id": theirs if wanted == "another's" else str(uuid4())})

    assert told(answer) == (409, "coupon_unavailable")
    assert [one["id"] for one in answer.json["available"]] == shown(me)
    assert state(house, theirs) == "unassigned"


def test_ec108_the_second_claim_of_a_month_is_refused_and_takes_nothing(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 2)
    me = visit(app, partner)
    assert me.post("/claims", {}, **key()).status_code == 201

    answer = me.post("/claims", {}, **key())

    assert told(answer) == (409, "already_claimed_this_month")
    at = datetime.fromisoformat(answer.json["next_claim_at"])
    assert (at.day, at.hour, at.minute) == (1, 0, 0)
    assert rows(house, "SELECT count(*) AS n FROM coupons WHERE state = 'assigned'")[0].n == 1


def test_ec108_ten_claims_of_one_user_at_once_are_one(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 10)
    me = visit(app, partner)
    refused: list[tuple[int, str]] = []

    def claim() -> bool:
        answer = Caller(app.test_client(), me.headers).post("/claims", {}, **key())
        if answer.status_code != 201:
            refused.append(told(answer))
        return answer.status_code == 201

    assert race(10, claim) == 1
    assert refused == [(409, "already_claimed_this_month")] * 9
    assert rows(house, "SELECT count(*) AS n FROM coupons WHERE state = 'assigned'")[0].n == 1


@pytest.mark.parametrize("spare", [0, 1])
def test_ec110_two_users_and_one_coupon(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner, spare: int
) -> None:
    put_codes(house, seeded, book, 1 + spare)
    people = [visit(app, partner, name) for name in ("user-1", "user-2")]
    wanted = shown(people[0])[0]
    left = iter(people)

    def claim() -> bool:
        me = Caller(app.test_client(), next(left).headers)
        return me.post("/claims", {"coupon_id": wanted}, **key()).status_code == 201

    assert race(2, claim) == 1 + spare
    held = rows(house, "SELECT count(DISTINCT user_id) AS n FROM coupons WHERE user_id IS NOT NULL")
    assert held[0].n == 1 + spare
    # Who had nothing may still claim this month.
    assert rows(house, "SELECT count(*) AS n FROM claims")[0].n == 1 + spare


def test_ec110_twenty_users_and_five_coupons(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 5)
    people = iter([visit(app, partner, f"user-{number}") for number in range(20)])

    def claim() -> bool:
        me = Caller(app.test_client(), next(people).headers)
        return me.post("/claims", {}, **key()).status_code == 201

    assert race(20, claim) == 5
    assert rows(house, "SELECT count(DISTINCT coupon_id) AS n FROM claims")[0].n == 5


def test_ec112_the_same_key_is_the_same_coupon(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 2)
    me, name = visit(app, partner), key()
    first = me.post("/claims", {}, **name)

    again = me.post("/claims", {}, **name)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json | {"replayed": True}
    assert again.headers["Idempotent-Replayed"] == "true"


def test_ec112_without_a_key_the_same_again_within_ten_minutes_is_a_lost_answer(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 3)
    me = visit(app, partner)
    wanted, other = shown(me)[:2]
    first = me.post("/claims", {"coupon_id": wanted})

    again = me.post("/claims", {"coupon_id": wanted})

    assert (again.status_code, again.json["replayed"]) == (200, True)
    assert again.json["coupon"] == first.json["coupon"]
    assert told(me.post("/claims", {"coupon_id": other})) == (409, "already_claimed_this_month")
    with later(house, minutes=11) as then:
        late = Caller(create_app(then).test_client(), me.headers)
        answer = late.post("/claims", {"coupon_id": wanted})
        # A month may have turned in these minutes: then it is another claim, and no repeat either.
        is_next_month = now_of(then).month != now_of(house).month
        assert answer.status_code == (201 if is_next_month else 409)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Kolkata"])
def test_ec109_a_month_ends_at_the_partners_midnight(
    house: House, seeded: Seeded, book: UUID, zone: str
) -> None:
    put_codes(house, seeded, book, 2)
    partner = make_partner(house, seeded, book, time_zone=zone)
    me = visit(create_app(house), partner)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        ends = session.execute(
            text("""SELECT extract(epoch FROM (date_trunc('month', now() AT TIME ZONE :zone)
                        + interval '1 month') AT TIME ZONE :zone - now()) AS seconds"""),
            {"zone": zone},
        ).scalar_one()

    with later(house, seconds=float(ends) - 60) as before:
        last = Caller(create_app(before).test_client(), me.headers)
        lengthen(house)
        assert last.post("/claims", {}, **key()).status_code == 201
        assert told(last.post("/claims", {}, **key())) == (409, "already_claimed_this_month")
    with later(house, seconds=float(ends) + 60) as after:
        first = Caller(create_app(after).test_client(), me.headers)
        assert first.post("/claims", {}, **key()).status_code == 201
    months = [row.claim_month for row in rows(house, "SELECT claim_month FROM claims ORDER BY 1")]
    assert months[0].day == months[1].day == 1
    assert months[0] < months[1]


def lengthen(house: House) -> None:
    """A visit that lasts into the next month."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE widget_sessions SET expires_at = now() + interval '60 days'"))


def test_s019_a_claimed_coupon_that_came_back_is_never_claimed_again(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner, manager: Caller
) -> None:
    put_codes(house, seeded, book, 1)
    me = visit(app, partner)
    code = me.post("/claims", {}).json["coupon"]["code"]
    back = act(manager, f"/coupons/{code}/release", {"reason": "a mistake"})
    assert back.status_code == 200, back.text
    other = visit(app, partner, "user-2")

    assert shown(other) == []
    assert told(other.post("/claims", {})) == (409, "coupon_unavailable")
    # It is theirs no more, whoever has it next.
    mine = me.get("/available-coupons").json["coupon"]
    assert (mine["code"], mine["state"]) == (None, "withdrawn")
