"""Who is named by many rows, judged as a set: found, doubled, a member already, or nobody.

A look-up per row by index, whatever the planner believes of the tables' sizes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.access.users import UserNotFound
from pipelines.errors import FieldError
from pipelines.jobs.copying import copy_rows
from pipelines.user_pools.member_rows import Named

_CREATE = text("""
CREATE TEMPORARY TABLE pool_intake (
    position integer NOT NULL, made_id uuid, user_id uuid, email text, email_normalised text,
    external_id text, name text, code text, detail text, field text) ON COMMIT DROP
""")
_CREATE_VERDICTS = text("""
CREATE TEMPORARY TABLE pool_verdicts (
    position integer NOT NULL, person uuid, is_new boolean NOT NULL, state text, code text,
    detail text, field text) ON COMMIT DROP
""")
_COPY = (
    "COPY pool_intake (position, made_id, user_id, email, email_normalised, external_id, name, "
    "code, detail, field) FROM STDIN"
)
_ANALYZE = text("ANALYZE pool_intake")
_EMPTY = text("TRUNCATE pool_verdicts")
# What a row's identifiers lead to must be one person; two rows that would make somebody must not
# give one address two external ids, nor the other way round. What is skipped is no fault.
_JUDGE = text("""
WITH found AS (
    SELECT i.*, u.user_id AS by_id, e.user_id AS by_email, x.user_id AS by_external,
        e.external_id AS known_external,
        coalesce(u.is_off, x.is_off, e.is_off, false) AS is_off
    FROM pool_intake i
    LEFT JOIN LATERAL (
        SELECT c.user_id, c.disabled_at IS NOT NULL AS is_off FROM client_users c
        WHERE c.client_id = :client AND c.user_id = i.user_id LIMIT 1) u ON true
    LEFT JOIN LATERAL (
        SELECT c.user_id, c.external_id, c.disabled_at IS NOT NULL AS is_off FROM client_users c
        WHERE c.client_id = :client AND c.email_normalised = i.email_normalised LIMIT 1) e ON true
    LEFT JOIN LATERAL (
        SELECT c.user_id, c.disabled_at IS NOT NULL AS is_off FROM client_users c
        WHERE c.client_id = :client AND c.external_id = i.external_id LIMIT 1) x ON true
), joined AS (
    SELECT f.*, coalesce(by_id, by_external, by_email) AS person,
        code IS NULL AND (coalesce(by_id <> by_email, false) OR coalesce(by_id <> by_external, false)
            OR coalesce(by_external <> by_email, false)
            OR coalesce(known_external <> external_id, false)) AS is_torn,
        code IS NULL AND :makes AND user_id IS NULL
            AND coalesce(by_email, by_external) IS NULL AS is_new
    FROM found f
), agreed AS (
    SELECT j.*, is_torn OR (is_new AND (
            coalesce(external_id <> min(external_id)
                OVER (PARTITION BY is_new, email_normalised), false)
                AND email_normalised IS NOT NULL
            OR coalesce(email_normalised <> min(email_normalised)
                OVER (PARTITION BY is_new, external_id), false)
                AND external_id IS NOT NULL)) AS differs
    FROM joined j
), placed AS (
    SELECT a.*, CASE WHEN code IS NULL AND NOT differs THEN person END AS whom,
        min(position) OVER (PARTITION BY CASE WHEN code IS NULL AND NOT differs THEN person END)
            AS first_position
    FROM agreed a
), judged AS (
    SELECT p.*, CASE
        WHEN code IS NOT NULL THEN code
        WHEN differs THEN 'identifiers_differ'
        WHEN whom IS NULL AND NOT is_new THEN 'user_not_found'
        WHEN whom IS NOT NULL AND first_position < position THEN 'duplicate_in_file'
        WHEN EXISTS (SELECT FROM user_pool_members m
                     WHERE m.pool_id = :pool AND m.user_id = p.whom) THEN 'already_member'
        WHEN is_off THEN 'recipient_inactive' END AS verdict
    FROM placed p
)
INSERT INTO pool_verdicts (position, person, is_new, state, code, detail, field)
SELECT position, whom, is_new AND NOT differs,
    CASE WHEN verdict IN ('duplicate_in_file', 'already_member', 'recipient_inactive')
        THEN 'skipped' WHEN verdict IS NOT NULL THEN 'failed' END,
    verdict,
    CASE WHEN code IS NOT NULL THEN detail ELSE CASE verdict
        WHEN 'identifiers_differ' THEN 'The identifiers lead to different people.'
        WHEN 'user_not_found' THEN :not_found
        WHEN 'duplicate_in_file' THEN 'The same person stands in row ' || first_position || '.'
        WHEN 'already_member' THEN 'This person is in the pool already.'
        WHEN 'recipient_inactive' THEN 'The account of this person is disabled.' END END,
    CASE WHEN code IS NOT NULL THEN field
        WHEN verdict IN ('identifiers_differ', 'user_not_found') THEN CASE
            WHEN user_id IS NOT NULL THEN 'user_id' WHEN email IS NOT NULL THEN 'email'
            ELSE 'external_id' END END
