"""Look a client's people up: by a whole address or external id, or many by their ids."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.access.users import UserNotFound
from pipelines.errors import FieldError, ValidationFailed
from pipelines.user_pools.member_rows import check_member, compared_email

# Two look-ups by index; an address goes before an external id of the same letters.
_FIND = text("""
SELECT user_id, email, external_id, name, disabled_at IS NULL AS is_active FROM (
    SELECT c.*, 1 AS place FROM client_users c
    WHERE c.client_id = :client AND c.email_normalised = :email
    UNION ALL SELECT c.*, 2 FROM client_users c
    WHERE c.client_id = :client AND c.external_id = :words) found
ORDER BY place LIMIT 1
""")
_EXACTLY = text("""
SELECT user_id FROM client_users
WHERE client_id = :client AND (email_normalised = :email OR external_id = :external_id)
""")
_NAMED = text("""
SELECT c.user_id, c.email, coalesce(c.external_id, p.external_id) AS external_id, c.name
FROM client_users c
LEFT JOIN partner_users p ON p.user_id = c.user_id AND p.client_id = c.client_id
WHERE c.client_id = :client AND c.user_id = ANY (:users)
""")


def find_person(session: Session, client_id: UUID, words: str) -> Row[Any] | None:
    """Whom the client knows by the whole of `words`; None for nobody."""
    values = {"client": client_id, "email": compared_email(words), "words": words}
    return session.execute(_FIND, values).one_or_none()


class NotKnownYet(UserNotFound):
    """An address or an external id that is nobody's here: it is added before it is given anything."""

    detail = (
        "You know nobody by this. Add them first, such as to a pool with `create_missing`: "
        "POST /pools/{id}/users."
    )


def known_person(
    session: Session, client_id: UUID, *, email: str | None = None, external_id: str | None = None
) -> UUID:
    """Whom the client knows by this address, or by its own id, read as a file of people is.

    Raises `NotKnownYet`, and `ValidationFailed` for what is no address or no id.
    """
    named = check_member({"email": email or "", "external_id": external_id or ""})
    if isinstance(named, FieldError):
        raise ValidationFailed(errors=(replace(named, field=None, pointer=f"/{named.field}"),))
    values = {
        "client": client_id,
        "email": named.email_normalised,
        "external_id": named.external_id,
    }
    found: UUID | None = session.execute(_EXACTLY, values).scalar_one_or_none()
    if found is None:
        raise NotKnownYet
    return found


def people_named(
    session: Session, client_id: UUID, user_ids: Collection[UUID]
) -> dict[UUID, Row[Any]]:
    """Who these people are to the client; whom it does not know any more is not there.

    A partner's user is known by the partner's own id alone.
    """
    found = session.execute(_NAMED, {"client": client_id, "users": list(user_ids)})
    return {row.user_id: row for row in found}
