"""A partner's claims as a file: page by page in short transactions, never a whole code of a sealed book."""

from collections.abc import Iterator
from uuid import UUID

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.audit.record import record
from pipelines.books.coupon_list import shown_code
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.partners.claims import ClaimsWanted, list_claims
from pipelines.partners.read import read_partner

COLUMNS = (
    "claim_id",
    "claimed_at",
    "month",
    "external_id",
    "user_id",
    "offer",
    "book_id",
    "coupon_id",
    "code",
    "coupon_state",
)
#: Rows read at once.
PAGE_ROWS = 1_000


def export_claims(
    sessions: Sessions, scope: Scope, wanted: ClaimsWanted, *, actor_id: UUID
) -> Iterator[bytes]:
    """The claims, newest first, as blocks of CSV; the export is audited. Raises `NotFound`."""
    with scoped_transaction(sessions, scope) as session:
        partner = read_partner(session, wanted.partner_id)
        record(
            session,
            "partner.claims_exported",
            object_kind="partner",
            object_id=partner.id,
            actor_id=actor_id,
            agency_id=partner.agency_id,
            client_id=partner.client_id,
            detail={"month": None if wanted.month is None else wanted.month.isoformat()},
        )
    return csv_blocks(COLUMNS, _rows(sessions, scope, wanted))


def _rows(
    sessions: Sessions, scope: Scope, wanted: ClaimsWanted
) -> Iterator[list[str | int | None]]:
    before: UUID | None = None
    while True:
        with scoped_transaction(sessions, scope) as session:
            rows = list_claims(session, wanted, before=before, limit=PAGE_ROWS)
        for row in rows:
            yield [
                str(row.id),
                row.claimed_at.isoformat(),
                row.claim_month.isoformat()[:7],
                row.external_id,
                str(row.user_id),
                row.title,
                str(row.book_id),
                str(row.coupon_id),
                shown_code(row.code, row.last4),
                row.state,
            ]
        if len(rows) < PAGE_ROWS:
            return
        before = rows[-1].id