FROM judged
""")
_KNOW = text("""
SELECT know_people(:agency, :client, array_agg(i.made_id ORDER BY i.position),
    array_agg(i.email ORDER BY i.position), array_agg(i.email_normalised ORDER BY i.position),
    array_agg(i.name ORDER BY i.position), array_agg(i.external_id ORDER BY i.position))
FROM pool_intake i JOIN pool_verdicts v ON v.position = i.position
WHERE v.is_new OR (v.state IS DISTINCT FROM 'failed' AND i.email IS NOT NULL
    AND i.external_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM client_users c WHERE c.client_id = :client AND c.external_id = i.external_id))
HAVING count(*) > 0
""")
_TALLY = text("""
SELECT count(*) AS rows, count(*) FILTER (WHERE state IS NULL) AS good,
    count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE is_new) AS new,
    count(*) FILTER (WHERE code = 'duplicate_in_file') AS duplicates,
    count(*) FILTER (WHERE code = 'already_member') AS already_members,
    count(*) FILTER (WHERE code = 'recipient_inactive') AS inactive
FROM pool_verdicts
""")
_FAULTS = text("""
SELECT position, code, detail, field FROM pool_verdicts WHERE state = 'failed'
ORDER BY position LIMIT :limit
""")
_LEFT_OUT = text("""
SELECT position, code, detail FROM pool_verdicts WHERE state IS NOT NULL
ORDER BY position LIMIT :limit
""")
_NEW = text("SELECT position FROM pool_verdicts WHERE is_new")
_ADDED_OF = text("""
SELECT count(*) FROM pool_verdicts WHERE state IS NULL AND position = ANY (:positions)
""")
# Who was named by an id was made known by it, and is no new person.
_AS_ADDED = text("""
UPDATE pool_verdicts v SET state = NULL, code = NULL, detail = NULL,
    is_new = i.user_id IS NULL AND c.created_at = :at
FROM pool_intake i, user_pool_members m, client_users c
WHERE v.code = 'already_member' AND i.position = v.position
  AND m.pool_id = :pool AND m.user_id = v.person AND m.added_by = :actor AND m.added_at = :at
  AND c.client_id = :client AND c.user_id = v.person
""")
_AS_GONE = text("""
UPDATE pool_verdicts SET state = 'failed', code = 'not_a_member',
    detail = 'This person is not in the pool.'
