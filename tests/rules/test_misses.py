"""When misses everywhere are more than usual (EC-029, SEC-19)."""

import pytest

from pipelines.access.misses import is_unusual

QUIET = [0] * 24
BUSY = [100] * 24


@pytest.mark.parametrize(
    ("this_hour", "earlier", "unusual"),
    [
        (250, QUIET, False),
        (251, QUIET, True),
        (500, BUSY, False),
        (501, BUSY, True),
        # Eleven hours of attack are not yet what is usual.
        (251, [9_000] * 11 + [0] * 13, True),
        (251, [9_000] * 13 + [0] * 11, False),
    ],
)
def test_ec029_an_hour_is_unusual_beside_the_usual_ones(
    this_hour: int, earlier: list[int], unusual: bool
):
    assert is_unusual(this_hour, earlier) is unusual
