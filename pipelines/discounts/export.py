"""Discount codes as a file: what a list shows, page by page in short transactions."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.access.principals import Principal
from pipelines.audit.record import record
from pipelines.discounts.read import CodeView, Wanted, list_codes
from pipelines.discounts.tiers import tiers_cell
from pipelines.jobs.csv_writer import csv_blocks

COLUMNS = (
    *("id", "client_id", "code", "standing", "kind", "percent_bp", "amount_minor", "currency"),
    *("max_discount_minor", "min_subtotal_minor", "products", "starts_at", "expires_at"),
    "tiers",
    *("max_uses", "max_uses_per_customer", "reserved", "confirmed", "overflow_uses"),
    *("rules_version", "created_at", "stacking_group"),
)
PAGE_ROWS = 2_000


def audit_export(session: Session, caller: Principal, wanted: Wanted) -> None:
    """One audit entry, before the file: somebody takes the codes with them. It names none."""
    record(
        session,
        "discounts.exported",
        object_kind="discount",
        object_id=None,
        actor_id=caller.actor_id,
        agency_id=caller.agency_id,
        client_id=caller.client_id,
        detail={
            "standing": None if wanted.standing is None else wanted.standing.value,
            "of_client": None if wanted.client_id is None else str(wanted.client_id),
            **({} if wanted.batch_id is None else {"of_batch": str(wanted.batch_id)}),
        },
    )


def codes_csv(
    sessions: Sessions, scope: Scope, wanted: Wanted, *, now: datetime
) -> Iterator[bytes]:
    """The codes of the list as blocks of UTF-8, as they stand at `now`."""
    return csv_blocks(COLUMNS, _rows(sessions, scope, wanted, now))


def _rows(
    sessions: Sessions, scope: Scope, wanted: Wanted, now: datetime
) -> Iterator[Sequence[str | int | None]]:
    before: UUID | None = None
    while True:
        with scoped_transaction(sessions, scope) as session:
            found = list_codes(session, wanted, now=now, before=before, limit=PAGE_ROWS, opens=True)
        yield from map(_cells, found)
        if len(found) < PAGE_ROWS:
            return
        before = found[-1].row.id


def _cells(view: CodeView) -> tuple[str | int | None, ...]:
    told: dict[str, Any] = view.as_json()
    told["confirmed"] = told["used"] - told["reserved"]
    told["products"] = None if told["products"] is None else ", ".join(told["products"])
    told["tiers"] = tiers_cell(view.rules.tiers)
    return tuple(_cell(told[name]) for name in COLUMNS)


def _cell(value: Any) -> str | int | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, int) else str(value)
