"""Every scenario ends with the same question: do the books and the stock agree?"""

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.reconciliation.prove import prove
from pipelines.wiring import House


def violations(house: House) -> dict[str, tuple[str, ...]]:
    """The invariants that do not hold, with the rows that break them."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        proof = prove(session)
    assert all(finding.complete for finding in proof.findings)
    return {finding.id: finding.violations for finding in proof.findings if not finding.ok}


def assert_proven(house: House) -> None:
    assert violations(house) == {}
