"""`make mutants`: break one rule of the product at a time and see that its tests notice.

python -m tests.mutants [--only NAME]

Works on a copy of the last commit, so the checkout is never touched. A mutant that survives is a
rule without a test: the exit code says so.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.mutants.every import EVERY
from tests.mutants.mutants import Mutant

ROOT = Path(__file__).parents[2]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", help="run mutants whose name contains this")
    only = arguments.parse_args().only
    table = Table(title="mutants")
    for column in ("rule that is broken", "noticed by", "seconds"):
        table.add_column(column)
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="largesse-mutants-") as folder:
        copy = Path(folder) / "copy"
        _git("worktree", "add", "--detach", str(copy), "HEAD")
        try:
            for mutant in EVERY:
                if only in mutant.name:
                    verdict, seconds = _try(mutant, copy)
                    survivors += verdict.startswith("SURVIVED")
                    table.add_row(mutant.name, verdict, f"{seconds:.0f}")
                    print(f"{mutant.name}: {verdict}", flush=True)
        finally:
            _git("worktree", "remove", "--force", str(copy))
    Console(width=140).print(table)
    return 1 if survivors else 0


def _try(mutant: Mutant, copy: Path) -> tuple[str, float]:
    """The first test that failed, or SURVIVED; the copy is as before afterwards."""
    path = copy / mutant.path
    sound = path.read_text()
    if sound.count(mutant.rule) != 1:
        return f"SURVIVED: {mutant.path} has the rule {sound.count(mutant.rule)} times", 0.0
    path.write_text(sound.replace(mutant.rule, mutant.broken))
    started = time.monotonic()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", *mutant.tests],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.write_text(sound)
    return _verdict(ran), time.monotonic() - started


def _verdict(ran: "subprocess.CompletedProcess[str]") -> str:
    """Only a failing test is a catch: a broken import or a missing file proves nothing."""
    failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED ")]
    if ran.returncode == 1 and failed:
        return failed[0].removeprefix("FAILED ").partition(" - ")[0].partition("::")[2]
    last = (ran.stdout.strip().splitlines() or [ran.stderr[-200:]])[-1]
    return f"SURVIVED: {last}"


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
