"""The codes of a campaign in words: how they stand, what a file did, what a withdrawal does: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pipelines.provisioning.code_counts import CodesOfValue
from pipelines.provisioning.load_codes import Loaded
from pipelines.provisioning.withdraw_codes import CodesToWithdraw
from pipelines.provisioning.withdraw_listed import ListWithdrawn
from web.console.formats import money, plural

#: Why a row of a file changed nothing.
UNCHANGED = {
    "duplicate_in_file": "The code stands in the file before.",
    "already_loaded": "The campaign has the code already.",
    "unknown_code": "The campaign does not have the code.",
    "already_redeemed": "The code brought a card, or is about to.",
    "already_withdrawn": "The code was withdrawn before.",
}


@dataclass(frozen=True, slots=True)
class CodeLine:
    """The codes of one brand and value; `brand_id` is None in the line of all."""

    name: str
    brand_id: UUID | None
    denomination_minor: int | None
    open: int
    redeemed: int
    withdrawn: int
    loaded: int
    #: There are more than were counted.
    at_least: bool


@dataclass(frozen=True, slots=True)
class FileTold:
    """What became of a file, and the first rows that changed nothing, with why."""

    sentence: str
    rows: list[tuple[int, str]]
    #: Whether it did anything.
    is_done: bool


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal does: numbers of codes before and after, and the sentence of its button."""

    what: str
    open: int
    redeemed: int
    withdrawn: int
    button: str

    @property
    def withdrawn_after(self) -> int:
        return self.withdrawn + self.open


def code_lines(codes: Sequence[CodesOfValue]) -> list[CodeLine]:
    """A line for each brand and value, and one for all if there are several."""
    lines = [_line(_name(one), one.brand_id, one.denomination_minor, [one]) for one in codes]
    return [*lines, _line("All codes", None, None, codes)] if len(codes) > 1 else lines


def loaded_words(done: Loaded) -> FileTold:
    """What became of a file of new codes."""
    loaded = f"{plural(done.loaded, 'code')} loaded." if done.loaded else "No code was new."
    told = _told(loaded, done.duplicate_count, done.duplicates, is_done=done.loaded > 0)
    if not done.left_withdrawn:
        return told
    stay = f"{plural(done.left_withdrawn, 'code')} withdrawn before: left so."
    return replace(told, sentence=f"{told.sentence} {stay}")


def result_words(done: Loaded | ListWithdrawn) -> FileTold:
    """What became of a file, of whichever of the two forms."""
    return loaded_words(done) if isinstance(done, Loaded) else list_words(done)


def list_words(done: ListWithdrawn) -> FileTold:
    """What became of a file of codes to withdraw."""
    codes = plural(done.withdrawn, "code")
    withdrawn = f"{codes} withdrawn." if done.withdrawn else "No code was withdrawn."
    told = _told(withdrawn, done.unchanged_count, done.unchanged, is_done=done.withdrawn > 0)
    if done.withdrawn or all(code != "unknown_code" for _, code in done.unchanged):
        return told
    return replace(told, sentence=f"{told.sentence} Is the list of another campaign?")


def _told(
    sentence: str, unchanged: int, rows: Sequence[tuple[int, str]], *, is_done: bool
) -> FileTold:
    if unchanged:
        sentence += f" {plural(unchanged, 'row')} changed nothing."
    return FileTold(sentence, [(row, UNCHANGED[code]) for row, code in rows], is_done)


def withdrawal_words(codes: Sequence[CodesOfValue], wanted: CodesToWithdraw) -> Withdrawal:
    """What withdrawing the chosen codes would do now."""
    chosen = _chosen(codes, wanted)
    line = _line("", None, None, chosen)
    what = _name(chosen[0]) if wanted.brand_id and chosen else "Every brand and value"
    button = f"Withdraw {plural(line.open, 'open code')}"
    return Withdrawal(what, line.open, line.redeemed, line.withdrawn, button)


def open_among(codes: Sequence[CodesOfValue], wanted: CodesToWithdraw) -> int:
    """How many of the chosen codes would bring a card."""
    return sum(one.counts.open for one in _chosen(codes, wanted))


def _chosen(codes: Sequence[CodesOfValue], wanted: CodesToWithdraw) -> list[CodesOfValue]:
    return [
        one
        for one in codes
        if wanted.brand_id in {None, one.brand_id}
        and wanted.denomination_minor in {None, one.denomination_minor}
    ]


def _name(one: CodesOfValue) -> str:
    return f"{one.brand}, {money(one.denomination_minor, one.currency)}"


def _line(
    name: str, brand_id: UUID | None, minor: int | None, codes: Sequence[CodesOfValue]
) -> CodeLine:
    return CodeLine(
        name,
        brand_id,
        minor,
        sum(one.counts.open for one in codes),
        sum(one.counts.redeemed for one in codes),
        sum(one.counts.withdrawn for one in codes),
        sum(one.counts.loaded for one in codes),
        any(one.counts.at_least for one in codes),
    )
