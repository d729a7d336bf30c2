"""A plan in words: what is wrong by reason, what it costs, what stands in the way: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.messages import message_of
from web.console.formats import money, number, plural, span

ROWS_SHOWN_MAX = 20
SOURCES = (
    ("csv", "Imported cards in stock"),
    ("buffer", "Buffer in stock"),
    ("api", "Ordered from a supplier"),
)


@dataclass(frozen=True, slots=True)
class RowProblem:
    row: int
    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """Rows with one reason: the first of them, and the remedy."""

    title: str
    remedy: str
    rows: tuple[RowProblem, ...]
    further: int


@dataclass(frozen=True, slots=True)
class Blocker:
    """What stands in the way, and the account whose page says more."""

    words: str
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class PlanWords:
    """The plan as pages say it."""

    plan_hash: str
    rows: int
    valid: int
    invalid: int
    duplicates: int
    served_before: int
    groups: tuple[ProblemGroup, ...]
    warned: tuple[ProblemGroup, ...]
    charge: str
    before: str
    after: str
    is_short: bool
    sources: tuple[tuple[str, int], ...]
    without_source: int
    duration: str
    blockers: tuple[Blocker, ...]

    @property
    def refused(self) -> int:
        return self.rows - self.valid


def plan_words(view: Mapping[str, Any]) -> PlanWords:
    """Put a preview of `pipelines.provisioning.submit` into words."""
    credit = view["credit"]
    currency = credit["currency"]
    return PlanWords(
        plan_hash=view["plan_hash"],
        rows=view["rows"],
        valid=view["valid"],
        invalid=view["invalid_count"],
        duplicates=view["duplicates"],
        served_before=view["skipped_count"] - view["duplicates"],
        groups=_groups(view["invalid"]),
        warned=_groups(view["warnings"]),
        charge=money(view["cost"]["charge_minor"], currency),
        before=money(credit["available_minor"], currency),
        after=money(credit["after_minor"], currency),
        is_short=credit["after_minor"] < 0,
        sources=tuple((label, view["sources"][source]) for source, label in SOURCES),
        without_source=view["sources"]["none"],
        duration=span(view["eta_seconds"]),
        blockers=tuple(
            Blocker(_blocker(blocker, currency), blocker.get("account_id"))
            for blocker in view["blockers"]
        ),
    )


def _groups(errors: list[dict[str, Any]]) -> tuple[ProblemGroup, ...]:
    by_code: dict[str, list[dict[str, Any]]] = {}
    for error in errors:
        by_code.setdefault(error["code"], []).append(error)
    return tuple(
        ProblemGroup(
            title=message_of(code).title,
            remedy=message_of(code).remedy,
            rows=tuple(
                RowProblem(error["row"], error["field"] or "", error["detail"])
                for error in found[:ROWS_SHOWN_MAX]
            ),
            further=max(0, len(found) - ROWS_SHOWN_MAX),
        )
        for code, found in sorted(by_code.items(), key=lambda pair: -len(pair[1]))
    )


def _blocker(blocker: Mapping[str, Any], currency: str) -> str:
    match blocker["code"]:
        case "insufficient_credit":
            required, available = blocker["required_minor"], blocker["available_minor"]
            short = money(required - available, currency)
            return (
                f"There is not enough credit: the job needs {money(required, currency)} and "
                f"{money(available, currency)} is available. Ask for {short} more."
            )
        case "account_restricted":
            owed = money(blocker["owed_minor"], currency)
            return (
                f"The account is restricted: it owes {owed} for a top-up that was taken back. "
                "Credit that comes in pays that first; then it pays for jobs again."
            )
        case "rows_refused":
            rows = plural(int(blocker["rows"]), "row")
            return f"{rows} cannot be used. Correct the file, or choose to leave them out."
        case "no_valid_rows":
            return "No row of the file can be used. Correct the file and upload it again."
    return str(blocker["detail"])


def cards_of(plan: PlanWords) -> str:
    """`980 cards`, for buttons and sentences."""
    return plural(plan.valid, "card") if plan.valid else f"{number(0)} cards"
