"""Check on live data that the books and the stock agree: one statement per invariant."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.reconciliation.invariants import INVARIANTS, Invariant

#: Violations listed per invariant; the count of checked rows says the rest.
VIOLATIONS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: how many rows were checked and which ones break it."""

    id: str
    title: str
    checked: int
    violations: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.violations


def prove(session: Session) -> list[Finding]:
    """Check every invariant in one snapshot; the session must see all rows (readonly, system).

    The session must not have spoken to the database yet: the snapshot is its first word.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    return [_check(session, invariant) for invariant in INVARIANTS]


def _check(session: Session, invariant: Invariant) -> Finding:
    checked = session.execute(text(f"SELECT count(*) FROM {invariant.population}")).scalar_one()
    broken = session.execute(
        text(f"SELECT * FROM ({invariant.violations}) v LIMIT {VIOLATIONS_SHOWN_MAX}")
    )
    return Finding(invariant.id, invariant.title, int(checked), tuple(broken.scalars()))
