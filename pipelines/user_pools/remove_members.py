"""Take people out of a pool; what they were given stays theirs."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError, NotFound
from pipelines.user_pools.add_members import People
from pipelines.user_pools.member_rows import compared_email
from pipelines.user_pools.pools import audit_pool, pool

_FOUND = text("""
SELECT c.user_id, c.email_normalised, c.external_id FROM client_users c
JOIN user_pool_members m ON m.pool_id = :pool AND m.user_id = c.user_id
WHERE c.client_id = :client AND (c.user_id = ANY (:users) OR c.email_normalised = ANY (:emails)
    OR c.external_id = ANY (:external_ids))
""")
_REMOVE = text("""
DELETE FROM user_pool_members WHERE pool_id = :pool AND user_id = ANY (:users)
""")


@dataclass(frozen=True, slots=True)
class Removed:
    """How many went, and the entries that named no member."""

    removed: int
    unknown: tuple[FieldError, ...]


def remove_member(session: Session, pool_id: UUID, user_id: UUID, *, actor_id: UUID) -> None:
    """Take one person out. Raises `NotFound`, also for who is not in the pool."""
    row = pool(session, pool_id)
    if not _remove(session, pool_id, [user_id]):
        raise NotFound
    audit_pool(session, "user_pool.members_removed", row, actor_id, {"removed": 1})


def remove_members(session: Session, pool_id: UUID, people: People, *, actor_id: UUID) -> Removed:
    """Take out whoever is named and in the pool; the others are told. Raises `NotFound`."""
    row = pool(session, pool_id)
    asked: dict[str, list[Any]] = {
        "users": list(people.user_ids),
        "emails": [compared_email(email) for email in people.emails],
        "external_ids": list(people.external_ids),
    }
    found = session.execute(_FOUND, asked | {"pool": pool_id, "client": row.client_id}).all()
    removed = _remove(session, pool_id, [member.user_id for member in found])
    if removed:
        told = {"removed": removed}
        audit_pool(session, "user_pool.members_removed", row, actor_id, told)
    return Removed(removed, _unknown(asked, found))


def _remove(session: Session, pool_id: UUID, user_ids: list[UUID]) -> int:
    result: Any = session.execute(_REMOVE, {"pool": pool_id, "users": sorted(user_ids)})
    return int(result.rowcount)


def _unknown(asked: dict[str, list[Any]], found: Any) -> tuple[FieldError, ...]:
    lists = {
        "user_ids": ("users", {row.user_id for row in found}),
        "emails": ("emails", {row.email_normalised for row in found}),
        "external_ids": ("external_ids", {row.external_id for row in found}),
    }
    return tuple(
        FieldError("not_a_member", "This person is not in the pool.", pointer=f"/{name}/{place}")
        for name, (key, members) in lists.items()
        for place, given in enumerate(asked[key])
        if given not in members
    )
