"""What hangs on an account whose credit moved: jobs that wait for it, campaigns, who is told.

Each part takes its locks in a task of its own where they could meet another's in a circle.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.alerts import Severity
from pipelines.alerts.kinds import LOW_CREDIT
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import record
from pipelines.credit.claw_back import collect, restriction
from pipelines.credit.follow import SHORTAGE, follow
from pipelines.credit.hold import PAYS
from pipelines.jobs.kinds import JobKind
from pipelines.limits import Limits
from pipelines.provisioning.funding import WAITING
from pipelines.provisioning.restricted import go_on, stand
from pipelines.queue.work import TaskInHand
from pipelines.webhooks.catalogue import CREDIT_DEPLETED, CREDIT_LOW, CREDIT_RESTORED
from pipelines.webhooks.happened import Event, happened

#: A campaign's cheapest charge is that of its latest jobs: what it asked for is what it asks for.
CREDIT_EXHAUSTED = "credit_exhausted"
JOBS_LOOKED_AT = 200
SHORTAGES = {0: None, 1: 20, 2: 10, 3: 0}

_OLDEST = text(f"""
SELECT j.id FROM {WAITING} AND a.id = :account
  AND j.client_id = (SELECT client_id FROM accounts WHERE id = :account)
ORDER BY j.id LIMIT 1
""")
_LOCK_WAITING = text("""
SELECT id, kind, state, round, agency_id, client_id, campaign_id, currency, funded_to, started_at,
    scheduled_for
FROM jobs WHERE id = :job AND state = 'paused' AND pause_reason = 'no_credit' FOR NO KEY UPDATE
""")
_CHEAPEST = f"""(
    SELECT min(coalesce(CAST(q.spec->>'cheapest_minor' AS bigint),
                        CAST(q.spec->>'denomination_minor' AS bigint)))
    FROM (SELECT j.spec FROM jobs j WHERE j.campaign_id = c.id AND j.kind = 'provisioning'
            AND j.currency = a.currency ORDER BY j.id DESC LIMIT {JOBS_LOOKED_AT}) q)"""
# Credit in another currency still pays for cards in that one.
_PAUSE = text(f"""
UPDATE campaigns c SET state = 'paused', pause_reason = '{CREDIT_EXHAUSTED}',
    version = version + 1
FROM accounts a WHERE a.id = :account AND {PAYS} AND c.client_id = a.client_id
  AND c.state = 'active' AND NOT a.unlimited AND a.balance < {_CHEAPEST}
  AND NOT EXISTS (SELECT FROM holds h JOIN jobs j ON j.id = h.job_id
                  WHERE h.account_id = a.id AND h.state = 'open' AND j.campaign_id = c.id)
  AND NOT EXISTS (SELECT FROM accounts o WHERE o.owner_id = a.owner_id AND o.kind = 'credit'
                  AND o.currency <> a.currency AND o.balance > 0)
RETURNING c.id, c.agency_id, c.client_id
""")
_RESUME = text(f"""
UPDATE campaigns c SET state = 'active', pause_reason = NULL, version = version + 1
FROM accounts a WHERE a.id = :account AND {PAYS} AND c.client_id = a.client_id
  AND c.state = 'paused' AND c.pause_reason = '{CREDIT_EXHAUSTED}' AND a.balance >= {_CHEAPEST}
  AND a.restricted_at IS NULL
RETURNING c.id, c.agency_id, c.client_id
""")
_LOCK_ACCOUNT = text("SELECT FROM accounts WHERE id = :account FOR NO KEY UPDATE")
# Whoever finds the level changed tells of it, once.
_TOLD = text(f"""
WITH old AS (SELECT id, told_level FROM accounts WHERE id = :account FOR NO KEY UPDATE)
UPDATE accounts a SET told_level = {SHORTAGE} FROM old
WHERE a.id = old.id AND a.told_level <> {SHORTAGE}
RETURNING a.id, a.agency_id, a.client_id, a.balance, a.full_minor, a.currency, a.told_level,
    old.told_level AS told_before
""")


def follow_credit(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """The work of FOLLOW_CREDIT: what is owed is paid, and jobs stand until it is (EC-077).

    Then the oldest job that waits goes on as far as the credit reaches. When none could, campaigns
    pause or resume, and a shortage is told of or is over.
    """
    account_id = UUID(task.args["account_id"])
    owes, can_pay = restriction(session, account_id)
    if can_pay and owes and collect(session, account_id, now):
        follow(session, account_id)
        return
    (stand if owes else go_on)(session, account_id, now)
    if _fund_oldest(session, account_id, now, kinds, limits):
        follow(session, account_id)
        return
    _resume(session, account_id)
    if _pause(session, account_id):
        # Credit that came in since the pause looked cannot have seen it; what comes later does.
        session.execute(_LOCK_ACCOUNT, {"account": account_id})
        _resume(session, account_id)
    _tell(session, account_id, now)


def _resume(session: Session, account_id: UUID) -> None:
    for campaign in session.execute(_RESUME, {"account": account_id}).all():
        _audit(session, "campaign.resumed", campaign)


def _pause(session: Session, account_id: UUID) -> bool:
    paused = session.execute(_PAUSE, {"account": account_id}).all()
    for campaign in paused:
        _audit(session, "campaign.paused", campaign)
    return bool(paused)


def _fund_oldest(
    session: Session,
    account_id: UUID,
    now: datetime,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> bool:
    found = session.execute(_OLDEST, {"account": account_id}).scalar_one_or_none()
    if found is None:
        return False
    job = session.execute(_LOCK_WAITING, {"job": found}).one_or_none()
    if job is None:
        return True  # somebody was quicker; another may wait behind it
    fund = kinds[job.kind].fund
    return fund is not None and fund(session, job, now, limits)


def _tell(session: Session, account_id: UUID, now: datetime) -> None:
    account = session.execute(_TOLD, {"account": account_id}).one_or_none()
    if account is None:
        return
    owner = {"agency_id": account.agency_id, "client_id": account.client_id}
    facts = {
        "balance_minor": account.balance,
        "full_minor": account.full_minor,
        "currency": account.currency,
        "percent": SHORTAGES[account.told_level],
    }
    if account.told_level == 0:
        happened(session, Event(CREDIT_RESTORED, account_id, data=facts, **owner), now=now)
        settle_alert(session, LOW_CREDIT, subject_id=account_id, now=now, **owner)
    elif account.told_level > account.told_before:
        is_last = account.told_level == max(SHORTAGES)
        event = CREDIT_DEPLETED if is_last else CREDIT_LOW
        happened(session, Event(event, account_id, data=facts, **owner), now=now)
        raise_alert(
            session,
            LOW_CREDIT,
            subject_id=account_id,
            detail=facts,
            now=now,
            severity=Severity.CRITICAL if is_last else None,
            level=account.told_level,
            **owner,
        )


def _audit(session: Session, action: str, campaign: Row[Any]) -> None:
    record(
        session,
        action,
        object_kind="campaign",
        object_id=campaign.id,
        actor_id=None,
        agency_id=campaign.agency_id,
        client_id=campaign.client_id,
        detail={"reason": CREDIT_EXHAUSTED},
    )
