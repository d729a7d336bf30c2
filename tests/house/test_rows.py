"""Every row of the notes has a test that names it, or says plainly what is missing."""

import ast
import re

import pytest

from tests.house import rows_s0, rows_s1, rows_s2, rows_s3, rows_s4
from tests.house.test_sizes import ROOT, tracked

#: Systems whose numbers have two digits.
SHORT = {"S0"}
#: System -> its last number, the numbers that the mission leaves out, and where its rows stand.
SYSTEMS = {
    "S0": (37, set(), rows_s0),
    "S1": (152, {1, *range(136, 146)}, rows_s1),
    "S2": (150, {1, 7, *range(87, 93), 114, 122, 123, 124, 148, 149}, rows_s2),
    "S3": (150, {6, 8, 64, 87, 90, 92, *range(132, 135), 140}, rows_s3),
    "S4": (128, {1, 91, *range(93, 98), 99, 126, 127}, rows_s4),
}
NAMED = re.compile(r"[Ss]([1-4])[-_](\d{3})((?:_\d{3})*)(?:\.\.(\d{3}))?")
#: `S0-18`, `S0-22..24`, and `_s018_` or `_s023_s024_` in names.
NAMED_SHORT = re.compile(r"(?<![A-Za-z0-9])[Ss]0-?(\d\d)(?!\d)(?:\.\.(\d\d)(?!\d))?")
PROOFS = {
    row: proof for _last, _unused, rows in SYSTEMS.values() for row, proof in rows.PROVEN.items()
}


def rows_of(system: str) -> set[str]:
    last, unused, _rows = SYSTEMS[system]
    digits = 2 if system in SHORT else 3
    return {
        f"{system}-{number:0{digits}d}" for number in range(1, last + 1) if number not in unused
    }


def named_in_tests() -> set[str]:
    found: set[str] = set()
    for path in tracked("tests"):
        if path.name.startswith("rows_s") or path.name == "test_rows.py":
            continue
        text = path.read_text(encoding="utf-8")
        for first, last in NAMED_SHORT.findall(text):
            found |= {f"S0-{number:02d}" for number in range(int(first), int(last or first) + 1)}
        for system, first, more, last in NAMED.findall(text):
            numbers = {int(first), *(int(part) for part in more.split("_") if part)}
            if last:
                numbers |= set(range(int(first), int(last) + 1))
            found |= {f"S{system}-{number:03d}" for number in numbers}
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_row_is_named_by_a_test_or_said_to_be_open(system: str):
    _last, _unused, rows = SYSTEMS[system]

    assert rows_of(system) - named_in_tests() - set(rows.PROVEN) == set(rows.OPEN)


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_test_names_a_row_that_the_notes_do_not_have(system: str):
    known = rows_of(system) | {row for row in named_in_tests() if not row.startswith(system)}

    assert named_in_tests() - known == set()


@pytest.mark.parametrize("row", sorted(PROOFS))
def test_the_test_that_proves_a_row_is_there(row: str):
    path, _, name = PROOFS[row].partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))

    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
