"""Many at the same moment: one redemption, one holder, and no more than a limit (EC-085, EC-088..090)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from models import clock
from models.books import CouponState
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.people import Role
from models.scope import client
from pipelines.books.change import change_book
from pipelines.wiring import House, build_handlers
from tests.booking import make_book
from tests.couponing import (
    act,
    coupon_in,
    events,
    finish,
    id_of,
    key,
    other_person,
    put_codes,
    state_of,
)
from tests.driving import hasten, rows
from tests.seeding import ACTOR, Seeded
from tests.until import until
from tests.web.conftest import Caller, signed_in
from workers.wrapper import Wrapper

S = CouponState
#: Somebody waits for a row that another has.
WAITS = "SELECT FROM pg_locks WHERE NOT granted"


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


def at_once(app: Flask, caller: Caller, asked: list[tuple[str, Any]]) -> list[Any]:
    """Everybody asks at the same moment, each with a client and a key of their own."""
    start = Barrier(len(asked))

    def ask(what: tuple[str, Any]) -> Any:
        mine = Caller(app.test_client(), caller.headers)
        start.wait(timeout=60)
        return mine.post(*what, **key())

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


@pytest.fixture
def wide_house(house: House) -> Iterator[House]:
    """The same house with a connection for each of many workers."""
    engine = create_database_engine(house.settings.database_url, pool_size=20)
    yield replace(house, sessions=sessions_of(engine))
    engine.dispose()


def work_at_once(house: House, threads: int = 8) -> None:
    """As many workers as threads do what is due, until nothing is."""
    hasten(house)
    due = [row.id for row in rows(house, "SELECT id FROM tasks ORDER BY id")]
    wrapper = Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda task: wrapper.run(task, 1), due))
    finish(house)


def endings(house: House) -> Counter[tuple[str, str | None]]:
    return Counter((row.state, row.code) for row in rows(house, "SELECT state, code FROM items"))


def advisory_locks(house: House) -> int:
    (row,) = rows(
        house,
        "SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE locktype = 'advisory' AND datname = current_database()",
    )
    return int(row.n)


def test_ec085_of_twenty_redemptions_at_once_one_is_accepted(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    """S3-083, S1-066: the others hear "Concurrent redemption detected"; one history row, no lock left."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))

    answers = at_once(app, ann, [(f"/coupons/redeem/{code}", {})] * 20)
    finish(house)

    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 19}
    refused = {
        (answer.json["code"], answer.json["detail"])
        for answer in answers
        if answer.status_code == 409
    }
    assert refused == {("concurrent_redemption", "Concurrent redemption detected")}
    assert (state_of(house, code), events(house, code)) == ("redeemed", ["assigned", "redeemed"])
    assert [rows(house, "SELECT FROM open_redemptions"), advisory_locks(house)] == [[], 0]


def test_ec085_who_comes_after_the_end_hears_that_it_is_over(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    """EC-085: `concurrent_redemption` while one is open, `terminal_state` after."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    first = act(ann, f"/coupons/redeem/{code}")
    beside = act(ann, f"/coupons/redeem/{code}")
    finish(house)

    after = act(ann, f"/coupons/redeem/{code}")

    told = [answer.json.get("code") for answer in (first, beside, after)]
    assert told == [None, "concurrent_redemption", "terminal_state"]
    assert len(rows(house, "SELECT FROM jobs")) == 1


def test_ec085_redemptions_worked_on_at_once_redeem_once(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    """Were several accepted after all, the workers' own lock and the version decide."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    for _ in range(8):
        assert act(ann, f"/coupons/redeem/{code}").status_code == 202
        rows(house, "DELETE FROM open_redemptions RETURNING 1")

    work_at_once(house)

    ends = endings(house)
    assert ends.pop(("succeeded", None)) == 1
    assert {code for _state, code in ends} <= {"concurrent_redemption", "terminal_state"}
    assert sum(ends.values()) == 7
    assert events(house, code) == ["assigned", "redeemed"]
    assert advisory_locks(house) == 0


def test_ec091_a_coupon_with_three_redemptions_has_no_fourth_however_many_ask(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    """Were all of them accepted at once: what succeeded is what was counted, and no more."""
    rules = {"allow_multi_redemption": True, "max_redemptions_per_coupon": 3}
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann), **rules)
    for _ in range(12):
        assert act(ann, f"/coupons/redeem/{code}").status_code == 202
        rows(house, "DELETE FROM open_redemptions RETURNING 1")

    work_at_once(house)

    done = endings(house)["succeeded", None]
    (found,) = rows(house, "SELECT redemptions, state, version FROM coupons")
    assert 0 < done <= 3
    assert (found.redemptions, found.version) == (done, done + 1)
    assert events(house, code) == ["assigned", *["redeemed"] * done]
    assert found.state == ("redeemed" if done == 3 else "assigned")


