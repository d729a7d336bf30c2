"""A job in words: states with icon and tone, counts, money, sources, and what may be done: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.jobs import ItemState, JobState
from pipelines.jobs.kinds import (
    CODE_GENERATION,
    DISCOUNT_GENERATION,
    DISCOUNT_IMPORT,
    DISTRIBUTION,
    IMPORTS,
    PROVISIONING,
    PROVISIONING_UNDO,
)
from pipelines.jobs.states import ENDED, MAY, Move
from web.console.followup_words import AfterWords, after_words
from web.console.formats import moment, money, number, plural, span
from web.console.kind_words import KINDS, job_name


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state by word and icon; the tone only supports them."""

    word: str
    icon: str
    tone: str


JOB_STATES: Mapping[str, StateWords] = {
    JobState.QUEUED: StateWords("Queued", "clock", "info"),
    JobState.RUNNING: StateWords("Running", "play", "info"),
    JobState.PAUSED: StateWords("Paused", "pause", "warn"),
    JobState.CANCELLING: StateWords("Cancelling", "stop", "warn"),
    JobState.SUCCEEDED: StateWords("Finished", "check", "good"),
    JobState.PARTIALLY_SUCCEEDED: StateWords("Finished with failures", "alert", "warn"),
    JobState.FAILED: StateWords("Failed", "cross", "bad"),
    JobState.CANCELLED: StateWords("Cancelled", "stop", "plain"),
}
ITEM_STATES: Mapping[str, StateWords] = {
    ItemState.PENDING: StateWords("Waiting", "clock", "plain"),
    ItemState.RUNNING: StateWords("In progress", "play", "info"),
    ItemState.RETRYING: StateWords("Trying again", "play", "info"),
    ItemState.SUCCEEDED: StateWords("Issued", "check", "good"),
    ItemState.FAILED: StateWords("Failed", "cross", "bad"),
    ItemState.SKIPPED: StateWords("Skipped", "skip", "plain"),
    ItemState.NEEDS_REVIEW: StateWords("Needs review", "alert", "warn"),
    ItemState.CANCELLED: StateWords("Cancelled", "stop", "plain"),
}
SOURCES = (("csv", "Imported cards"), ("buffer", "Buffer"), ("api", "Supplier"))


