"""What alerts are about, by name: one statement for each kind of subject among them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import kind_named
from pipelines.currencies import money

#: What its kind says it is, and its id.
Subject = tuple[str, UUID]
#: By the subject of a kind: a name, with an amount where that is part of it. What has no name here
#: (tasks, processes, invariants), or says it among its facts (vendors), goes without.
_NAMES: Mapping[str, str] = {
    "account": """
SELECT a.id, coalesce(c.name, l.name, g.name, 'Platform') || ', ' || a.currency AS name,
    CAST(NULL AS bigint) AS minor, a.currency
FROM accounts a LEFT JOIN campaigns c ON c.id = a.owner_id
LEFT JOIN clients l ON l.id = a.owner_id LEFT JOIN agencies g ON g.id = a.owner_id
WHERE a.id = ANY(:ids)
""",
    "brand": """
SELECT id, name, CAST(NULL AS bigint) AS minor, currency FROM brands WHERE id = ANY(:ids)
""",
    "campaign": """
SELECT id, name, CAST(NULL AS bigint) AS minor, NULL AS currency FROM campaigns
WHERE id = ANY(:ids)
""",
    "client": """
SELECT id, name, CAST(NULL AS bigint) AS minor, NULL AS currency FROM clients WHERE id = ANY(:ids)
""",
    "job": """
SELECT j.id, coalesce(j.file_name, 'of ' || c.name) AS name, CAST(NULL AS bigint) AS minor,
    j.currency
FROM jobs j LEFT JOIN campaigns c ON c.id = j.campaign_id WHERE j.id = ANY(:ids)
""",
    "pool": """
SELECT p.id, b.name, p.denomination_minor AS minor, p.currency
FROM card_pools p JOIN brands b ON b.id = p.brand_id WHERE p.id = ANY(:ids)
""",
    "provider_order": """
SELECT o.id, b.name, o.face_value_minor AS minor, o.currency
FROM provider_orders o JOIN brands b ON b.id = o.brand_id WHERE o.id = ANY(:ids)
""",
    "route": """
SELECT r.id, b.name || ' by ' || r.vendor AS name, CAST(NULL AS bigint) AS minor, b.currency
FROM brand_routes r JOIN brands b ON b.id = r.brand_id WHERE r.id = ANY(:ids)
""",
}


def names_of_subjects(session: Session, alerts: Iterable[Row[Any]]) -> dict[Subject, str]:
    """Names of subjects, as far as the session's scope sees what is named."""
    wanted: dict[str, set[UUID]] = defaultdict(set)
    for alert in alerts:
        subject = kind_named(alert.kind).subject
        if alert.subject_id is not None and subject in _NAMES:
            wanted[subject].add(alert.subject_id)
    return {
        (subject, row.id): row.name
        if row.minor is None
        else f"{row.name}, {money(row.minor, row.currency)}"
        for subject, ids in wanted.items()
        for row in session.execute(text(_NAMES[subject]), {"ids": sorted(ids)})
        if row.name is not None
    }
