"""How long credit lasts, in words and drawn: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pipelines.credit.projection import Coming, Projection
from web.console.campaign_words import NOT_USED
from web.console.charts import Chart, Series, line_chart
from web.console.formats import moment, money, number, plural
from web.console.job_words import StateWords

DAYS_DRAWN = 30
JOBS_SHOWN = 20
#: Sooner than this somebody should do something.
SOON_DAYS = 7
NOT_AT_THIS_PACE = StateWords("Not at this pace", "check", "good")


@dataclass(frozen=True, slots=True)
class ComingLine:
    """A job that waits for credit or begins later."""

    job_id: UUID
    starts: str
    held: str
    waiting: str


@dataclass(frozen=True, slots=True)
class ProjectionWords:
    """What an account's page says of the time ahead."""

    state: StateWords
    end: str
    facts: Mapping[str, str]
    jobs: tuple[ComingLine, ...]
    more_jobs: bool
    chart: Chart | None


def run_out_words(found: Projection) -> tuple[StateWords, str] | None:
    """The end by word and icon, and its date; None where credit has no bound."""
    if found.unlimited:
        return None
    if not found.is_used:
        return NOT_USED, ""
    left, ends = found.days_left, found.runs_out_on
    if left is None or ends is None:
        return NOT_AT_THIS_PACE, ""
    if left == 0:
        return StateWords("Used up", "cross", "bad"), _day(ends)
    tone, icon = ("warn", "alert") if left <= SOON_DAYS else ("good", "check")
    return StateWords(f"In {plural(left, 'day')}", icon, tone), _day(ends)


def projection_words(found: Projection) -> ProjectionWords | None:
    """None where credit has no bound: it never runs out."""
    end = run_out_words(found)
    if end is None:
        return None
    state, day = end
    return ProjectionWords(
        state=state,
        end=day,
        facts=_facts(found),
        jobs=tuple(_line(one, found.currency) for one in found.coming[:JOBS_SHOWN]),
        more_jobs=len(found.coming) > JOBS_SHOWN,
        chart=_chart(found),
    )


def _facts(found: Projection) -> dict[str, str]:
    pace, currency = found.pace, found.currency
    below = " with all accounts below" if found.covers_below else ""
    facts = {
        f"Available{below}": money(found.free_minor, currency),
        f"Spent in the last {plural(pace.days, 'day')}": _pace(found),
        "Cards left, about": "–" if found.cards_left is None else number(found.cards_left),
    }
    if found.waiting_minor:
        facts["Jobs wait for"] = money(found.waiting_minor, currency)
    return facts


def _pace(found: Projection) -> str:
    spent = money(found.pace.spent_minor, found.currency)
    if found.pace.spent_minor == 0:
        return "nothing"
    return f"{spent}, about {money(found.pace.per_day_minor, found.currency)} a day"


def _line(one: Coming, currency: str) -> ComingLine:
    return ComingLine(
        one.job_id,
        moment(one.starts_at) if one.starts_at else "when credit comes in",
        money(one.held_minor, currency),
        money(one.waiting_minor, currency),
    )


def _chart(found: Projection) -> Chart | None:
    """What is free on each of the next days; a level line says nothing that words do not."""
    if found.pace.spent_minor == 0 and not found.waiting_minor:
        return None
    course = found.course(DAYS_DRAWN)
    return line_chart(
        "ahead",
        f"Available in the next {DAYS_DRAWN} days",
        axis="Day (UTC)",
        steps=[f"{day:%-d %b}" for day, _ in course],
        series=[Series("Available", [free for _, free in course])],
        say=lambda amount: money(round(amount), found.currency),
        description="What is available at the end of each day, if it goes on as lately",
    )


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"
