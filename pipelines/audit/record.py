"""Write one audit entry with the effect it tells of; a duty numbers and chains it later."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from pipelines.audit.circumstances import circumstances
from pipelines.telemetry import scrub_text

#: The longest `reason`, a person's own words, that a door takes.
REASON_CHARACTERS_MAX = 200
_RECORD = text("""
INSERT INTO audit_entries (id, agency_id, client_id, actor_id, actor_role, on_behalf_of, action,
    object_kind, object_id, detail, request_id, job_id, address)
VALUES (:id, :agency_id, :client_id, :actor_id, :actor_role, :on_behalf_of, :action,
    :object_kind, :object_id, :detail, :request_id, :job_id, :address)
""")
Fact = str | int | bool | None
#: `[before, after]` of what was changed, or a plain fact.
Detail = Mapping[str, Fact | Sequence[Fact]]


def record(
    session: Session,
    action: str,
    *,
    object_kind: str,
    object_id: UUID | None,
    actor_id: UUID | None,
    agency_id: UUID | None = None,
    client_id: UUID | None = None,
    job_id: UUID | None = None,
    detail: Detail | None = None,
) -> UUID:
    """Record `action` on an object, and return the entry's id; `detail` holds ids, numbers and our own names of things.

    The one free text is `reason`: a person's own words, which the doors cut or refuse at 200
    characters, kept without what has the shape of an address or a secret. Codes, recipients and
    what the software knows of them never go in. What changed is told as `[before, after]`.
    Who acts, as what and from where is known from the request.
    """
    request = circumstances()
    is_caller = actor_id is not None and actor_id == request.actor_id
    identity = new_id()
    values = {
        "id": identity,
        "agency_id": agency_id,
        "client_id": client_id,
        "actor_id": actor_id,
        "actor_role": request.actor_role if is_caller else None,
        "on_behalf_of": request.on_behalf_of if is_caller else None,
        "action": action,
        "object_kind": object_kind,
        "object_id": object_id,
        "detail": Jsonb(_said(detail or {})),
        "request_id": get_contextvars().get("request_id"),
        "job_id": job_id or (object_id if object_kind == "job" else None),
        "address": request.address,
    }
    session.execute(_RECORD, values)
    return identity


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[Fact]]:
    """`[before, after]` of each field whose value is another one afterwards."""
    return {
        name: [_fact(before.get(name)), _fact(value)]
        for name, value in after.items()
        if before.get(name) != value
    }


def _said(detail: Detail) -> dict[str, Fact | Sequence[Fact]]:
    reason = detail.get("reason")
    told = {"reason": scrub_text(reason)} if isinstance(reason, str) else {}
    return {**detail, **told}


def _fact(value: object) -> Fact:
    return value if value is None or isinstance(value, str | int) else str(value)
