"""A pool's health and the rule that says so."""

import pytest

from pipelines.pools.health import Health, judge


@pytest.mark.parametrize(
    ("usable", "watermark", "issued_lately", "health", "rule"),
    [
        (0, 0, 0, Health.EMPTY, "Empty: no usable card left"),
        (0, 100, 700, Health.EMPTY, "Empty: no usable card left"),
        (100, 100, 0, Health.LOW, "Low: 100 or fewer"),
        (1_000, 1_200, 7, Health.LOW, "Low: 1,200 or fewer"),
        (1_229, 40, 2_870, Health.LOW, "Low: < 3 days at 410/day"),
        (1_230, 40, 2_870, Health.HEALTHY, "Healthy: more than 40, 3 days at 410/day"),
        (5, 0, 3, Health.HEALTHY, "Healthy: more than 0, 11 days at 0.4/day"),
        (41, 40, 0, Health.HEALTHY, "Healthy: more than 40, none given out in 7 days"),
    ],
)
def test_s4_039_health_is_shown_with_its_rule(
    usable: int, watermark: int, issued_lately: int, health: Health, rule: str
) -> None:
    """S4-039: by the watermark, and by the days left at the average of the last 7."""
    found = judge(usable=usable, low_watermark=watermark, issued_lately=issued_lately)

    assert (found.health, found.rule) == (health, rule)
    assert (found.days_left is None) == (issued_lately == 0)
