"""The conditions of a campaign: when it gives rewards and how many; begun to be counted when limited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError, ValidationFailed
from pipelines.limits import Limits
from pipelines.tenants.refusals import TooManyToCount

_IN_ALL, _FOR_EACH = LIMITS = ("max_rewards", "max_rewards_per_recipient")

#: SQL: every reward that counts, its campaign and its recipient (empty: nobody said who it is).
COUNTING = """
SELECT j.campaign_id, coalesce(i.person_key, '') AS person_key
FROM jobs j JOIN items i ON i.job_id = j.id
WHERE j.kind = 'provisioning' AND {of_job}
  AND i.state IN ('pending', 'running', 'retrying', 'needs_review')
UNION ALL
SELECT p.campaign_id, coalesce(p.person_key, '')
FROM provisions p WHERE p.undone_at IS NULL AND p.replaced_at IS NULL AND {of_provision}
"""
_OF_CAMPAIGN = COUNTING.format(
    of_job="j.campaign_id = :campaign", of_provision="p.campaign_id = :campaign"
)
_READ = """
SELECT starts_at, ends_at, max_rewards, max_rewards_per_recipient FROM campaigns
WHERE id = :campaign
"""
_LOOK = text(_READ)
# Beside whoever accepts or ends rewards, which share the row.
_LOCK = text(_READ + "FOR NO KEY UPDATE")
# They are waited for here, or see what was made of the counts.
_LOCK_ALONE = text(_READ + "FOR UPDATE")
_COUNT_ALL = text(f"""
INSERT INTO reward_counts (campaign_id, person_key, agency_id, client_id, counted)
SELECT id, '', agency_id, client_id, (SELECT count(*) FROM ({_OF_CAMPAIGN}) r)
FROM campaigns WHERE id = :campaign
""")
_FORGET_ALL = text("DELETE FROM reward_counts WHERE campaign_id = :campaign")
_FORGET_PERSONS = text(
    "DELETE FROM reward_counts WHERE campaign_id = :campaign AND person_key <> ''"
)
_COUNTED = text("""
SELECT counted FROM reward_counts WHERE campaign_id = :campaign AND person_key = ''
""")
_COUNT_PERSONS = text(f"""
INSERT INTO reward_counts (campaign_id, person_key, agency_id, client_id, counted)
SELECT c.id, r.person_key, c.agency_id, c.client_id, count(*)
FROM ({_OF_CAMPAIGN}) r JOIN campaigns c ON c.id = r.campaign_id
WHERE r.person_key <> '' GROUP BY c.id, r.person_key
""")


def lock_conditions(
    session: Session, campaign_id: UUID, values: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The conditions as they stand, locked until the commit; {} if there is no such campaign.

    Only where the change begins or ends counting does it wait for the requests under way.
    """
    where = {"campaign": campaign_id}
    seen = session.execute(_LOOK, where).one_or_none()
    if seen is None:
        return {}
    is_alone = _moves_counting(seen, values)
    row = session.execute(_LOCK_ALONE if is_alone else _LOCK, where).one()
    if not is_alone and _moves_counting(row, values):
        # Somebody set or lifted a limit between the two looks.
        row = session.execute(_LOCK_ALONE, where).one()
    return dict(row._mapping)


def _moves_counting(before: Row[Any], values: Mapping[str, Any]) -> bool:
    """Whether a limit is set where there was none, or lifted."""
    given = [name for name in LIMITS if name in values]
    return any((getattr(before, name) is None) != (values[name] is None) for name in given)


def check_conditions(before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises `ValidationFailed` if the window would end before it begins."""
    after = {**before, **values}
    starts_at: datetime | None = after.get("starts_at")
    ends_at: datetime | None = after.get("ends_at")
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        detail = "The campaign must end after it starts. Correct `ends_at` or `starts_at`."
        raise ValidationFailed(
            errors=(FieldError("window_ends_first", detail, pointer="/ends_at", field="ends_at"),)
        )


def keep_counting(
    session: Session,
    campaign_id: UUID,
    before: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    limits: Limits,
) -> None:
    """Count what was given so far if a limit is new, and forget the counts that nobody asks for.

    The caller holds `lock_conditions`. Raises `TooManyToCount`.
    """
    where, after = {"campaign": campaign_id}, {**before, **values}
    was_limited = any(before.get(name) is not None for name in LIMITS)
    is_limited = any(after.get(name) is not None for name in LIMITS)
    if not is_limited:
        if was_limited:
            session.execute(_FORGET_ALL, where)
        return
    if not was_limited:
        session.execute(_COUNT_ALL, where)
    had_each, has_each = before.get(_FOR_EACH) is not None, after.get(_FOR_EACH) is not None
    if has_each and not had_each:
        if session.execute(_COUNTED, where).scalar_one() > limits.counted_later_max:
            raise TooManyToCount(most=limits.counted_later_max)
        session.execute(_COUNT_PERSONS, where)
    elif had_each and not has_each:
        session.execute(_FORGET_PERSONS, where)
