"""The one spelling of a coupon's code, and which spellings are codes at all (EC-024)."""

import re
import unicodedata

from pipelines.jobs.cells import CellProblem

CODE_CHARACTERS_MIN = 4
CODE_CHARACTERS_MAX = 64
_CODE = re.compile(rf"[A-Z0-9-]{{{CODE_CHARACTERS_MIN},{CODE_CHARACTERS_MAX}}}", re.ASCII)

CODE_REQUIRED = CellProblem("required", "This value is required.")
CODE_CHARSET = CellProblem("code_charset", "A code has letters A-Z, digits and hyphens.")
CODE_LENGTH = CellProblem(
    "code_length", f"A code has {CODE_CHARACTERS_MIN} to {CODE_CHARACTERS_MAX} characters."
)


def canonical(text: str) -> str:
    """The spelling in which codes are kept and compared: no blanks, full-width forms folded, upper case.

    Look-alikes of other alphabets stay what they are, and make no code.
    """
    if text.isascii() and text.isalnum():
        return text.upper()
    folded = unicodedata.normalize("NFKC", text)
    return "".join(folded.split()).upper()


def is_code(text: str) -> bool:
    """Whether a canonical spelling can be a code; what is not is looked up nowhere."""
    return _CODE.fullmatch(text) is not None


def read_code(cell: str) -> str | CellProblem:
    """The code in its one spelling, or what is wrong with it, without the value."""
    code = canonical(cell)
    if not code:
        return CODE_REQUIRED
    if not CODE_CHARACTERS_MIN <= len(code) <= CODE_CHARACTERS_MAX:
        return CODE_LENGTH
    return code if is_code(code) else CODE_CHARSET
