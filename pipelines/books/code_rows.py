"""Judge one row of a file of codes. No verdict ever shows a code."""

from pipelines.books.codes import CODE_CHARACTERS_MAX, read_code
from pipelines.books.guessing import MEANING_CHARACTERS_MIN, meaning
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.csv_reader import ColumnRules

COLUMNS = ColumnRules(required=("code",))
TOO_SHORT_TO_SEAL = CellProblem(
    "code_length",
    f"A code of a book that seals them has at least {MEANING_CHARACTERS_MIN} letters and digits, "
    f"and at most {CODE_CHARACTERS_MAX} characters.",
)


def check_code(cell: str, *, is_bearer: bool) -> str | CellProblem:
    """The code in its one spelling, or what is wrong with it."""
    code = read_code(cell)
    if is_bearer and isinstance(code, str) and len(meaning(code)) < MEANING_CHARACTERS_MIN:
        return TOO_SHORT_TO_SEAL
    return code
