"""Fold signals, and tell of what is news: endpoints of each, people by mail once per day and level.

In the transaction that makes the news, so that each is told once; in the system's scope.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.alerts import Severity
from models.people import Role
from pipelines.access.permissions import GRANTS, Permission
from pipelines.alerts.facts import facts_of
from pipelines.alerts.fold import Folded, Happened, News, fold_signals
from pipelines.alerts.kinds import kind_named
from pipelines.alerts.subscriptions import NONE
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Keyring
from pipelines.webhooks.alerts import announce

#: The same trouble at the same level is told again after this, however often it comes back.
AGAIN_AFTER = timedelta(hours=24)
#: One mail lists so many; the rest is on the page.
LISTED_MAX = 20
#: Who has not chosen is told from this severity on; everybody else of nothing.
BY_DEFAULT = {Role.PLATFORM_ADMIN: Severity.CRITICAL.value}
_READERS = sorted(
    role.value for role, granted in GRANTS.items() if Permission.ALERTS_READ in granted
)
_RANKS = [severity.value for severity in Severity]

_ABOUT = """concat_ws(':', kind, coalesce(CAST(subject_id AS text), ''),
    coalesce(CAST(agency_id AS text), ''), coalesce(CAST(client_id AS text), ''))"""
# Not told of the same within a day; of two alerts about one subject the later is told.
_DUE = text(f"""
WITH news AS (
    SELECT DISTINCT ON (about, level) id, about, level FROM (
        SELECT id, {_ABOUT} AS about, level FROM alerts WHERE id = ANY(:ids)) a
    ORDER BY about, level, id DESC
), noted AS (
    INSERT INTO alert_notices AS n (about, level, at)
    SELECT about, level, CAST(:now AS timestamptz) FROM news ORDER BY about, level
    ON CONFLICT (about, level) DO UPDATE SET at = excluded.at WHERE n.at <= :again
    RETURNING about, level
)
SELECT news.id FROM news JOIN noted USING (about, level)
""")
# Everybody above or at the place of the alert whose choice, or role, asks for it; who made an
# endpoint is told of its trouble unless they chose otherwise (EC-133).
_LETTERS = text("""
SELECT u.id AS user_id, a.kind, a.severity, a.seen, a.subject_id, a.detail, a.note
FROM users u LEFT JOIN alert_subscriptions s ON s.user_id = u.id
JOIN alerts a ON a.id = ANY(:ids)
    AND (u.agency_id IS NULL OR u.agency_id = a.agency_id)
    AND (u.client_id IS NULL OR u.client_id = a.client_id)
    AND array_position(CAST(:ranks AS text[]), a.severity)
        >= array_position(CAST(:ranks AS text[]), coalesce(s.severity, CASE
            WHEN a.kind = 'webhook_failing' AND u.id = (
                SELECT e.created_by FROM webhook_endpoints e WHERE e.id = a.subject_id) THEN 'info'
            WHEN u.role = ANY(CAST(:by_default AS text[])) THEN 'critical' END))
    AND (s.kinds IS NULL OR a.kind = ANY(s.kinds))
WHERE u.disabled_at IS NULL AND u.role = ANY(CAST(:readers AS text[]))
    AND (s.severity IS NOT NULL OR u.role = ANY(CAST(:by_default AS text[]))
        OR u.id IN (SELECT e.created_by FROM webhook_endpoints e
                    WHERE e.id IN (SELECT subject_id FROM alerts WHERE id = ANY(:ids))))
ORDER BY u.id, array_position(CAST(:ranks AS text[]), a.severity) DESC, a.id
""")
_FORGET = text("DELETE FROM alert_notices WHERE at < :before")


def fold_and_tell(session: Session, *, keyring: Keyring, now: datetime) -> Folded:
    """One pass over the signals, and the mails that its news are worth."""
    folded = fold_signals(session)
    tell(session, folded.news, keyring=keyring, now=now)
    return folded


def tell(session: Session, news: Sequence[News], *, keyring: Keyring, now: datetime) -> int:
    """Tell endpoints, and write one mail to each person whom any of it concerns; returns how many."""
    announce(session, news, now=now)
    raised = [one.alert_id for one in news if one.happened is not Happened.RESOLVED]
    if not raised:
        return 0
    due = _due(session, raised, now)
    values = {
        "ids": due,
        "ranks": _RANKS,
        "readers": _READERS,
        "by_default": [role.value for role in BY_DEFAULT],
    }
    rows = session.execute(_LETTERS, values).all() if due else []
    letters = [
        _letter(user_id, list(group)) for user_id, group in groupby(rows, lambda row: row.user_id)
    ]
    for letter in letters:
        post(session, letter, keyring=keyring, now=now)
    return len(letters)


def default_of(role: Role) -> str:
    """What a role is told of when nobody has chosen."""
    return BY_DEFAULT.get(role, NONE)


def forget_notices(session: Session, now: datetime) -> None:
    """Drop what is told again anyway."""
    session.execute(_FORGET, {"before": now - AGAIN_AFTER})


def _due(session: Session, ids: list[UUID], now: datetime) -> list[UUID]:
    values = {"ids": ids, "now": now, "again": now - AGAIN_AFTER}
    return list(session.execute(_DUE, values).scalars())


def _letter(user_id: UUID, rows: list[Row[Any]]) -> Letter:
    """Sentences of ours, ids and numbers: what a person wrote stays on the page."""
    lines = [_line(row) for row in rows[:LISTED_MAX]]
    if (rest := len(rows) - len(lines)) > 0:
        lines.append(f"And {rest} more.")
    first = kind_named(rows[0].kind).sentence
    headline = first if len(rows) == 1 else f"{len(rows)} alerts: {first}"
    values = {"headline": headline, "lines": "\n".join(lines)}
    return Letter(Template.ALERTS, user_id=user_id, values=values)


def _line(row: Row[Any]) -> str:
    kind = kind_named(row.kind)
    facts = list(facts_of(dict(sorted(row.detail.items()))))
    about = f"{kind.subject.replace('_', ' ')} {row.subject_id}" if row.subject_id else ""
    told = "; ".join(part for part in (about, ", ".join(facts)) if part)
    return f"{row.severity.capitalize()}: {kind.sentence}" + (f" ({told})" if told else "")
