"""Read a list of people that was typed or pasted, and say of each line what became of it: pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from pipelines.errors import FieldError
from pipelines.user_pools.add_members import LISTS, Added, People
from web.console.formats import plural

#: People stand on lines of their own, or have these between them.
_BETWEEN = re.compile(r"[,;\r\n\t]+")
_OUR_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
#: What a row of a file is called otherwise here.
_WORDS = {"duplicate_in_file": "The same person is named twice; they are in the pool once."}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line that added nobody, and why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class PeopleTyped:
    """Whom a list names; `lines` has line number and text in the order of their positions."""

    people: People
    lines: tuple[tuple[int, str], ...]
    #: As refusals point at an entry.
    pointers: tuple[str, ...]

    def placed(self, left: Iterable[tuple[int, str, str]]) -> tuple[LeftOut, ...]:
        """(position, code, detail) of what was left out, line by line."""
        found = (
            LeftOut(*self.lines[position - 1], _WORDS.get(code, detail))
            for position, code, detail in left
        )
        return tuple(sorted(found, key=lambda one: one.line))

    def pointed(self, errors: Iterable[FieldError]) -> tuple[LeftOut, ...]:
        """What is wrong, line by line."""
        places = {pointer: place for place, pointer in enumerate(self.pointers, start=1)}
        return self.placed(
            (places[error.pointer], error.code, error.detail)
            for error in errors
            if error.pointer in places
        )


def people_typed(text: str, *, all_external: bool) -> PeopleTyped:
    """What has an @ is an address, what looks like an id of ours is one; else it is an external id."""
    named: dict[str, list[tuple[int, str]]] = {name: [] for name in LISTS}
    parts = (part.strip() for part in _BETWEEN.split(text))
    for line, part in enumerate(filter(None, parts), start=1):
        named["external_ids" if all_external else _list_of(part)].append((line, part))
    people = People(
        user_ids=[UUID(part) for _line, part in named["user_ids"]],
        emails=[part for _line, part in named["emails"]],
        external_ids=[part for _line, part in named["external_ids"]],
    )
    lines = tuple(entry for name in LISTS for entry in named[name])
    pointers = tuple(pointer for pointer, _entry in people.places())
    return PeopleTyped(people, lines, pointers)


def added_words(added: Added) -> str:
    """What became of a list as a whole."""
    tally, count = added.tally, added.tally.good
    was = "was" if count == 1 else "were"
    said = f"{plural(count, 'person', 'people')} {was} added" if count else "Nobody was added"
    return f"{said}. {plural(tally.rows - count, 'line')} added nobody."


def _list_of(part: str) -> str:
    if "@" in part:
        return "emails"
    return "user_ids" if _OUR_ID.fullmatch(part) else "external_ids"
