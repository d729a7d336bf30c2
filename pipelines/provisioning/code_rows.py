"""Judge the redemption codes of a file: each alone, and how hard they are to hit. Nothing shows one.

No look at codes proves that they were drawn at random; what is plainly too small is refused.
"""

import math
import re
from collections.abc import Collection
from itertools import takewhile

from pipelines.errors import Refusal
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.csv_reader import ColumnRules
from pipelines.provisioning.redemption_index import canonical

COLUMNS = ColumnRules(required=("redemption_code",))
#: Letters and digits.
MEANING_CHARACTERS_MIN = 12
#: Whoever tries at random hits one of the campaign's codes once in two to the power of this.
PATTERN_BITS_MIN = 40
CODE_CHARACTERS_MAX = 64
_CHARACTERS = re.compile(r"[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?", re.ASCII)

REQUIRED = CellProblem("required", "This value is required.")
CODE_CHARSET = CellProblem("code_charset", "A code has letters A-Z, digits and hyphens inside.")
CODE_LENGTH = CellProblem(
    "code_length",
    f"A code has at least {MEANING_CHARACTERS_MIN} letters and digits, and at most "
    f"{CODE_CHARACTERS_MAX} characters.",
)


class PatternSpaceTooSmall(Refusal):
    """Codes like those of the file are so few, or the campaign's so many, that trying finds one."""

    code = "pattern_space_too_small"
    detail = (
        "Codes like these are found by trying: too short, of too few different characters, or "
        "alike at their beginning. Nothing was loaded. Make longer ones at random, such as 16 "
        "letters and digits."
    )


def pattern_bits(codes: Collection[str], *, known: int) -> float:
    """How many bits keep a try from hitting one of `codes` or of the `known` ones, at best.

    What all codes begin with is no secret and counts nothing; hyphens neither.
    """
    bare = [code.replace("-", "") for code in codes]
    first, last = min(bare), max(bare)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = sum(1 for _ in alike) if len(bare) > 1 else 0
    used = {character for code in bare for character in code[shared:]}
    length = min(map(len, bare)) - shared
    return length * math.log2(len(used) or 1) - math.log2(len(bare) + known)


def check_code(cell: str) -> str | CellProblem:
    """The code in its one spelling, or what is wrong with it."""
    code = canonical(cell)
    if not code:
        return REQUIRED
    if len(code) > CODE_CHARACTERS_MAX or len(code.replace("-", "")) < MEANING_CHARACTERS_MIN:
        return CODE_LENGTH
    return code if _CHARACTERS.fullmatch(code) else CODE_CHARSET