def test_ec090_of_twenty_assignments_to_one_person_five_succeed(
    house: House, seeded: Seeded, manager: Caller
) -> None:
    """EC-090, S3-084: race(20), max 5; the refused say so in the notes' words."""
    book_id = make_book(house, seeded, max_assignments_per_user=5)
    put_codes(house, seeded, book_id, 30)
    person = other_person(house, seeded)
    asked = {"book_id": str(book_id), "user_id": str(person)}
    for _ in range(20):
        assert act(manager, "/coupons/assign", asked).status_code == 202

    work_at_once(house)

    assert endings(house) == {("succeeded", None): 5, ("failed", "user_limit_reached"): 15}
    words = {row.detail for row in rows(house, "SELECT detail FROM items WHERE state = 'failed'")}
    assert words == {"Maximum assignments exceeded (5/5)"}
    (held,) = rows(house, "SELECT count(*) AS n FROM coupons WHERE user_id = :user", user=person)
    (counted,) = rows(house, "SELECT assigned FROM coupon_counts")
    assert (held.n, counted.assigned) == (5, 5)


def test_s1_010_of_twenty_assignments_a_limited_book_gives_seven(
    house: House, seeded: Seeded, manager: Caller
) -> None:
    """Different people wait for the book's one count, and none gets beyond it."""
    book_id = make_book(house, seeded, max_assignments=7, max_assignments_per_user=2)
    put_codes(house, seeded, book_id, 30)
    people = [other_person(house, seeded, f"p{n}") for n in range(10)]
    for person in people * 2:
        asked = {"book_id": str(book_id), "user_id": str(person)}
        assert act(manager, "/coupons/assign", asked).status_code == 202

    work_at_once(house)

    assert endings(house) == {("succeeded", None): 7, ("failed", "book_limit_reached"): 13}
    counted = rows(house, "SELECT user_id, assigned FROM coupon_counts WHERE assigned > 0")
    assert sum(row.assigned for row in counted) == 14  # the people's seven, and the book's


def test_ec089_a_certain_code_goes_to_one_of_those_who_ask_at_once(
    house: House, seeded: Seeded, manager: Caller
) -> None:
    """EC-089: everybody else hears that it is not available."""
    book_id = make_book(house, seeded)
    (code,) = put_codes(house, seeded, book_id, 1)
    for number in range(8):
        whom = {"user_id": str(other_person(house, seeded, f"p{number}"))}
        assert act(manager, f"/coupons/assign/{code}", whom).status_code == 202

    work_at_once(house)

    assert endings(house) == {("succeeded", None): 1, ("failed", "coupon_not_available"): 7}
    assert events(house, code) == ["assigned"]
    assert advisory_locks(house) == 0


def test_ec089_an_item_that_is_delivered_again_keeps_its_coupon(
    house: House, seeded: Seeded, manager: Caller
) -> None:
    """EC-089: taken by this very item is no refusal; the same result, once."""
    book_id = make_book(house, seeded)
    (code, _spare) = put_codes(house, seeded, book_id, 2)
    whom = {"user_id": str(other_person(house, seeded))}
    job_id = act(manager, f"/coupons/assign/{code}", whom).json["id"]
    (task,) = rows(house, "SELECT * FROM tasks")
    finish(house)
    before = manager.get(f"/jobs/{job_id}").json

    again = dict(task._mapping) | {"args": f'{{"job_id": "{job_id}", "chunk": 1}}'}
    copy = (
        "INSERT INTO tasks (id, kind, args, queue, lane, job_id, tenant_id, run_after, v) VALUES "
    )
    copy += "(:id, :kind, CAST(:args AS jsonb), :queue, :lane, :job_id, :tenant_id, now(), :v)"
    rows(house, copy + " RETURNING 1", **again)
    finish(house)

    after = manager.get(f"/jobs/{job_id}").json
    assert (after["state"], after["result"]) == ("succeeded", before["result"])
    assert events(house, code) == ["assigned"]
    assert rows(house, "SELECT FROM tasks") == []


@pytest.mark.parametrize("verb", ["assign", "redeem", "release", "void"])
def test_ec025_who_acts_while_counting_begins_is_counted(
    wide_house: House, seeded: Seeded, ann: Caller, manager: Caller, verb: str
) -> None:
    """A limit is set on a book in use: the rules are read when its counts are there, not before."""
    house = wide_house
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    (book,) = rows(house, "SELECT id FROM books")
    put_codes(house, seeded, book.id, 1)
    whom = {"book_id": str(book.id), "user_id": str(id_of(ann))}
    path = f"/coupons/{code}/{verb}" if verb in {"release", "void"} else f"/coupons/redeem/{code}"
    asked = ("/coupons/assign", whom) if verb == "assign" else (path, {})

    def ask_and_finish() -> Any:
        answer = act(manager if verb != "redeem" else ann, *asked)
        finish(house)
        return answer

    with ThreadPoolExecutor(1) as pool:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            limits = {"max_assignments_per_user": 9, "max_assignments": 9}
            now = clock.now(session)
            change_book(session, book.id, limits, version=None, actor_id=ACTOR, now=now)
            work = pool.submit(ask_and_finish)
            asking = house.sessions.kw["bind"]
            until(lambda: waiting(asking))
        assert work.result().status_code in {200, 202}

    held = {"assign": (2, 0), "redeem": (1, 1)}.get(verb, (0, 0))
    counted = {(row.assigned, row.redeemed) for row in rows(house, "SELECT * FROM coupon_counts")}
    assert counted == {held}


def waiting(engine: Engine) -> bool:
    """Whether somebody waits for a lock; asked beside the transaction that is open here."""
    with engine.connect() as connection:
        return connection.execute(text(WAITS)).first() is not None
