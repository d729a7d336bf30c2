"""Hold a request to its campaign's conditions: the window, and the rewards that are left (S4-128).

Who takes a place of a limited campaign locks its count and decides; triggers then count its item,
and free the place when the item ends without a card or the card is taken back.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import Refusal
from pipelines.provisioning.refusals import (
    CampaignEnded,
    CampaignNotStarted,
    RecipientLimitReached,
    RewardsExhausted,
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a campaign asks of its rewards; None: it does not ask."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    max_rewards: int | None = None
    max_per_recipient: int | None = None

    @property
    def are_counted(self) -> bool:
        return self.max_rewards is not None or self.max_per_recipient is not None

    def outside(self, moment: datetime) -> type[Refusal] | None:
        """Why nothing is given at this moment; the window begins with its start and ends before its end."""
        if self.starts_at is not None and moment < self.starts_at:
            return CampaignNotStarted
        if self.ends_at is not None and moment >= self.ends_at:
            return CampaignEnded
        return None


UNCONDITIONAL = Conditions()

_TOTAL = """
SELECT counted FROM reward_counts WHERE campaign_id = :campaign AND person_key = ''
"""
_COUNTED = text(_TOTAL)
_LOCK_COUNT = text(_TOTAL + "FOR NO KEY UPDATE")
_OF_PERSON = text("""
SELECT counted FROM reward_counts WHERE campaign_id = :campaign AND person_key = :person
""")
# `written`: the rows are counted already, and come after whatever else is.
_MARK_LIMIT = text("""
UPDATE intake SET code = :code, detail = :detail, field = 'email'
FROM (SELECT i.position, row_number() OVER (PARTITION BY i.person_key ORDER BY i.position)
        + coalesce(r.counted, 0)
        - CASE WHEN :written THEN count(*) OVER (PARTITION BY i.person_key) ELSE 0 END AS place
      FROM intake i LEFT JOIN reward_counts r
        ON r.campaign_id = :campaign AND r.person_key = i.person_key
      WHERE i.code IS NULL AND i.person_key IS NOT NULL) taken
WHERE intake.position = taken.position AND taken.place > :most
""")
_MARK_EXHAUSTED = text("""
UPDATE intake SET code = :code, detail = :detail
FROM (SELECT position, row_number() OVER (ORDER BY position) + :counted AS place
      FROM intake WHERE code IS NULL) taken
WHERE intake.position = taken.position AND taken.place > :most
""")
# What the staged rows have come to be since they were written as items.
_END_BEYOND = text("""
UPDATE items i SET state = 'failed', code = t.code, detail = t.detail, field = t.field,
    charge_minor = 0
FROM intake t
WHERE t.position = i.position AND t.code IN (:exhausted, :reached)
  AND i.job_id = :job AND i.state = 'pending'
""")
_CONDITIONS = text("""
SELECT starts_at, ends_at, max_rewards, max_rewards_per_recipient FROM campaigns
WHERE id = :campaign
""")
_OVER = text("""
SELECT c.max_rewards < r.counted AS in_all, EXISTS (
    SELECT FROM reward_counts p
    WHERE p.campaign_id = c.id AND p.person_key <> '' AND p.counted > c.max_rewards_per_recipient
      AND p.person_key IN (SELECT i.person_key FROM items i
                           WHERE i.job_id = :job AND i.state = 'pending' AND i.round = :round)
    ) AS of_one
FROM campaigns c JOIN reward_counts r ON r.campaign_id = c.id AND r.person_key = ''
WHERE c.id = :campaign
""")


def conditions_of(session: Session, campaign_id: UUID) -> Conditions:
    """The campaign's conditions as they stand; it must be there."""
    return Conditions(*session.execute(_CONDITIONS, {"campaign": campaign_id}).one())


def check_window(conditions: Conditions, begins_at: datetime) -> None:
    """Raises `CampaignNotStarted`, `CampaignEnded`."""
    refusal = conditions.outside(begins_at)
    if refusal is not None:
        raise refusal


