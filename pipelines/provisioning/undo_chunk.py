"""Take back one chunk of given cards: cards to stock, credit to its payer, links dead, at once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import ItemState, JobState
from models.ledger import TransferKind
from pipelines.credit.refund import give_back
from pipelines.jobs.chunks import among
from pipelines.jobs.kinds import ChunkInHand
from pipelines.jobs.verdicts import CANCELLED, Verdict
from pipelines.jobs.work_chunk import pending_positions, rest_in_hand
from pipelines.limits import Limits
from pipelines.provisioning.deliveries import stop_deliveries
from pipelines.telemetry import get_logger

log = get_logger(__name__)

ALREADY_REVEALED = Verdict(
    ItemState.FAILED,
    "already_revealed",
    "The recipient has seen this card; it stays with them and stays charged.",
)
ALREADY_UNDONE = Verdict(
    ItemState.SKIPPED, "already_undone", "An earlier undo has taken this card back."
)
ALREADY_REPLACED = Verdict(
    ItemState.SKIPPED,
    "already_replaced",
    "This card did not work; its charge went to the card that replaced it.",
)
NOT_TAKEN_BACK = Verdict(
    ItemState.FAILED, "internal_error", "An internal error; the card was not taken back."
)

_JOB = text("SELECT id, client_id, state, undoes_id FROM jobs WHERE id = :job")
# The lock decides between a reveal and the undo: whoever comes second sees what the first did.
_GIVEN = text("""
SELECT id, position, card_id, charge_minor, revealed_at, undone_at, replaced_at FROM provisions
WHERE job_id = :original AND position = ANY(:positions) AND position BETWEEN :first AND :last
ORDER BY position FOR NO KEY UPDATE
""")
# The hold of the item's round knows which account paid.
_PAID = text("""
SELECT i.position, h.account_id
FROM items i JOIN holds h ON h.job_id = i.job_id AND h.round = i.round
WHERE i.job_id = :original AND i.position BETWEEN :first AND :last
""")
_UNDO = text("""
UPDATE provisions p SET undone_at = :now, undone_job_id = :job, undo_transfer_id = u.transfer,
    reveal_version = p.reveal_version + 1
FROM unnest(CAST(:ids AS uuid[]), CAST(:transfers AS uuid[])) AS u (id, transfer)
WHERE p.id = u.id AND p.job_id = :original AND p.position BETWEEN :first AND :last
  AND p.undone_at IS NULL AND p.replaced_at IS NULL AND p.revealed_at IS NULL
""")
_RETURN = text("SELECT return_cards(:client, :job, CAST(:cards AS uuid[]))")
_SUCCEED = text("""
UPDATE items i SET state = 'succeeded', result_id = p.id, attempts = i.attempts + 1,
    code = NULL, detail = NULL
FROM unnest(CAST(:ids AS uuid[]), CAST(:positions AS integer[])) AS p (id, position)
WHERE i.job_id = :job AND i.position = p.position AND i.position BETWEEN :first AND :last
  AND i.state = 'pending'
""")
# What is not taken back has no charge to give back, and so no other try; a fault of ours has.
_END = text("""
UPDATE items SET state = :state, code = :code, detail = :detail, attempts = attempts + 1,
    charge_minor = CASE WHEN :is_final THEN 0 ELSE charge_minor END
WHERE job_id = :job AND position = ANY(:positions) AND position BETWEEN :first AND :last
  AND state = 'pending'
