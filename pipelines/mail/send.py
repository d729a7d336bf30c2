"""The work of SEND_MAIL: read what waits, hand it to the mail server, write down what it said.

At least once: a worker that dies after the server took the mail, and before that is written down,
leaves it to be sent again, under the same Message-ID.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions
from models.mails import MailState, OutgoingMail
from models.people import User
from pipelines.limits import Limits
from pipelines.mail.compose import NotAnAddress, compose
from pipelines.mail.outcomes import Bounced, NotNow, Outcome, Sent
from pipelines.mail.post import opened
from pipelines.mail.smtp import MailServer
from pipelines.mail.templates import Template, render
from pipelines.mail_settings import MailSettings
from pipelines.queue.backoff import backoff
from pipelines.queue.kinds import SEND_MAIL
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone, try_again
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: A mail is given up by its time, not by its tries: more of them than fit into its day.
ATTEMPTS_MAX = 600
#: Without a mail server somebody has to set one up: looked for so often.
LOOK_AGAIN = timedelta(minutes=5)
#: Who may still be told how a mail ended can look it up for so long.
KEPT_DAYS = 30
FORGOTTEN_AT_ONCE = 5_000

_END = text("""
UPDATE outgoing_mails SET state = :state, code = :code, ended_at = :now, sealed_letter = NULL
WHERE id = :id AND state = 'waiting' RETURNING template
""")
_NOTE = text("UPDATE outgoing_mails SET code = :code WHERE id = :id AND state = 'waiting'")
_FORGET = text("""
DELETE FROM outgoing_mails WHERE id = ANY (ARRAY(
    SELECT id FROM outgoing_mails
    WHERE ended_at < CAST(:now AS timestamptz) - make_interval(days => :days)
    ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


@dataclass(frozen=True, slots=True)
class PostOffice:
    """What sending needs to know: the server if there is one, and where links lead."""

    settings: MailSettings | None
    keyring: Keyring
    limits: Limits
    public_url: str
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True, repr=False)
class _MailInHand:
    id: UUID
    template: Template
    to: str
    values: dict[str, str]
    settings: MailSettings
    now: datetime


def send_mail(sessions: Sessions, task: TaskInHand, *, office: PostOffice) -> None:
    """Send the mail of the task if it still waits and is still worth sending."""
    begun, limits, draw = time.monotonic(), office.limits, office.draw
    until = settle_by(begun, SEND_MAIL, limits)

    def take(session: Session) -> _MailInHand | None:
        return _take(session, task, office)

    mail = settle_in_hand(sessions, task, take, until=until, draw=draw)
    if mail is None:
        return
    outcome = _sent(mail, office)

    def write(session: Session) -> None:
        _write(session, task, mail, outcome, office)

    settle_in_hand(sessions, task, write, until=until, draw=draw)


def give_up_mail(session: Session, task: TaskInHand, now: datetime) -> None:
    """Its attempts are spent, or it kills its workers."""
    _end(session, UUID(task.args["mail_id"]), MailState.GAVE_UP, "internal_error", now=now)


def forget_mails(session: Session, now: datetime) -> int:
    """Forget mails that ended a month ago, a bounded piece; returns how many."""
    values = {"now": now, "days": KEPT_DAYS, "limit": FORGOTTEN_AT_ONCE}
    return session.execute(_FORGET, values).rowcount  # type: ignore[attr-defined,no-any-return]


def _take(session: Session, task: TaskInHand, office: PostOffice) -> _MailInHand | None:
    """The mail opened; None when there is nothing to send now, and the task is put down."""
    now, mail_id = clock.now(session), UUID(task.args["mail_id"])
    row = session.execute(
        select(
            OutgoingMail.template,
            OutgoingMail.sealed_letter,
            OutgoingMail.state,
            OutgoingMail.good_until,
            User.email,
        )
        .outerjoin(User, User.id == OutgoingMail.user_id)
        .where(OutgoingMail.id == mail_id)
    ).one_or_none()
    if row is None or row.state != MailState.WAITING:
        finish(session, task)
        return None
    address, values = opened(office.keyring, mail_id, row.sealed_letter)
    to = address or row.email
    if to is None or now >= row.good_until:
        code = "to_nobody" if to is None else "out_of_time"
        _end(session, mail_id, MailState.GAVE_UP, code, now=now)
        finish(session, task)
        return None
    if office.settings is None:
        log.warning("mail.no_server", mail_id=str(mail_id))
        session.execute(_NOTE, {"id": mail_id, "code": "no_mail_server"})
        until = min(now + LOOK_AGAIN, row.good_until)
        postpone(session, task, until=until, reason="no_mail_server")
        return None
    plain = {name: value.reveal() for name, value in values.items()}
    template = Template(row.template)
    return _MailInHand(mail_id, template, to, plain, office.settings, now)


def _sent(mail: _MailInHand, office: PostOffice) -> Outcome:
    rendered = render(mail.template, mail.values | {"public_url": office.public_url})
    sender = mail.settings.sender
    try:
        message = compose(rendered, to=mail.to, sender=sender, mail_id=mail.id, now=mail.now)
    except NotAnAddress:
        return Bounced("invalid_address")
    server, deadline = MailServer(mail.settings), office.limits.mail_deadline_seconds
    return server.send(message, to=mail.to, deadline_seconds=deadline)


def _write(
    session: Session, task: TaskInHand, mail: _MailInHand, outcome: Outcome, office: PostOffice
) -> None:
    now = clock.now(session)
    match outcome:
        case Sent():
            _end(session, mail.id, MailState.SENT, None, now=now)
        case Bounced(code=code):
            _end(session, mail.id, MailState.BOUNCED, code, now=now)
        case NotNow(code=code):
            session.execute(_NOTE, {"id": mail.id, "code": code})
            log.warning("mail.not_now", mail_id=str(mail.id), code=code, attempts=task.attempts)
            wait = backoff(task.attempts + 1, limits=office.limits, draw=office.draw)
            try_again(session, task, at=now + wait, error=code)
            return
    finish(session, task)


def _end(
    session: Session, mail_id: UUID, state: MailState, code: str | None, *, now: datetime
) -> None:
    """The mail has ended, and what it held is erased; the log tells who looks after the house."""
    values = {"id": mail_id, "state": state.value, "code": code, "now": now}
    template = session.execute(_END, values).scalar_one_or_none()
    if template is None:
        return
    tell = log.info if state is MailState.SENT or code == "to_nobody" else log.warning
    tell(f"mail.{state.value}", mail_id=str(mail_id), template=template, code=code)
