"""What the demo's job must have come to, and the table that shows what it came to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

Job = Mapping[str, Any]

RECIPIENTS = 1_000
DENOMINATION_MINOR = 2_500
CSV_CARDS = 600
BUFFER_CARDS = 200
ISSUED = 997
EXPECTED: Mapping[str, int | str] = {
    "state": "partially_succeeded",
    "recipients": RECIPIENTS,
    "issued": ISSUED,
    "skipped": 2,
    "failed": 1,
    "needs review": 0,
    "cancelled": 0,
    "still open": 0,
    "from csv": CSV_CARDS,
    "from buffer": BUFFER_CARDS,
    "from api": ISSUED - CSV_CARDS - BUFFER_CARDS,
    "held": 0,
    "captured": ISSUED * DENOMINATION_MINOR,
    "released": 0,
    "duplicate_recipient": 2,
    "invalid_email": 1,
}


def outcome_of(job: Job, failures: list[dict[str, Any]]) -> dict[str, int | str]:
    """The job in the words of `EXPECTED`; money in minor units."""
    counts, sources, money = job["counts"], job["sources"], job["money"]
    return {
        "state": job["state"],
        "recipients": counts["total"],
        "issued": counts["succeeded"],
        "skipped": counts["skipped"],
        "failed": counts["failed"],
        "needs review": counts["needs_review"],
        "cancelled": counts["cancelled"],
        "still open": counts["pending"] + counts["running"] + counts["retrying"],
        **{f"from {name}": count for name, count in sources.items()},
        "held": money["held_minor"],
        "captured": money["captured_minor"],
        "released": money["released_minor"],
        **{str(group["code"]): group["count"] for group in failures},
    }


def differences(outcome: Mapping[str, int | str]) -> list[str]:
    """A sentence for each thing that is not as it must be."""
    names = [*EXPECTED, *(name for name in outcome if name not in EXPECTED)]
    return [
        f"{name}: expected {EXPECTED.get(name, 0)}, got {outcome.get(name, 0)}"
        for name in names
        if EXPECTED.get(name, 0) != outcome.get(name, 0)
    ]


def print_summary(job: Job, failures: list[dict[str, Any]], console: Console) -> None:
    """All recipients accounted for: outcome, sources, money, refusals, speed."""
    counts, money = job["counts"], job["money"]
    console.print(f"Job {job['id']}: {job['state']}", markup=False, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("recipients", _count(counts["total"]), "all accounted for")
    for name, count in job["sources"].items():
        table.add_row("issued", _count(count), f"from {name}")
    for group in failures:
        table.add_row("not issued", _count(group["count"]), str(group["code"]))
    for name in ("captured", "held", "released"):
        table.add_row(name, _money(money[f"{name}_minor"], money["currency"]), "credit")
    table.add_row("cards per second", f"{cards_per_second(job):.0f}", f"in {seconds_of(job):.1f} s")
    console.print(table)


def seconds_of(job: Job) -> float:
    started, ended = job["created_at"], job["finished_at"]
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def cards_per_second(job: Job) -> float:
    """From acceptance to the job's end."""
    seconds = seconds_of(job)
    return job["counts"]["succeeded"] / seconds if seconds > 0 else 0.0


def _count(number: int) -> str:
    return f"{number:,}"


def _money(minor: int, currency: str) -> str:
    """The demo's currencies have two decimals."""
    return f"{minor // 100:,}.{minor % 100:02d} {currency}"
