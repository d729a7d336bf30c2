"""What a pattern has room for, and how hard codes are to hit (EC-028, mission idea 10)."""

import math
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.books.capacity import capacity, days_per_hit, guesses_per_hit
from pipelines.books.guessing import Look
from pipelines.books.patterns import PLAIN_ALPHABET, Pattern, check_space
from pipelines.books.refusals import PatternSpaceTooSmall

DIGITS = "0123456789"


def accepts(pattern: Pattern, existing: int, count: int, *, is_bearer: bool) -> bool:
    try:
        check_space(pattern, existing=existing, count=count, is_bearer=is_bearer)
    except PatternSpaceTooSmall:
        return False
    return True


@given(
    length=st.integers(1, 20),
    alphabet=st.sampled_from((DIGITS, PLAIN_ALPHABET, "AB")),
    existing=st.integers(0, 10_000_000),
    is_bearer=st.booleans(),
)
def test_what_there_is_room_for_is_what_is_accepted(
    length: int, alphabet: str, existing: int, is_bearer: bool
):
    pattern = Pattern("P", length, alphabet, "")

    room = capacity(pattern, existing=existing, is_bearer=is_bearer).room_for

    if room:
        assert accepts(pattern, existing, room, is_bearer=is_bearer)
    assert not accepts(pattern, existing, room + 1, is_bearer=is_bearer)


@pytest.mark.parametrize(
    ("length", "live", "guesses", "days"),
    [
        (8, 100_000, 8_528_910, 0.209),
        (12, 100_000, 31**12 // 100_000, 193_055.0),
        (1, 100_000, 0, 0.0),
    ],
)
def test_guessing_is_told_in_days_of_a_network_of_machines(
    length: int, live: int, guesses: int, days: float
):
    pattern = Pattern("", length, PLAIN_ALPHABET, "")

    assert guesses_per_hit(pattern, live) == guesses
    assert days_per_hit(pattern, live) == days


def test_random_codes_look_as_hard_as_they_are():
    look = Look()
    for _ in range(4):
        look.add([secrets.token_hex(8).upper() for _ in range(500)])

    assert look.bits(known=0) == pytest.approx(64 - math.log2(2_000))
    assert look.bits(known=2_000) == pytest.approx(64 - math.log2(4_000))


@pytest.mark.parametrize(
    "parts",
    [
        [["SUMMER-2026-A1", "SUMMER-2026-A2"], ["SUMMER-2026-B3"]],
        [["SUMMER2026A1"], [], ["SUMMER2026A2", "SUMMER-2026-B3"]],
    ],
)
def test_what_all_codes_begin_with_and_hyphens_count_nothing(parts: list[list[str]]):
    look = Look()
    for part in parts:
        look.add(part)

    assert look.bits(known=0) == pytest.approx(2 * math.log2(5) - math.log2(3))


def test_equal_characters_and_no_codes_at_all_are_no_riddle():
    alike, empty = Look(), Look()
    alike.add(["000000000000", "000000000000"])

    assert (alike.bits(known=0), empty.bits(known=0)) == (-1, 0)


@pytest.mark.parametrize(
    ("length", "space", "bits"),
    [(10, 31**10, 49.54), (11, 2**53 - 1, 54.5), (60, 2**53 - 1, 297.25)],
)
def test_ec028_numbers_of_a_pattern_end_where_clients_cannot_read_on(
    length: int, space: int, bits: float
):
    """EC-028: 2^53 - 1 stands for so many or more; the bits are those of the whole space."""
    pattern = Pattern("", length, PLAIN_ALPHABET, "")

    room = capacity(pattern, existing=0, is_bearer=False)

    assert room.as_json() == {
        "space": space,
        "bits": bits,
        "room_for": min(31**length // 1_000, 2**53 - 1),
    }
    assert room.space == 31**length


def test_ec028_a_refusal_tells_no_larger_numbers_either():
    """EC-028: a thousand million bearer codes want 2^70 that fit."""
    wide, narrow = Pattern("", 13, PLAIN_ALPHABET, ""), Pattern("", 4, DIGITS, "")

    told = []
    for pattern in (wide, narrow):
        with pytest.raises(PatternSpaceTooSmall) as refused:
            check_space(pattern, existing=10**9, count=1, is_bearer=True)
        told.append((refused.value.extra["space"], refused.value.extra["needed"]))

    assert told == [(2**53 - 1, 2**53 - 1), (10_000, 2**53 - 1)]
