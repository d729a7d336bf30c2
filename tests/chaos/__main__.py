"""`make chaos`: break real processes in the middle of real jobs and print a table.

python -m tests.chaos [--seed N] [--scale N] [--only NAME] [--keep] [--list]
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines import telemetry
from tests.chaos.exact import Scenario, Size, Skipped
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stand import Grounds, grounds, stand
from tests.chaos.watch import watched

BASE = Size(csv=600, buffer=300, api=60)
WORDS_SHOWN = 600


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    arguments.add_argument("--scale", type=int, default=2)
    arguments.add_argument("--only", default="", help="scenarios whose name contains this")
    arguments.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    arguments.add_argument("--list", action="store_true", help="name the scenarios and end")
    chosen = arguments.parse_args()
    size = Size(BASE.csv * chosen.scale, BASE.buffer * chosen.scale, BASE.api * chosen.scale)
    scenarios = [s for s in SCENARIOS if chosen.only in s.name]
    console = Console()
    if chosen.list or not scenarios:
        for scenario in SCENARIOS:
            console.print(f"{scenario.name}: {scenario.promise}")
        return 0 if chosen.list else 2
    random.Random(chosen.seed).shuffle(scenarios)
    telemetry.configure("chaos", level=50)
    ends = _run_all(console, scenarios, size, chosen)
    return 1 if ends["FAILED"] else 0


def _run_all(
    console: Console, scenarios: list[Scenario], size: Size, chosen: argparse.Namespace
) -> Counter[str]:
    table = Table(title=f"chaos, seed {chosen.seed}, {size.items} items per scenario")
    for column in ("scenario", "what happens", "end", "snapshots", "seconds"):
        table.add_column(column)
    ends: Counter[str] = Counter()
    with grounds(keep=chosen.keep) as base:
        for scenario in scenarios:
            started = time.monotonic()
            end, snapshots = run(base, scenario, size)
            seconds = f"{time.monotonic() - started:.1f}"
            ends[end.partition(":")[0]] += 1
            table.add_row(scenario.name, scenario.promise, end, str(snapshots), seconds)
            console.print(f"{scenario.name}: {end} ({seconds} s)", markup=False, soft_wrap=True)
        if chosen.keep:
            console.print(f"logs: {base.home.path}/logs")
    console.print(table)
    console.print(", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
    return ends


def run(base: Grounds, scenario: Scenario, size: Size) -> tuple[str, int]:
    """Run one scenario under watch; how it ended, and how many snapshots were proven meanwhile."""
    snapshots = 0
    try:
        with stand(base) as ground, watched(ground.house) as watch:
            try:
                scenario.act(ground, size)
            finally:
                snapshots = watch.snapshots
    except Skipped as why:
        return f"skipped: {why}", snapshots
    except Exception as error:  # a scenario that falls over has failed; the others still run
        places = [f for f in traceback.extract_tb(error.__traceback__) if "chaos" in f.filename]
        at = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
        return f"FAILED: {type(error).__name__} {at} {error}"[:WORDS_SHOWN], snapshots
    return "exact", snapshots


if __name__ == "__main__":
    sys.exit(main())
