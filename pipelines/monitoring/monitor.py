"""Look the house over in one snapshot, and signal what is wrong and what is over (S4-029..033)."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.alerts import Severity
from models.database import Sessions, transaction
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import ALL
from pipelines.alerts.raise_alert import Sighting, signal_all
from pipelines.limits import Limits
from pipelines.monitoring import checks
from pipelines.monitoring.checks import CHECKS, FINDINGS_MAX, JUDGED_MAX, Check, Group
from pipelines.monitoring.runs import MONITOR, Run, note_run
from pipelines.pools.health import CONSUMPTION_DAYS, DAYS_LEFT_MIN, usable_from
from pipelines.queue.work import TaskInHand, finish
from pipelines.settings import BEATING

#: One check that takes longer finds nothing, and nothing of its kinds is over.
CHECK_SECONDS = 10
_TIME_OUT = text(f"SELECT set_config('statement_timeout', '{CHECK_SECONDS}s', true)")
_STANDING = text("""
SELECT kind, subject_id, agency_id, client_id FROM alerts
WHERE state <> 'resolved' AND kind = ANY(CAST(:kinds AS text[]))
""")

Key = tuple[str, UUID | None, UUID | None, UUID | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong now."""

    group: Group
    kind: AlertKind
    subject_id: UUID | None
    agency_id: UUID | None
    client_id: UUID | None
    level: int
    severity: Severity
    detail: dict[str, Any]

    @property
    def key(self) -> Key:
        return self.kind.name, self.subject_id, self.agency_id, self.client_id

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.name,
            "severity": self.severity.value,
            "level": self.level,
            "subject": {"kind": self.kind.subject, "id": self.subject_id},
            "agency_id": self.agency_id,
            "client_id": self.client_id,
            "sentence": self.kind.sentence,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What one look found, and how long it took; `over` are alerts whose cause is gone."""

    at: datetime
    duration_ms: int
    findings: tuple[Finding, ...]
    over: tuple[Key, ...]

    def as_json(self) -> dict[str, Any]:
        """The shape that outside schedulers rely on (S4-107)."""
        found = Counter(finding.group for finding in self.findings)
        return {
            "success": True,
            "at": self.at,
            "duration_ms": self.duration_ms,
            "alerts_generated": len(self.findings),
            "breakdown": {group.value: found[group] for group in Group},
            "alerts": [finding.as_json() for finding in self.findings],
        }


def monitor(
    sessions: Sessions, *, limits: Limits, tick: Callable[[], float] = time.monotonic
) -> Report:
    """Look, then signal; in the system's scope. Two at once are harmless: the later look counts."""
    began = tick()
    with transaction(sessions) as session:
        at, findings, over = look(session, limits=limits)
    report = Report(at, round((tick() - began) * 1000), findings, over)
    with transaction(sessions) as session:
        tell(session, report)
    return report


def monitor_task(sessions: Sessions, task: TaskInHand, *, limits: Limits) -> None:
    """The work of MONITOR."""
    monitor(sessions, limits=limits)
    with transaction(sessions) as session:
        finish(session, task)


def look(
    session: Session, *, limits: Limits
) -> tuple[datetime, tuple[Finding, ...], tuple[Key, ...]]:
    """When it looked, what is wrong, and which open alerts are over; the snapshot is its first word."""
    session.connection(
        execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    session.execute(_TIME_OUT)
    now = clock.now(session)
    values = _values(now, limits)
    findings: list[Finding] = []
    whole: set[str] = set()
    for check in CHECKS:
        decides = check.is_trouble
        limit = JUDGED_MAX if decides else FINDINGS_MAX
        rows = session.execute(check.statement, values | {"limit": limit}).all()
        troubles = [row for row in rows if not decides or decides(row, now)]
        findings += [_finding(check, row) for row in troubles[:FINDINGS_MAX]]
        # What was cut says nothing of the rest.
        if len(rows) < limit and len(troubles) <= FINDINGS_MAX:
            whole |= {kind.name for kind in check.kinds}
    return now, tuple(findings), tuple(_over(session, findings, whole))


def tell(session: Session, report: Report) -> None:
    """Signal what the report says, unless somebody who looked later has."""
    run = Run(MONITOR, report.at, report.duration_ms, not report.findings, {})
    if not note_run(session, run):
        return
    sightings = [
        Sighting(f.kind, f.subject_id, f.agency_id, f.client_id, f.level, f.detail, f.severity)
        for f in report.findings
    ]
    sightings += [
        Sighting(ALL[kind], subject, agency, client, is_over=True)
        for kind, subject, agency, client in report.over
    ]
    signal_all(session, sightings, now=report.at)


def _values(now: datetime, limits: Limits) -> dict[str, Any]:
    return {
        "now": now,
        "today": now.date(),
        "usable_from": date.fromisoformat(usable_from(now)),
        "lately": now - timedelta(days=CONSUMPTION_DAYS),
        "days": CONSUMPTION_DAYS,
        "days_min": DAYS_LEFT_MIN,
        "hour_ago": now - timedelta(hours=1),
        "beat_since": now - timedelta(seconds=limits.process_gone_seconds),
        "processes": sorted(BEATING),
        "stalled": checks.STALLED_MINUTES,
        "unknown": checks.UNKNOWN_MINUTES,
        "unserved": checks.UNSERVED_MINUTES,
        "unproved": checks.UNPROVED_HOURS,
    }


def _finding(check: Check, row: Row[Any]) -> Finding:
    kind, said = ALL[row.kind], row._mapping.get("severity")
    return Finding(
        check.group or (Group.AGENCIES if row.client_id is None else Group.CLIENTS),
        kind,
        row.subject_id,
        row.agency_id,
        row.client_id,
        int(row.level),
        Severity(said) if said else kind.severity,
        dict(row.detail),
    )


def _over(session: Session, findings: Iterable[Finding], whole: set[str]) -> list[Key]:
    """Open alerts of the kinds that were looked at whole, and that nothing stands for any more."""
    found = {finding.key for finding in findings}
    standing = session.execute(_STANDING, {"kinds": sorted(whole)})
    return [key for row in standing if (key := tuple(row)) not in found]
