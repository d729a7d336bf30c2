"""Begin a question to a vendor that buys nothing: is its account there, may it be asked now?"""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from pipelines.providers import guard
from pipelines.providers.guard import Purpose
from pipelines.providers.ports import Provider
from pipelines.providers.turn import Turn
from pipelines.queue.work import TaskInHand, fence, finish, postpone

ACCOUNT = text("""
SELECT id, vendor, breaker_refuses_keys AS refuses_keys, breaker_blocked_until AS blocked_until
FROM vendor_accounts WHERE id = :account
""")


def begin_question(
    session: Session,
    task: TaskInHand,
    providers: Mapping[str, Provider],
    *,
    seconds: float,
    turn: Turn,
    ends_for: Collection[str],
    found: Callable[[Row[Any]], None] = lambda _account: None,
    ended: Callable[[Row[Any]], None] = lambda _account: None,
) -> Row[Any] | None:
    """The task's account if its vendor may be asked at this `turn`, for at most `seconds`.

    Else the task is put down: until it may be asked, or for good where the guard refuses for one
    of `ends_for`, after which `ended` is called. `found` is called before the guard is asked.
    """
    fence(session, task)
    now = clock.now(session)
    values = {"account": UUID(task.args["account_id"])}
    account = session.execute(ACCOUNT, values).one_or_none()
    if account is None or account.vendor not in providers:
        finish(session, task)
        return None
    found(account)
    permit = guard.ask(
        session,
        account.vendor,
        now=now,
        call=task.id,
        seconds=seconds,
        purpose=Purpose.CHECK,
        turn=turn,
    )
    if permit.is_granted:
        return account
    if permit.reason in ends_for:
        finish(session, task)
        ended(account)
    else:
        postpone(session, task, until=permit.at, reason=permit.reason)
    return None
