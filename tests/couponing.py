"""Coupons in every state and people who hold them, made by the product's own verbs, for tests."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from models import clock
from models.books import CouponMove, CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, client
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.books.look_up import CouponInHand, find_coupon
from pipelines.books.write_coupons import Supply, write_coupons
from pipelines.user_pools.introduce import introduce
from pipelines.wiring import House
from tests.booking import make_book
from tests.driving import drain, hasten, rows
from tests.seeding import ACTOR, Seeded
from tests.web.conftest import Caller, make_user

#: How a coupon comes into each state.
WAYS: dict[CouponState, tuple[CouponMove, ...]] = {
    CouponState.UNASSIGNED: (),
    CouponState.ASSIGNED: (CouponMove.ASSIGNED,),
    CouponState.LOCKED: (CouponMove.ASSIGNED, CouponMove.LOCKED),
    CouponState.REDEEMED: (CouponMove.ASSIGNED, CouponMove.REDEEMED),
    CouponState.VOID: (CouponMove.VOIDED,),
}


def put_codes(
    house: House, seeded: Seeded, book_id: UUID, count: int, *named: str, seals: bool = False
) -> list[str]:
    """So many new coupons in the book, those `named` besides; their codes."""
    codes = [*named, *(secrets.token_hex(8).upper() for _ in range(count))]
    supply = Supply(book_id, seeded.agency_id, seeded.client_id, ACTOR, seals)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        written = write_coupons(session, supply, codes, keyring=house.settings.keyring)
    assert written == len(codes)
    return codes


def coupon(house: House, seeded: Seeded, code: str) -> CouponInHand:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return find_coupon(
            session, code, clients=[seeded.client_id], keyring=house.settings.keyring
        )


def coupon_in(house: House, seeded: Seeded, state: CouponState, holder: UUID, **book: Any) -> str:
    """The code of a coupon of a new book that is in this state, held by `holder` if by anybody."""
    book_id = make_book(house, seeded, **book)
    (code,) = put_codes(house, seeded, book_id, 1)
    bring(house, seeded, code, state, holder)
    return code


def bring(house: House, seeded: Seeded, code: str, state: CouponState, holder: UUID) -> None:
    """Bring a new coupon into the state, past all limits."""
    for move in WAYS[state]:
        found = coupon(house, seeded, code)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now = clock.now(session)
            until = now + timedelta(minutes=5)
            step = Step(found.id, found.version, None if move is CouponMove.VOIDED else holder)
            moved = Moved(move, now, ACTOR, until=until)
            assert move_coupons(session, found.book_id, [step], moved)


def known_to(house: House, seeded: Seeded, user_id: UUID) -> None:
    """The client knows the person from now on."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        assert introduce(session, client_id=seeded.client_id, user_id=user_id)


def id_of(caller: Caller) -> UUID:
    """Who is signed in there."""
    return UUID(caller.get("/auth/me").get_json()["id"])


def sealed_coupon(house: House, seeded: Seeded, holder: UUID) -> tuple[str, CouponInHand]:
    """A coupon of a book that seals its codes, given to `holder`; its code."""
    book_id = make_book(house, seeded, seals_codes=True)
    (code,) = put_codes(house, seeded, book_id, 1, seals=True)
    bring(house, seeded, code, CouponState.ASSIGNED, holder)
    return code, coupon(house, seeded, code)


def state_of(house: House, code: str) -> str:
    (row,) = rows(house, "SELECT state FROM coupons WHERE code = :code", code=code)
    return str(row.state)


def events(house: House, code: str) -> list[str]:
    """What was done to the coupon."""
    found = rows(
        house,
        "SELECT e.move FROM coupon_events e JOIN coupons c ON c.id = e.coupon_id "
        "WHERE c.code = :code ORDER BY e.number",
        code=code,
    )
    return [row.move for row in found]


def key() -> dict[str, str]:
    return {"Idempotency_Key": secrets.token_hex(8)}


def act(caller: Caller, path: str, body: Any = None, **headers: str) -> Any:
    """POST with a new key."""
    return caller.post(path, {} if body is None else body, **(key() | headers))


def finish(house: House) -> None:
    """Work off what was accepted."""
    hasten(house)
    drain(house)


def end_of(house: House, caller: Caller, answer: Any) -> tuple[int, dict[str, Any]]:
    """The status and body of a request that was refused at once, or of its job when it has ended."""
    if answer.status_code != 202:
        return answer.status_code, answer.get_json()
    finish(house)
    job = caller.get(f"/jobs/{answer.get_json()['id']}").get_json()
    error = job["error"]
    return (error["status"], error) if error else (200, job)


def other_person(house: House, seeded: Seeded, name: str = "other") -> UUID:
    """Somebody of the same client."""
    return make_user(house, f"{name}.{seeded.client_id}@x.example", Role.CLIENT_VIEWER, seeded)


def own_coupon(house: House, seeded: Seeded, draft_id: str) -> UUID:
    """A coupon that the maker of the draft holds, of a book named as the furnished one."""
    (maker,) = rows(house, "SELECT user_id FROM upload_drafts WHERE id = :id", id=draft_id)
    (book,) = rows(house, "SELECT min(name) AS name FROM books")
    book_id = make_book(house, seeded, name=book.name)
    (code,) = put_codes(house, seeded, book_id, 1)
    found = coupon(house, seeded, code)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        moved = Moved(CouponMove.ASSIGNED, clock.now(session), maker.user_id, reason=book.name)
        step = Step(found.id, found.version, maker.user_id)
        assert move_coupons(session, book_id, [step], moved)
    return found.id
