"""`make chaos`: break real processes in the middle of real jobs and print a table.

python -m tests.chaos [--seed N] [--scale N] [--only NAME] [--keep]
"""

import argparse
import random
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.chaos.scenarios import SCENARIOS, Scenario, Size
from tests.chaos.stand import stand

BASE = Size(csv=600, buffer=300, api=60)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    arguments.add_argument("--scale", type=int, default=2)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    chosen = arguments.parse_args()
    size = Size(BASE.csv * chosen.scale, BASE.buffer * chosen.scale, BASE.api * chosen.scale)
    scenarios = [s for s in SCENARIOS if chosen.only in s.name]
    random.Random(chosen.seed).shuffle(scenarios)
    console = Console()
    table = Table(title=f"chaos, seed {chosen.seed}, {size.items} items per scenario")
    for column in ("scenario", "what happens", "end", "seconds"):
        table.add_column(column)
    failures = 0
    for scenario in scenarios:
        end, seconds = _run(scenario, size, keep=chosen.keep)
        failures += end != "exact"
        table.add_row(scenario.name, scenario.promise, end, f"{seconds:.1f}")
        console.print(f"{scenario.name}: {end} ({seconds:.1f} s)")
    console.print(table)
    return 1 if failures else 0


def _run(scenario: Scenario, size: Size, *, keep: bool) -> tuple[str, float]:
    started = time.monotonic()
    try:
        with stand(keep=keep) as ground:
            scenario.act(ground, size)
    except Exception as error:  # a scenario that falls over has failed; the others still run
        return f"FAILED: {type(error).__name__} {error}"[:300], time.monotonic() - started
    return "exact", time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
