"""Check the invariants on a database as its readonly login, and say the result."""

from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from models.database import create_database_engine
from pipelines.reconciliation.prove import Finding, prove


def prove_at(readonly_url: str) -> list[Finding]:
    """Every invariant checked in one snapshot; the readonly login sees all rows."""
    engine = create_database_engine(readonly_url, pool_size=1)
    try:
        with Session(engine) as session:
            return prove(session)
    finally:
        engine.dispose()


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """The shape that scripts rely on."""
    return {
        "ok": all(finding.ok for finding in findings),
        "invariants": [
            {
                "id": finding.id,
                "title": finding.title,
                "ok": finding.ok,
                "checked": finding.checked,
                "violations": list(finding.violations),
            }
            for finding in findings
        ],
    }


def print_findings(findings: list[Finding], console: Console) -> None:
    table = Table("invariant", "checked", "result", box=None, pad_edge=False)
    for finding in findings:
        result = "holds" if finding.ok else f"{len(finding.violations)} violated"
        table.add_row(finding.title, str(finding.checked), result)
    console.print(table)
    for finding in findings:
        for violation in finding.violations:
            console.print(f"{finding.id}: {violation}", markup=False, highlight=False)
