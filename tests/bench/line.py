"""One line of the benchmark: what was done, how fast, and beside what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """`ours` beside `limit`, both in the same unit; a line without a limit only tells."""

    work: str
    ours: float
    limit: float | None
    note: str

    @property
    def ratio(self) -> str:
        return "" if self.limit is None else f"{self.ours / self.limit:.2f}"
