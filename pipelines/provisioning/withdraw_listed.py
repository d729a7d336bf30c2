"""Take back the codes of a file: those of a list that leaked, and no others of the campaign."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models.tenants import Campaign
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.limits import Limits
from pipelines.provisioning.code_file import LISTED_MAX, in_parts, read_codes, rows_by_reason
from pipelines.sealing import Keyring

#: Locked before it is looked who was redeemed, as in `withdraw_codes`.
_LOCK = text("""
SELECT blind_index, withdrawn_at IS NOT NULL AS is_withdrawn FROM loaded_codes
WHERE campaign_id = :campaign AND blind_index = ANY(CAST(:indexes AS bytea[]))
ORDER BY blind_index FOR NO KEY UPDATE
""")
_WITHDRAW = text("""
UPDATE loaded_codes l SET withdrawn_at = :now
WHERE campaign_id = :campaign AND blind_index = ANY(CAST(:indexes AS bytea[]))
  AND withdrawn_at IS NULL
  AND NOT EXISTS (SELECT FROM redemption_codes r
      WHERE r.campaign_id = l.campaign_id AND r.blind_index = l.blind_index)
RETURNING blind_index
""")


@dataclass(frozen=True, slots=True)
class ListWithdrawn:
    """What became of a file: how many codes were withdrawn, and which rows changed nothing."""

    #: The audit entry that tells of it.
    entry_id: UUID
    withdrawn: int
    unchanged_count: int
    #: `(row, code)`: `unknown_code`, `already_redeemed`, `already_withdrawn` or `duplicate_in_file`;
    #: the first of them.
    unchanged: tuple[tuple[int, str], ...]


def withdraw_listed(
    session: Session,
    campaign_id: UUID,
    stream: BinaryIO,
    *,
    reason: str,
    actor_id: UUID,
    keyring: Keyring,
    limits: Limits,
    now: datetime,
) -> ListWithdrawn:
    """Make the open codes of the file bring nothing; the same file again withdraws nothing.

    A code that brought a card, or is about to, stays as it is. One row that is no code refuses the
    file. Raises `NotFound`, `ValidationFailed` and what the CSV reader refuses.
    """
    campaign = session.execute(
        select(Campaign.agency_id, Campaign.client_id).where(Campaign.id == campaign_id)
    ).one_or_none()
    if campaign is None:
        raise NotFound
    found = read_codes(stream, campaign_id, keyring=keyring, limits=limits)
    unchanged = [(row, "duplicate_in_file") for row in found.repeated]
    withdrawn = 0
    for part in in_parts(found.rows):
        why = _withdraw(session, {"campaign": campaign_id, "indexes": part, "now": now})
        withdrawn += len(part) - len(why)
        unchanged += [(found.rows[index], code) for index, code in why.items()]
    listed = tuple(sorted(unchanged)[:LISTED_MAX])
    entry_id = record(
        session,
        "codes.withdrawn",
        object_kind="campaign",
        object_id=campaign_id,
        actor_id=actor_id,
        agency_id=campaign.agency_id,
        client_id=campaign.client_id,
        detail={
            "withdrawn": withdrawn,
            "unchanged": len(unchanged),
            "reason": reason,
            **rows_by_reason(listed),
        },
    )
    return ListWithdrawn(entry_id, withdrawn, len(unchanged), listed)


def _withdraw(session: Session, values: dict[str, Any]) -> dict[bytes, str]:
    """Withdraw what can be; why each of the others was not, by its index."""
    known = {bytes(row.blind_index): row.is_withdrawn for row in session.execute(_LOCK, values)}
    done = {bytes(row.blind_index) for row in session.execute(_WITHDRAW, values)}
    return {
        index: "unknown_code"
        if index not in known
        else "already_withdrawn"
        if known[index]
        else "already_redeemed"
        for index in values["indexes"]
        if index not in done
    }
