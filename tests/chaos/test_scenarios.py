"""A few chaos scenarios, small: states and counts, never durations. `make chaos` has all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.exact import Scenario, Size
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stand import Grounds, grounds, stand
from tests.chaos.watch import watched

SMALL = Size(csv=60, buffer=40, api=30)
EACH_TIME = (
    "answer lost with worker",
    "workers killed",
    "queue emptied",
    "sessions ended",
    "finished chunks unheard",
    "vendor silent",
    "web unheard",
    "cancelled",
    "distribution killed",
    "drawn alike",
    "codes killed",
    "discount codes killed",
    "coupons killed",
)


@pytest.fixture(scope="module")
def base() -> Iterator[Grounds]:
    with grounds(settings={"fsync": "off", "full_page_writes": "off"}) as servers:
        yield servers


@pytest.mark.chaos
@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.name in EACH_TIME], ids=lambda s: s.name
)
def test_whatever_breaks_every_item_ends_right(base: Grounds, scenario: Scenario) -> None:
    """EC-028, EC-035, EC-036, EC-059, EC-063, EC-088, EC-096, EC-117, EC-119: cards equal items, the ledger is exact."""
    with stand(base) as ground, watched(ground.house):
        scenario.act(ground, SMALL)


def test_the_page_about_chaos_names_every_scenario_and_its_promise() -> None:
    page = (Path(__file__).parents[2] / "docs" / "chaos.md").read_text(encoding="utf-8")
    listed = [line for line in page.splitlines() if line.startswith("| ")][1:]

    assert listed == [f"| {s.name} | {s.promise} |" for s in SCENARIOS]