def lock_count(session: Session, campaign_id: UUID) -> int:
    """How many rewards of a limited campaign count, locked for this transaction.

    Before cards, holds and accounts; the campaign's row is shared already. Raises `LookupError`, a
    fault: without its count there would be no limit.
    """
    counted = session.execute(_LOCK_COUNT, {"campaign": campaign_id}).scalar_one_or_none()
    if counted is None:
        raise LookupError(f"campaign {campaign_id} is limited and has no count")
    return int(counted)


def take_place(
    session: Session, campaign_id: UUID, conditions: Conditions, person: bytes | None
) -> None:
    """Decide whether one more reward may be given; its item is counted when it is written.

    Raises `RewardsExhausted`, `RecipientLimitReached`. Who is nobody in particular is only counted
    in all.
    """
    if not conditions.are_counted:
        return
    counted = lock_count(session, campaign_id)
    if conditions.max_rewards is not None and counted >= conditions.max_rewards:
        raise RewardsExhausted
    if conditions.max_per_recipient is None or person is None:
        return
    # A new statement: it sees what those before us in the line have written.
    values = {"campaign": campaign_id, "person": person}
    if (session.execute(_OF_PERSON, values).scalar() or 0) >= conditions.max_per_recipient:
        raise RecipientLimitReached


def mark_beyond(session: Session, campaign_id: UUID, conditions: Conditions) -> None:
    """Refuse the staged rows that find no place, in file order.

    Nothing is locked: others take places while a file is written, see `end_beyond`.
    """
    if conditions.are_counted:
        counted = session.execute(_COUNTED, {"campaign": campaign_id}).scalar() or 0
        _mark(session, campaign_id, conditions, before=counted, written=False)


def end_beyond(session: Session, campaign_id: UUID, job_id: UUID, *, written: int) -> bool:
    """After the staged rows were written as the job's items, `written` of them pending.

    They are counted by now, under the lock, which nobody has waited for while they were written; who
    took a place meanwhile keeps it, and as many rows are refused as find none, the last ones first.
    True if there are any; the staged rows then say so too.
    """
    if not written or not any(_over(session, campaign_id, job_id, round_number=1)):
        return False
    before = lock_count(session, campaign_id) - written
    conditions = conditions_of(session, campaign_id)
    _mark(session, campaign_id, conditions, before=before, written=True)
    codes = {"exhausted": RewardsExhausted.code, "reached": RecipientLimitReached.code}
    session.execute(_END_BEYOND, codes | {"job": job_id})
    return True


def _mark(
    session: Session, campaign_id: UUID, conditions: Conditions, *, before: int, written: bool
) -> None:
    """`before`: how many rewards count in all before those of the staged rows."""
    if conditions.max_per_recipient is not None:
        values = {"campaign": campaign_id, "written": written} | _words_of(RecipientLimitReached)
        session.execute(_MARK_LIMIT, values | {"most": conditions.max_per_recipient})
    if conditions.max_rewards is not None:
        values = _words_of(RewardsExhausted) | {"counted": before}
        session.execute(_MARK_EXHAUSTED, values | {"most": conditions.max_rewards})


def refuse_beyond(session: Session, *, campaign_id: UUID, job_id: UUID, round_number: int) -> None:
    """After a round reopened failed items, and no others: they count again. Is there a place for each?

    Raises `RewardsExhausted`, `RecipientLimitReached`; the caller's transaction is rolled back.
    """
    in_all, of_one = _over(session, campaign_id, job_id, round_number=round_number)
    if in_all:
        raise RewardsExhausted
    if of_one:
        raise RecipientLimitReached


def _over(
    session: Session, campaign_id: UUID, job_id: UUID, *, round_number: int
) -> tuple[bool, bool]:
    """Whether more rewards count than there are, in all and for a recipient of the round's items."""
    values = {"campaign": campaign_id, "job": job_id, "round": round_number}
    over = session.execute(_OVER, values).one_or_none()
    return (bool(over.in_all), bool(over.of_one)) if over is not None else (False, False)


def _words_of(refusal: type[Refusal]) -> dict[str, object]:
    return {"code": refusal.code, "detail": refusal.detail}
