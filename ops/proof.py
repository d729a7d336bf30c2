"""Check the invariants and the audit chains of a database as its readonly login; say the result."""

from collections.abc import Iterable
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from models.database import create_database_engine
from pipelines.audit.verify import Chains, verify
from pipelines.audit.witness import Witness
from pipelines.reconciliation.prove import Finding, Patience, Proof, prove


def prove_at(
    readonly_url: str, *, job_id: UUID | None = None, patience: Patience | None = None
) -> Proof:
    """Every invariant checked in one snapshot; the readonly login sees all rows."""
    engine = create_database_engine(readonly_url, pool_size=1)
    try:
        with Session(engine) as session:
            return prove(session, job_id=job_id, patience=patience)
    finally:
        engine.dispose()


def verify_audit_at(
    readonly_url: str,
    *,
    key: bytes | None,
    stream: str | None = None,
    witnesses: Iterable[Witness] = (),
) -> Chains:
    """Every audit chain, or one, verified in one snapshot; the readonly login sees all rows."""
    engine = create_database_engine(readonly_url, pool_size=1)
    try:
        with Session(engine) as session:
            return verify(session, key=key, stream=stream, witnesses=witnesses)
    finally:
        engine.dispose()


def print_proof(proof: Proof, console: Console) -> None:
    table = Table("invariant", "checked", "result", box=None, pad_edge=False)
    for finding in proof.findings:
        checked = "–" if finding.checked is None else str(finding.checked)
        table.add_row(finding.title, checked, _result(finding))
    console.print(table)
    for finding in proof.findings:
        for violation in finding.violations:
            console.print(f"{finding.id}: {violation}", markup=False, highlight=False)


def _result(finding: Finding) -> str:
    if not finding.complete:
        return "not finished"
    return "holds" if finding.ok else f"{len(finding.violations)} violated"
