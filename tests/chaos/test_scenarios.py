"""The chaos scenarios once each, small: states and counts, never durations."""

import pytest

from tests.chaos import scenarios
from tests.chaos.scenarios import Scenario, Size
from tests.chaos.stand import stand

SMALL = Size(csv=120, buffer=60, api=40)
#: The rest of the scenarios run in `make chaos`.
EACH_TIME = (
    "worker killed",
    "queue emptied",
    "backends killed",
    "vendor drops",
    "answer lost with worker",
    "cancelled",
)


@pytest.mark.chaos
@pytest.mark.parametrize(
    "scenario", [s for s in scenarios.SCENARIOS if s.name in EACH_TIME], ids=lambda s: s.name
)
def test_whatever_breaks_every_item_ends_right(scenario: Scenario) -> None:
    """EC-059, EC-063, EC-117, EC-119: the job ends, cards equal items, the ledger is exact."""
    with stand() as ground:
        scenario.act(ground, SMALL)