""")


@dataclass(frozen=True, slots=True)
class UndoInHand:
    """The undo and the job it takes back."""

    id: UUID
    client_id: UUID
    original_id: UUID


@dataclass(frozen=True, slots=True)
class Given:
    """A provision of the original, locked, and the account that paid for it."""

    id: UUID
    position: int
    card_id: UUID
    charge_minor: int
    revealed_at: datetime | None
    undone_at: datetime | None
    replaced_at: datetime | None
    account_id: UUID

    @property
    def is_live(self) -> bool:
        """Neither taken back nor replaced."""
        return self.undone_at is None and self.replaced_at is None


def run_undo_chunk(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """Every pending item in hand: taken back, or told why not; the refund is the last write."""
    row = session.execute(_JOB, {"job": chunk.job_id}).one()
    undo = UndoInHand(row.id, row.client_id, row.undoes_id)
    positions = pending_positions(session, chunk)
    if row.state == JobState.CANCELLING:
        _end(session, undo, positions, CANCELLED, is_final=False)
        rest_in_hand(session, chunk, now, limits)
        return
    given = _given(session, undo, positions)
    taken = [p for p in given if p.is_live and p.revealed_at is None]
    transfers = _take_back(session, undo, taken, now)
    revealed = [p.position for p in given if p.is_live and p.revealed_at is not None]
    replaced = [p.position for p in given if p.replaced_at is not None]
    undone = [p.position for p in given if p.undone_at is not None]
    _end(session, undo, revealed, ALREADY_REVEALED, is_final=True)
    _end(session, undo, replaced, ALREADY_REPLACED, is_final=True)
    _end(session, undo, undone, ALREADY_UNDONE, is_final=True)
    rest_in_hand(session, chunk, now, limits)
    _refund(session, undo, taken, transfers)
    log.info(
        "undo.chunk_passed",
        job_id=str(undo.id),
        chunk=chunk.number,
        taken_back=len(taken),
        revealed=len(revealed),
    )


def give_up_undo(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """The item that cannot be worked on ends `failed internal_error`; its card stays given."""
    row = session.execute(_JOB, {"job": chunk.job_id}).one()
    undo = UndoInHand(row.id, row.client_id, row.undoes_id)
    positions = pending_positions(session, chunk)
    _end(session, undo, positions, NOT_TAKEN_BACK, is_final=False)
    rest_in_hand(session, chunk, now, limits)


def _given(session: Session, undo: UndoInHand, positions: Sequence[int]) -> list[Given]:
    if not positions:
        return []
    values = among(positions) | {"original": undo.original_id}
    rows = session.execute(_GIVEN, values).mappings().all()
    paid_by = {row.position: row.account_id for row in session.execute(_PAID, values)}
    given = [
        Given(**row, account_id=paid_by[row["position"]])
        for row in rows
        if row["position"] in paid_by
    ]
    if len(given) != len(positions):
        raise LookupError("an item to undo has no provision, or nobody paid for it")
    return given


def _take_back(
    session: Session, undo: UndoInHand, taken: Sequence[Given], now: datetime
) -> dict[UUID, UUID]:
    """Undo the provisions and return their cards; the refund's transfer id by account."""
    transfers: dict[UUID, UUID] = {account: new_id() for account in {p.account_id for p in taken}}
    if not taken:
        return transfers
    values = among([p.position for p in taken]) | {
        "job": undo.id,
        "original": undo.original_id,
        "now": now,
        "ids": [p.id for p in taken],
        "transfers": [transfers[p.account_id] for p in taken],
    }
    session.execute(_UNDO, values)
    cards = {"client": undo.client_id, "job": undo.id, "cards": [p.card_id for p in taken]}
    stop_deliveries(
        session,
        undo.original_id,
        among([p.position for p in taken]),
        code="undone",
        now=now,
    )
    if session.execute(_RETURN, cards).scalar_one() != len(taken):
        raise LookupError("a card to take back is not in the hands it was given to")
    session.execute(_SUCCEED, values)
    return transfers


def _refund(
    session: Session,
    undo: UndoInHand,
    taken: Sequence[Given],
    transfers: dict[UUID, UUID],
) -> None:
    """One transfer for each account that paid, in the order of accounts' locks."""
    owed: dict[UUID, int] = defaultdict(int)
    for provision in taken:
        owed[provision.account_id] += provision.charge_minor
    for account_id in sorted(owed):
        give_back(
            session,
            account_id=account_id,
            amount=owed[account_id],
            job_id=undo.id,
            transfer_id=transfers[account_id],
            kind=TransferKind.REFUND,
        )


def _end(
    session: Session,
    undo: UndoInHand,
    positions: Sequence[int],
    verdict: Verdict,
    *,
    is_final: bool,
) -> None:
    if positions:
        session.execute(
            _END,
            among(positions)
            | {
                "job": undo.id,
                "state": verdict.state.value,
                "code": verdict.code,
                "detail": verdict.detail,
                "is_final": is_final,
            },
        )