@dataclass(frozen=True, slots=True)
class Count:
    label: str
    value: int
    tone: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar of sources, in percent of its width."""

    source: str
    label: str
    cards: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class About:
    """What a job is about, in names, and the book and the pool of people that can be opened."""

    names: Sequence[str]
    book_id: str | None
    pool_id: str | None


@dataclass(frozen=True, slots=True)
class JobWords:
    """Everything the job page says about a job."""

    id: UUID
    kind: str
    #: Moves with the job's state: forms name the one that they were shown.
    version: int
    name: str
    subtitle: str
    state: StateWords
    has_ended: bool
    about: About
    #: Why it failed as a whole.
    error: str | None
    percent: float
    percent_words: str
    done_words: str
    pace: str
    counts: tuple[Count, ...]
    money: tuple[tuple[str, str], ...]
    segments: tuple[Segment, ...]
    pause: str | None
    #: When it starts, and what else it waits for.
    start: str | None
    is_stalled: bool
    can_change: bool
    can_start: bool
    can_pause: bool
    can_resume: bool
    can_cancel: bool
    after: AfterWords
    cancelled: int
    retryable: int
    title: str
    say: str

    @property
    def gives_cards(self) -> bool:
        """False for what takes cards in or back, and for what is about coupons or people."""
        return self.kind == PROVISIONING

    @property
    def is_import(self) -> bool:
        """Its items are rows of a file that were left out: they name a column and nobody."""
        return self.kind in IMPORTS

    @property
    def names_people(self) -> bool:
        return not self.is_import and self.kind not in {CODE_GENERATION, DISCOUNT_GENERATION}

    @property
    def names_codes(self) -> bool:
        """Its items say which code they are about, masked where it is worth something by itself."""
        return self.kind == DISCOUNT_IMPORT

    @property
    def makes_discounts(self) -> bool:
        """Its codes are a batch, which has its id."""
        return self.kind in {DISCOUNT_GENERATION, DISCOUNT_IMPORT}

    @property
    def is_draw(self) -> bool:
        """It was drawn, and can be drawn again."""
        return self.kind == DISTRIBUTION

    @property
    def rows(self) -> str:
        """The heading of its items."""
        return KINDS[self.kind].rows

    @property
    def no_rows(self) -> str:
        """Why there may be no items."""
        return KINDS[self.kind].no_rows


def job_words(
    view: Mapping[str, Any],
    *,
    version: int,
    campaign: str,
    about: About,
    retryable: int,
    has_code: bool,
) -> JobWords:
    """Put a job view into words; `has_code`: a code asked for it."""
    state = JobState(view["state"])
    words, counts = JOB_STATES[state], view["counts"]
    name = job_name(view["kind"], campaign)
    is_ours = view["kind"] not in IMPORTS  # an import ends in one piece
    done = KINDS[view["kind"]].done
    done_words = f"{number(counts['succeeded'])} of {number(counts['total'])} {done}"
    has_ended = state in ENDED
    short = f"{view['progress']['percent']:.0f}%"
    return JobWords(
        id=view["id"],
        kind=view["kind"],
        version=version,
        name=name,
        subtitle=" · ".join(part for part in about.names if part),
        state=words,
        has_ended=has_ended,
        about=about,
        error=str(view["error"]["detail"]) if view["error"] else None,
        percent=view["progress"]["percent"],
        percent_words=short,
        done_words=done_words,
        pace=_pace(view, has_ended=has_ended),
        counts=_counts(counts, done.capitalize()),
        money=_money(view["money"], is_undo=view["kind"] == PROVISIONING_UNDO),
        segments=_segments(view["sources"]),
        pause=_pause(view["pause"]),
        start=_start(view),
        can_change=state in MAY[Move.PRIORITISE],
        can_start=view["waits_for"] == "start_time",
        is_stalled=view["progress"]["stalled"],
        can_pause=is_ours and state in MAY[Move.PAUSE],
        can_resume=is_ours and state in MAY[Move.RESUME],
        can_cancel=is_ours and state in MAY[Move.CANCEL],
        after=after_words(view, has_code=has_code),
        cancelled=counts["cancelled"],
        retryable=retryable if is_ours and state in MAY[Move.RETRY] else 0,
        title=f"{words.word if has_ended else short} – {name}",
        say=f"{words.word}: {done_words}, {number(counts['failed'])} failed.",
    )


def item_words(kind: str, state: str) -> StateWords:
    """An item's state in the words of its job's kind."""
    if state == ItemState.SUCCEEDED:
        return StateWords(KINDS[kind].done.capitalize(), "check", "good")
    return ITEM_STATES[state]


def _counts(counts: Mapping[str, int], done: str) -> tuple[Count, ...]:
    waiting = counts["pending"] + counts["running"] + counts["retrying"]
    shown = [
        Count(done, counts["succeeded"], "good"),
        Count("Failed", counts["failed"], "bad"),
        Count("Skipped", counts["skipped"], "plain"),
        Count("Waiting", waiting, "info"),
    ]
    if counts["needs_review"]:
        shown.append(Count("Needs review", counts["needs_review"], "warn"))
    if counts["cancelled"]:
        shown.append(Count("Cancelled", counts["cancelled"], "plain"))
    return tuple(shown)


def _pace(view: Mapping[str, Any], *, has_ended: bool) -> str:
    progress = view["progress"]
    parts = []
    if has_ended and view["started_at"] and view["finished_at"]:
        seconds = (view["finished_at"] - view["started_at"]).total_seconds()
        parts.append(f"took {span(seconds)}")
    if progress["rate_per_second"]:
        parts.append(f"{number(progress['rate_per_second'])} a second")
    if progress["eta_seconds"] and not has_ended:
        parts.append(f"about {span(progress['eta_seconds'])} to go")
    return ", ".join(parts)


def _money(sums: Mapping[str, Any] | None, *, is_undo: bool) -> tuple[tuple[str, str], ...]:
    if sums is None:
        return ()
    currency = sums["currency"]
    if is_undo:
        return (("Given back", money(sums["refunded_minor"], currency)),)
    return (
        ("Held for open items", money(sums["held_minor"], currency)),
        ("Charged for issued cards", money(sums["captured_minor"], currency)),
        ("Released back", money(sums["released_minor"], currency)),
    )


def _segments(sources: Mapping[str, int]) -> tuple[Segment, ...]:
    total = sum(sources.values())
    start = 0.0
    found = []
    for source, label in SOURCES:
        width = 100 * sources[source] / total if total else 0.0
        found.append(Segment(source, label, sources[source], round(start, 2), round(width, 2)))
        start += width
    return tuple(found)


def _pause(pause: Mapping[str, Any] | None) -> str | None:
    if pause is None:
        return None
    reasons = {
        "no_credit": "there is not enough credit",
        "provider_auth": "the supplier does not accept our keys; the platform has been told",
        "account_restricted": "the account that pays owes for a top-up that was taken back",
        "user": "somebody paused it",
    }
    reason = reasons.get(pause["reason"], "something it needs is missing")
    return f"The job is paused because {reason}. It goes on when {pause['resumes_on']}."


def _start(view: Mapping[str, Any]) -> str | None:
    match view["waits_for"]:
        case "start_time":
            held = " Its credit is held until then." if view["money"] else ""
            return f"Starts at {moment(view['scheduled_for'])}.{held}"
        case "campaign_paused":
            return "Its time has come, and its campaign is paused: it starts after the pause."
        case "queue_paused":
            return "The platform has paused a queue of its work: it goes on after that pause."
    return None


def cancel_effect(
    kind: str, counts: Mapping[str, int], sums: Mapping[str, Any] | None
) -> tuple[str, str]:
    """What cancelling does, and the button that says so."""
    open_items = counts["pending"] + counts["running"] + counts["retrying"]
    done, words = counts["succeeded"], KINDS[kind]
    kept = plural(done, f"{words.done} {words.thing}", f"{words.done} {words.things}")
    not_done = f"{plural(open_items, 'open item')} will not be {words.done}."
    if kind == PROVISIONING:
        effect = f"{_kept_cards(done, kept)} {not_done}{_released(sums)}"
        effect += " Orders already at a supplier are finished first."
    else:
        stay = "stays as it is" if done == 1 else "stay as they are"
        effect = (
            f"{kept} {stay}. {not_done}" if done else f"Nothing has been {words.done}. {not_done}"
        )
    return effect, f"Cancel job, keep {kept}" if done else "Cancel job"


def _kept_cards(issued: int, kept: str) -> str:
    if not issued:
        return "No card has been issued yet."
    if issued == 1:
        return f"{kept} stays with its recipient and stays charged."
    return f"{kept} stay with their recipients and stay charged."


def _released(sums: Mapping[str, Any] | None) -> str:
    if sums is None:
        return ""
    return f" Up to {money(sums['held_minor'], sums['currency'])} of credit is released."
