"""How hard uploaded codes are to hit, as far as looking at them can tell: pure.

No look at codes proves that they were drawn at random; what is plainly too small is refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

#: Letters and digits of a code that is worth money to whoever holds it.
MEANING_CHARACTERS_MIN = 12


def meaning(code: str) -> str:
    """What tells one code from another: hyphens do not."""
    return code.replace("-", "")


@dataclass(slots=True)
class Look:
    """What a look at codes, part by part, has seen: it holds a few characters, and no code."""

    count: int = 0
    first: str = ""
    last: str = ""
    shortest: int = 0
    #: The characters that stand at each place of some code.
    used: list[set[str]] = field(default_factory=list)

    def add(self, codes: Sequence[str]) -> None:
        """Look at some more codes."""
        if not codes:
            return
        bare = [meaning(code) for code in codes]
        first, last, shortest = min(bare), max(bare), min(map(len, bare))
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last) if self.count else last
        self.shortest = min(self.shortest, shortest) if self.count else shortest
        self.count += len(bare)
        for at, characters in enumerate(zip_longest(*bare, fillvalue="")):
            if at == len(self.used):
                self.used.append(set())
            self.used[at] |= set(characters) - {""}

    def bits(self, *, known: int) -> float:
        """How many bits keep a try from hitting one of these codes or of the `known` ones, at best.

        What all codes begin with is no secret and counts nothing.
        """
        shared = 0
        if self.count > 1:
            pairs = zip(self.first, self.last, strict=False)
            shared = next(
                (at for at, (a, b) in enumerate(pairs) if a != b),
                min(len(self.first), len(self.last)),
            )
        characters = set[str]().union(*self.used[shared:])
        length = self.shortest - shared
        return length * math.log2(len(characters) or 1) - math.log2((self.count + known) or 1)
