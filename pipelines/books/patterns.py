"""Patterns of codes: how many there are, how hard one is to hit, and drawing them (EC-028)."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.books.codes import CODE_CHARACTERS_MAX, CODE_CHARACTERS_MIN, is_code
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.errors import FieldError, ValidationFailed

#: Letters and digits that nobody takes for another: no 0 and O, no 1, I and L.
PLAIN_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#: For every code that is or will be there, this many that are none.
SPACE_PER_CODE = 1_000
#: Whoever holds a bearer code has what it is worth: these keep it from being found by trying.
BEARER_BITS = 60
BEARER_BITS_LEFT = 40
#: The largest number that an answer tells; what is more is told as this: typed clients read 64 bits,
#: and scripts in browsers whole numbers up to here.
TOLD_MAX = 2**53 - 1
#: Words that no code shall hold, as people read them.
_RUDE = re.compile(
    "FUCK|FCUK|SHIT|CUNT|TWAT|COCK|CUM|PUSSY|WANK|SLUT|WHORE|BITCH|NAZI|NEGER|NIGGER|NGGR|FAG|RAPE"
    "|ARSCH|FOTZE|HURE|MERDE|PUTA|MIERDA|CAZZO|KKK"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`{prefix}-{random}-{suffix}`: empty parts are left out, the random one has no hyphens."""

    prefix: str
    random_length: int
    alphabet: str
    suffix: str

    @property
    def space(self) -> int:
        """How many codes fit it."""
        return int(len(self.alphabet) ** self.random_length)

    @property
    def bits(self) -> float:
        """How hard one code is to guess."""
        return self.random_length * math.log2(len(self.alphabet))

    @property
    def characters(self) -> int:
        return len(self.around("x" * self.random_length))

    def around(self, text: str) -> str:
        """The code whose random part is `text`."""
        return "-".join(part for part in (self.prefix, text, self.suffix) if part)


def check_pattern(pattern: Pattern) -> None:
    """Raises `ValidationFailed` for what makes no codes: characters, repetitions, length."""
    errors = []
    for name, part in (("prefix", pattern.prefix), ("suffix", pattern.suffix)):
        if part and not re.fullmatch(r"[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?", part, re.ASCII):
            sentence = "Use letters A-Z, digits, and hyphens inside."
            errors.append(FieldError("code_charset", sentence, pointer=f"/pattern/{name}"))
    letters = pattern.alphabet
    if not re.fullmatch(r"[A-Z0-9]{2,36}", letters, re.ASCII) or len(set(letters)) < len(letters):
        sentence = "Give 2 to 36 different letters A-Z and digits."
        errors.append(FieldError("invalid_alphabet", sentence, pointer="/pattern/alphabet"))
    if not CODE_CHARACTERS_MIN <= pattern.characters <= CODE_CHARACTERS_MAX:
        sentence = f"Whole codes have {CODE_CHARACTERS_MIN} to {CODE_CHARACTERS_MAX} characters."
        errors.append(FieldError("code_length", sentence, pointer="/pattern/random_length"))
    if errors:
        raise ValidationFailed(errors=tuple(errors))
    assert is_code(pattern.around(letters[0] * pattern.random_length))


def check_space(pattern: Pattern, *, existing: int, count: int, is_bearer: bool) -> None:
    """Raises `PatternSpaceTooSmall` unless there is room for `count` more, and guessing is hopeless."""
    live = existing + count
    needed = SPACE_PER_CODE * live
    if is_bearer:
        needed = max(needed, 2**BEARER_BITS, 2**BEARER_BITS_LEFT * live)
    if pattern.space >= needed:
        return
    length = math.ceil(math.log(needed) / math.log(len(pattern.alphabet)) - 1e-9)
    raise PatternSpaceTooSmall(
        f"{pattern.space} codes fit this pattern; {live} of them need a space of {needed}. "
        f"Make the random part {length} characters long, or its alphabet larger.",
        extra={"space": told(pattern.space), "needed": told(needed), "random_length": length},
    )


def told(count: int) -> int:
    """The count as answers tell it: `TOLD_MAX` stands for so many or more."""
    return min(count, TOLD_MAX)


def draw_codes(pattern: Pattern, count: int, *, draw: Callable[[int], bytes]) -> list[str]:
    """`count` codes of the pattern; `draw` gives that many random bytes, such as `os.urandom`.

    A byte beyond the last whole multiple of the alphabet is dropped, so that every character is
    equally likely. Codes may repeat; none holds a rude word.
    """
    codes: list[str] = []
    while len(codes) < count:
        codes += _some(pattern, count - len(codes), draw)
    return codes[:count]


def _some(pattern: Pattern, count: int, draw: Callable[[int], bytes]) -> list[str]:
    size, length = len(pattern.alphabet), pattern.random_length
    kept = 256 // size * size
    table = bytes(ord(pattern.alphabet[value % size]) for value in range(256))
    wanted = count * length * 256 // kept + 64
    text = draw(wanted).translate(table, delete=bytes(range(kept, 256))).decode("ascii")
    whole = len(text) - len(text) % length
    parts = [text[at : at + length] for at in range(0, whole, length)]
    if _RUDE.search(text):
        parts = [part for part in parts if not _RUDE.search(part)]
    if pattern.prefix or pattern.suffix:
        return [pattern.around(part) for part in parts]
    return parts
