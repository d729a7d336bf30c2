"""Load the codes that a campaign hands out: whole files, kept as indexes, never as text."""

from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models.tenants import Campaign, CampaignState
from pipelines.audit.record import record
from pipelines.errors import FieldError, NotFound
from pipelines.limits import Limits
from pipelines.provisioning.campaigns import brand_in_use, brands_of_client
from pipelines.provisioning.code_file import (
    LISTED_MAX,
    CodeFile,
    in_parts,
    read_codes,
    refuse_rows,
    rows_by_reason,
)
from pipelines.provisioning.code_rows import (
    PATTERN_BITS_MIN,
    PatternSpaceTooSmall,
    pattern_bits,
)
from pipelines.provisioning.refusals import CampaignNotActive
from pipelines.sealing import Keyring

_LOAD = text("""
INSERT INTO loaded_codes (campaign_id, blind_index, agency_id, client_id, brand_id,
    denomination_minor, loaded_by)
SELECT :campaign, c.blind_index, :agency, :client, :brand, :denomination, :actor
FROM unnest(CAST(:indexes AS bytea[])) AS c (blind_index)
ON CONFLICT (campaign_id, blind_index) DO UPDATE SET withdrawn_at = NULL,
    brand_id = excluded.brand_id, denomination_minor = excluded.denomination_minor,
    loaded_by = excluded.loaded_by
WHERE loaded_codes.withdrawn_at IS NOT NULL AND :reopen
RETURNING blind_index
""")
_DIFFERING = text("""
SELECT blind_index FROM loaded_codes
WHERE campaign_id = :campaign AND blind_index = ANY(CAST(:indexes AS bytea[]))
  AND withdrawn_at IS NULL
  AND (brand_id, denomination_minor) IS DISTINCT FROM (CAST(:brand AS uuid), :denomination)
""")
_WITHDRAWN = text("""
SELECT blind_index FROM loaded_codes
WHERE campaign_id = :campaign AND blind_index = ANY(CAST(:indexes AS bytea[]))
  AND withdrawn_at IS NOT NULL
""")
_GOOD = text("""
SELECT count(*) FROM loaded_codes WHERE campaign_id = :campaign AND withdrawn_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class CodesToLoad:
    """For whom the codes are and what each is worth, in minor units of the brand's currency.

    Withdrawn codes of the file are good again with `reopen_withdrawn` alone: they may have leaked.
    """

    campaign_id: UUID
    brand_id: UUID
    denomination_minor: int
    reopen_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file: how many are new or good again, and which rows changed nothing."""

    #: The audit entry that tells of it.
    entry_id: UUID
    loaded: int
    duplicate_count: int
    #: Of these, codes that were withdrawn before and stay so.
    left_withdrawn: int
    #: `(row, code)`: `duplicate_in_file`, `already_loaded` or `already_withdrawn`; the first of them.
    duplicates: tuple[tuple[int, str], ...]


def load_codes(
    session: Session,
    wanted: CodesToLoad,
    stream: BinaryIO,
    *,
    actor_id: UUID,
    keyring: Keyring,
    limits: Limits,
) -> Loaded:
    """Take every code of the file that is new to the campaign; loading a file again loads nothing.

    A withdrawn code stays so and is told, unless it shall be good again: then it is, for what this
    file says. One wrong row refuses the whole file, and so does a known code of another brand or
    value that is not withdrawn. Raises `NotFound`, `CampaignNotActive`,
    `BrandNotAllowed`, `PatternSpaceTooSmall`, `ValidationFailed` and what the CSV reader refuses.
    """
    campaign = session.execute(
        select(Campaign.agency_id, Campaign.client_id, Campaign.state).where(
            Campaign.id == wanted.campaign_id
        )
    ).one_or_none()
    if campaign is None:
        raise NotFound
    if campaign.state == CampaignState.CLOSED:
        raise CampaignNotActive("The campaign is closed; it hands out no codes any more.")
    brand_in_use(brands_of_client(session, campaign.client_id), wanted.brand_id)
    good = session.execute(_GOOD, {"campaign": wanted.campaign_id}).scalar_one()
    found = read_codes(stream, wanted.campaign_id, keyring=keyring, limits=limits)
    if found.codes and pattern_bits(found.codes, known=good) < PATTERN_BITS_MIN:
        raise PatternSpaceTooSmall
    values = {
        "campaign": wanted.campaign_id,
        "agency": campaign.agency_id,
        "client": campaign.client_id,
        "brand": wanted.brand_id,
        "denomination": wanted.denomination_minor,
        "actor": actor_id,
        "reopen": wanted.reopen_withdrawn,
    }
    new = {index for part in in_parts(found.rows) for index in _insert(session, values, part)}
    _refuse_differing(session, values, found.rows)
    withdrawn = _withdrawn(session, values, found.rows)
    duplicates = _changed_nothing(found, new, withdrawn)
    listed = tuple(duplicates[:LISTED_MAX])
    tenant, counts = (campaign.agency_id, campaign.client_id), (len(new), len(duplicates))
    entry_id = _tell(session, wanted, counts, len(withdrawn), listed, actor_id, tenant=tenant)
    return Loaded(entry_id, *counts, len(withdrawn), listed)


def _changed_nothing(
    found: CodeFile, new: set[bytes], withdrawn: set[bytes]
) -> list[tuple[int, str]]:
    known = [
        (row, "already_withdrawn" if index in withdrawn else "already_loaded")
        for index, row in found.rows.items()
        if index not in new
    ]
    return sorted([(row, "duplicate_in_file") for row in found.repeated] + known)


def _tell(
    session: Session,
    wanted: CodesToLoad,
    counts: tuple[int, int],
    left_withdrawn: int,
    listed: tuple[tuple[int, str], ...],
    actor_id: UUID,
    *,
    tenant: tuple[UUID, UUID],
) -> UUID:
    return record(
        session,
        "codes.loaded",
        object_kind="campaign",
        object_id=wanted.campaign_id,
        actor_id=actor_id,
        agency_id=tenant[0],
        client_id=tenant[1],
        detail={
            "loaded": counts[0],
            "duplicates": counts[1],
            "left_withdrawn": left_withdrawn,
            "reopen_withdrawn": wanted.reopen_withdrawn,
            "brand_id": str(wanted.brand_id),
            "denomination_minor": wanted.denomination_minor,
            **rows_by_reason(listed),
        },
    )


def _refuse_differing(session: Session, values: dict[str, object], rows: dict[bytes, int]) -> None:
    """A known code keeps its brand and value; who wants another one withdraws it first."""
    sentence = "The code is loaded with another brand or value. Withdraw it first, or leave it out."
    differing = (
        rows[bytes(index)]
        for part in in_parts(rows)
        for index in session.execute(_DIFFERING, values | {"indexes": part}).scalars()
    )
    refuse_rows(
        [
            FieldError("code_differs", sentence, row=row, field="redemption_code")
            for row in sorted(differing)
        ]
    )


def _withdrawn(session: Session, values: dict[str, object], rows: dict[bytes, int]) -> set[bytes]:
    return {
        bytes(index)
        for part in in_parts(rows)
        for index in session.execute(_WITHDRAWN, values | {"indexes": part}).scalars()
    }


def _insert(session: Session, values: dict[str, object], indexes: list[bytes]) -> list[bytes]:
    found = session.execute(_LOAD, values | {"indexes": indexes})
    return [bytes(row.blind_index) for row in found]
