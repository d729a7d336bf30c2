"""Codes are generated exactly, whatever happens to their job (EC-028, S3-015..017, S3-026, S3-027)."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import client
from pipelines.books.generate import accept_generation
from pipelines.books.generation_kind import generation_kind
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern
from pipelines.books.refusals import BookClosed, PatternRequired, PatternSpaceTooSmall
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import CODE_GENERATION
from pipelines.sealing import Purpose
from pipelines.wiring import House
from tests.booking import lay_codes, make_book
from tests.driving import drain, hasten, rows, view
from tests.moves import control, one_step, retry
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed

WIDE = Pattern("VIP", 12, PLAIN_ALPHABET, "26")
COLUMNS = {"prefix": "VIP", "random_length": 12, "alphabet": PLAIN_ALPHABET, "suffix": "26"}


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def book_id(house: House, seeded: Seeded) -> UUID:
    return make_book(house, seeded, **COLUMNS)


def generate(house: House, seeded: Seeded, book_id: UUID, count: int) -> UUID:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return accept_generation(
            session, book_id, count, actor_id=ACTOR, key=None, limits=house.limits
        ).job_id


def drawing(house: House, draw: Callable[[int], bytes]) -> House:
    """The house, whose generation draws by `draw`."""
    kind = generation_kind(house.settings.keyring, draw=draw)
    return replace(house, job_kinds={**house.job_kinds, CODE_GENERATION: kind})


def counted(house: House, job_id: UUID) -> dict[str, int]:
    counts = view(house, job_id)["counts"]
    assert counts["total"] == sum(counts.values()) - counts["total"]
    return {name: count for name, count in counts.items() if count and name != "total"}


def codes_of(house: House, job_id: UUID) -> list[str]:
    found = rows(house, "SELECT code FROM coupons WHERE load_job_id = :job", job=job_id)
    return [row.code for row in found]


def stock(house: House, book_id: UUID) -> int:
    found = rows(
        house, "SELECT sum(unassigned) AS n FROM book_stock WHERE book_id = :book", book=book_id
    )
    return int(found[0].n or 0)


def test_s3_015_codes_are_made_by_the_pattern_exactly_as_many(
    house: House, seeded: Seeded, book_id: UUID
):
    """S1-004, S3-015, S3-016, S3-017"""
    job_id = generate(house, seeded, book_id, 50_001)

    accepted = (view(house, job_id)["state"], counted(house, job_id))
    drain(house)

    assert accepted == ("queued", {"pending": 50_001})
    assert (view(house, job_id)["state"], counted(house, job_id)) == (
        "succeeded",
        {"succeeded": 50_001},
    )
    codes = codes_of(house, job_id)
    assert (len(codes), len(set(codes)), stock(house, book_id)) == (50_001, 50_001, 50_001)
    assert all(re.fullmatch(f"VIP-[{PLAIN_ALPHABET}]{{12}}-26", code) for code in codes)
    entries = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.generated'")
    assert [row.detail for row in entries] == [{"codes": 50_001}]
    assert_proven(house)


def test_ec028_collisions_and_a_dead_worker_leave_exactly_as_many(
    house: House, seeded: Seeded, book_id: UUID
):
    """EC-028: one draw in fifty is taken, and the work dies in the middle."""
    pattern = Pattern("", 4, "0123456789ABCDEFGHJK", "")
    job_id = lay_codes(house, seeded, book_id, pattern, 3_000, size=500)
    calls = 0

    def die_now_and_then(count: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise RuntimeError("the worker is gone")
        return os.urandom(count)

    frail = drawing(house, die_now_and_then)
    drain(frail)
    hasten(house)
    drain(frail)

    assert counted(house, job_id) == {"succeeded": 3_000}
    codes = codes_of(house, job_id)
    assert (len(codes), len(set(codes)), calls > 7) == (3_000, 3_000, True)
    assert_proven(house)


def test_ec028_a_pattern_without_room_is_refused(house: House, seeded: Seeded):
    """EC-028: 9,000 of `##-##`."""
    book_id = make_book(house, seeded, random_length=4, alphabet="0123456789")

    with pytest.raises(PatternSpaceTooSmall) as refused:
        generate(house, seeded, book_id, 9_000)

    needed = {"space": 10_000, "needed": 9_000_000, "random_length": 7}
    assert refused.value.extra == needed
    assert rows(house, "SELECT 1 FROM jobs") == rows(house, "SELECT 1 FROM tasks") == []


def test_two_requests_find_room_together(house: House, seeded: Seeded):
    """What is being made counts as if it were there."""
    book_id = make_book(house, seeded, random_length=7, alphabet="0123456789")
    generate(house, seeded, book_id, 6_000)

    with pytest.raises(PatternSpaceTooSmall):
        generate(house, seeded, book_id, 6_000)

    drain(house)
    with pytest.raises(PatternSpaceTooSmall):
        generate(house, seeded, book_id, 6_000)
    assert len(rows(house, "SELECT 1 FROM jobs")) == 1


def test_a_closed_book_and_one_without_a_pattern_make_no_codes(house: House, seeded: Seeded):
    closed = make_book(house, seeded, closed_at=text("now()"), **COLUMNS)
    plain = make_book(house, seeded)
    other = seed(house, vendor=False)

    for book_id, whose, refusal in (
        (closed, seeded, BookClosed),
        (plain, seeded, PatternRequired),
        (plain, other, NotFound),
    ):
        with pytest.raises(refusal):
            generate(house, whose, book_id, 1)

    assert rows(house, "SELECT 1 FROM jobs") == []


def test_a_cancelled_job_keeps_what_was_made_and_makes_no_more(
    house: House, seeded: Seeded, book_id: UUID
):
    job_id = lay_codes(house, seeded, book_id, WIDE, 1_000, size=100)
    made = 0

    def cancel_at_the_third(count: int) -> bytes:
        nonlocal made
        made += 1
        return os.urandom(count)

    drain_some(drawing(house, cancel_at_the_third), 3)
    control(house, seeded, cancel_job, job_id)
    drain(house)

    assert counted(house, job_id) == {"succeeded": 300, "cancelled": 700}
    assert (view(house, job_id)["state"], made) == ("cancelled", 3)
    assert stock(house, book_id) == len(set(codes_of(house, job_id))) == 300
    assert_proven(house)


def test_a_paused_job_waits_and_goes_on_where_it_stood(house: House, seeded: Seeded, book_id: UUID):
    job_id = lay_codes(house, seeded, book_id, WIDE, 1_000, size=100)
    drain_some(house, 3)

    control(house, seeded, pause_job, job_id)
    drain(house)
    paused = counted(house, job_id)
    control(house, seeded, resume_job, job_id)
    drain(house)

    assert paused == {"succeeded": 300, "pending": 700}
    assert counted(house, job_id) == {"succeeded": 1_000}


def test_codes_that_find_no_place_fail_and_are_tried_again(
    house: House, seeded: Seeded, book_id: UUID
):
    """A bounded number of draws: a full pattern ends the chunk, whichever comes second."""
    full = Pattern("AAA", 1, "23456789AB", "")
    job_id = lay_codes(house, seeded, book_id, full, 12, size=6)

    drain(house)
    ended = view(house, job_id)

    assert (ended["state"], counted(house, job_id)) == (
        "partially_succeeded",
        {"succeeded": 6, "failed": 6},
    )
    assert ended["error"]["code"] == "pattern_space_too_small"
    assert len(codes_of(house, job_id)) == 6

    assert retry(house, seeded, job_id) == 6
    drain(house)
    assert counted(house, job_id) == {"succeeded": 6, "failed": 6}
    assert_proven(house)


def test_a_book_that_is_closed_meanwhile_gets_no_more_codes(
    house: House, seeded: Seeded, book_id: UUID
):
    job_id = lay_codes(house, seeded, book_id, WIDE, 200, size=100)
    drain_some(house, 1)
    rows(house, "UPDATE books SET closed_at = now() WHERE id = :id RETURNING 1", id=book_id)

    drain(house)

    ended = view(house, job_id)
    assert (ended["state"], ended["error"]["code"]) == ("partially_succeeded", "book_closed")
    assert counted(house, job_id) == {"succeeded": 100, "cancelled": 100}


def test_a_chunk_that_always_fails_is_given_up_and_can_be_retried(
    house: House, seeded: Seeded, book_id: UUID
):
    """EC-121"""
    job_id = lay_codes(house, seeded, book_id, WIDE, 200, size=100)

    def fail(_count: int) -> bytes:
        raise RuntimeError("no entropy")

    broken = drawing(house, fail)
    for _ in range(3):
        hasten(house)
        drain(broken)
    failed = view(house, job_id)
    retry(house, seeded, job_id)
    drain(house)

    assert (failed["state"], failed["error"]["code"]) == ("failed", "internal_error")
    assert failed["counts"]["failed"] == 200
    assert (counted(house, job_id), view(house, job_id)["error"]) == ({"succeeded": 200}, None)


def test_a_sealed_book_keeps_its_codes_sealed(house: House, seeded: Seeded):
    book_id = make_book(house, seeded, seals_codes=True, random_length=16, alphabet=PLAIN_ALPHABET)

    job_id = generate(house, seeded, book_id, 20)
    drain(house)

    found = rows(
        house,
        "SELECT c.code, x.blind_index, k.* FROM coupons c JOIN coupon_codes k USING (id) "
        "JOIN code_index x ON x.coupon_id = c.id WHERE c.load_job_id = :job",
        job=job_id,
    )
    keyring = house.settings.keyring
    assert (len(found), {row.code for row in found}) == (20, {None})
    for row in found:
        place: dict[str, Any] = {"table": "coupon_codes", "row_id": row.id}
        opened = keyring.open_sealed(Purpose.CODES, row.code_sealed, column="code_sealed", **place)
        code = opened.reveal()
        assert re.fullmatch(f"[{PLAIN_ALPHABET}]{{16}}", code)
        assert (row.last4, row.client_id) == (code[-4:], seeded.client_id)
        assert keyring.blind_index(code, scope=seeded.client_id.bytes) == row.blind_index


def test_a_sealed_book_refuses_a_pattern_that_is_found_by_trying(house: House, seeded: Seeded):
    book_id = make_book(house, seeded, seals_codes=True, random_length=10, alphabet=PLAIN_ALPHABET)

    with pytest.raises(PatternSpaceTooSmall):
        generate(house, seeded, book_id, 1)

    assert rows(house, "SELECT 1 FROM jobs") == []


def drain_some(house: House, chunks: int) -> None:
    """Work on so many chunks, and leave the rest."""
    for _ in range(chunks):
        one_step(house)
