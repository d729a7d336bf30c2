"""Every row of the gift-card system has a test that names it, or says plainly what is missing."""

import ast
import re

import pytest

from tests.house.rows_s4 import OPEN, PROVEN
from tests.house.test_sizes import ROOT, tracked

#: The mission counts to 128 and leaves these out.
UNUSED = {1, 91, *range(93, 98), 99, 126, 127}
ROWS = {f"S4-{number:03d}" for number in range(1, 129) if number not in UNUSED}
NAMED = re.compile(r"[Ss]4[-_](\d{3})((?:_\d{3})*)(?:\.\.(\d{3}))?")


def named_in_tests() -> set[str]:
    found: set[str] = set()
    for path in tracked("tests"):
        if path.name in {"rows_s4.py", "test_rows.py"}:
            continue
        for first, more, last in NAMED.findall(path.read_text(encoding="utf-8")):
            numbers = {int(first), *(int(part) for part in more.split("_") if part)}
            if last:
                numbers |= set(range(int(first), int(last) + 1))
            found |= {f"S4-{number:03d}" for number in numbers}
    return found


def test_each_row_is_named_by_a_test_or_said_to_be_open():
    assert ROWS - named_in_tests() - set(PROVEN) == set(OPEN)


@pytest.mark.parametrize("row", sorted(PROVEN))
def test_the_test_that_proves_a_row_is_there(row: str):
    path, _, name = PROVEN[row].partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))

    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