WHERE state IS NULL
""")
# In the order of their ids, as whoever else adds them does.
_ADD = text("""
INSERT INTO user_pool_members (pool_id, user_id, agency_id, client_id, added_by)
SELECT :pool, person, :agency, :client, :actor FROM pool_verdicts WHERE state IS NULL
ORDER BY person
""")


@dataclass(frozen=True, slots=True)
class Place:
    """The pool and whose it is."""

    pool_id: UUID
    agency_id: UUID
    client_id: UUID

    @property
    def values(self) -> dict[str, UUID]:
        return {"pool": self.pool_id, "agency": self.agency_id, "client": self.client_id}


@dataclass(frozen=True, slots=True)
class Tally:
    """What the rows amount to; `new` are those whom the client did not know."""

    rows: int
    good: int
    failed: int
    new: int
    duplicates: int
    already_members: int
    inactive: int

    @property
    def skipped(self) -> int:
        return self.duplicates + self.already_members + self.inactive


@dataclass(frozen=True, slots=True)
class Entry:
    """One row after its own check: whom it names, or what is wrong with it and what it said."""

    position: int
    said: Named | FieldError
    email: str | None = None
    external_id: str | None = None
    name: str | None = None


def stage(session: Session, rows: Iterable[Entry]) -> None:
    """COPY the rows into a temporary table, which the commit drops."""
    session.execute(_CREATE)
    session.execute(_CREATE_VERDICTS)
    copy_rows(session, _COPY, (_columns(row) for row in rows))
    session.execute(_ANALYZE)


def judge(session: Session, place: Place, *, makes: bool) -> Tally:
    """Say of each row who it is; with `makes` nobody is unknown. It may be asked again."""
    session.execute(_EMPTY)
    session.execute(_JUDGE, place.values | {"makes": makes, "not_found": UserNotFound.detail})
    return Tally(**session.execute(_TALLY).one()._mapping)


def judge_again(session: Session, place: Place, *, actor_id: UUID, at: datetime) -> Tally:
    """Say of each row what became of it when the actor added them at that moment, as it still is."""
    judge(session, place, makes=False)
    session.execute(_AS_GONE)
    session.execute(_AS_ADDED, place.values | {"actor": actor_id, "at": at})
    return Tally(**session.execute(_TALLY).one()._mapping)


def new_rows(session: Session) -> list[int]:
    """The rows of people who are still to be made; which are of the same nobody can say yet."""
    return list(session.execute(_NEW).scalars())


def count_added(session: Session, positions: list[int]) -> int:
    """How many of these rows are good."""
    return int(session.execute(_ADDED_OF, {"positions": positions}).scalar_one())


def make_known(session: Session, place: Place) -> None:
    """Make the client know whom it did not; the rows are judged anew afterwards."""
    session.execute(_KNOW, {"agency": place.agency_id, "client": place.client_id})


def add_good(session: Session, place: Place, *, actor_id: UUID) -> None:
    """Put whom the good rows name into the pool, which the caller has locked."""
    session.execute(_ADD, place.values | {"actor": actor_id})


def faults(session: Session, limit: int) -> list[tuple[int, FieldError]]:
    """The first rows that are wrong, each with what is."""
    return [
        (row.position, FieldError(row.code, row.detail, row=row.position, field=row.field))
        for row in session.execute(_FAULTS, {"limit": limit})
    ]


def left_out(session: Session, limit: int) -> tuple[tuple[int, str, str], ...]:
    """(position, code, detail) of the first rows that were not added, wrong ones and others."""
    found = session.execute(_LEFT_OUT, {"limit": limit})
    return tuple((row.position, row.code, row.detail) for row in found)


def _columns(row: Entry) -> tuple[Any, ...]:
    said = row.said
    if isinstance(said, FieldError):
        shown = (_shown(row.email), None, _shown(row.external_id), _shown(row.name))
        return (row.position, None, None, *shown, said.code, said.detail, said.field)
    named = (said.user_id, said.email, said.email_normalised, said.external_id, said.name)
    return (row.position, new_id(), *named, None, None, None)


def _shown(value: str | None) -> str | None:
    """A wrong row's own text, so that its owner can find and mend it; NUL cannot be stored."""
    return value.replace("\0", "�")[:1024] if value else None
