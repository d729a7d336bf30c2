"""The work of DELIVER: send the link of one card to its recipient, and write down what came of it.

The card is given already, and stays so whatever becomes of its link (EC-039). At least once, by
mail and by SMS. The link is made as it is sent; nothing that opens a card is kept.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions
from models.deliveries import Channel, DeliveryState
from pipelines.currencies import money
from pipelines.deliveries.opt_outs import OPTED_OUT, is_opted_out
from pipelines.deliveries.receipts import receipt_address
from pipelines.deliveries.steps import FAILED, Step, step_after
from pipelines.deliveries.tell_failed import tell_failed
from pipelines.limits import Limits
from pipelines.mail.compose import NotAnAddress, compose
from pipelines.mail.outcomes import Bounced, Outcome, Sent
from pipelines.mail.smtp import MailServer
from pipelines.mail.templates import Template, render
from pipelines.mail_settings import MailSettings
from pipelines.provisioning.deliveries import ADDRESS, ADDRESS_FROM, address_of
from pipelines.provisioning.reveal import reveal_token
from pipelines.queue.kinds import DELIVER
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone, try_again
from pipelines.sealing import Keyring
from pipelines.sms.compose import gift_card_text
from pipelines.sms.port import Sms, SmsSender
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Faults of ours beside the tries of the delivery itself, which are counted in its row.
ATTEMPTS_MAX = 16

_TAKE = text(f"""
SELECT d.id AS delivery_id, d.channel, d.state, d.sending, d.attempts, {ADDRESS},
    d.good_until, p.id AS provision_id, p.reveal_version, p.face_value_minor, p.currency,
    p.undone_at IS NOT NULL AS is_undone, p.replaced_at IS NOT NULL AS is_replaced,
    b.name AS brand, c.name AS sender
FROM deliveries d {ADDRESS_FROM}
JOIN provisions p ON p.job_id = d.job_id AND p.position = d.position
JOIN items i ON i.job_id = d.job_id AND i.position = d.position
JOIN brands b ON b.id = p.brand_id JOIN clients c ON c.id = d.client_id
WHERE d.id = :id
""")
# What was taken back meanwhile stays so; that it was tried is written all the same.
_TRIED = text("""
UPDATE deliveries SET attempts = attempts + 1,
    tries = tries || jsonb_build_array(jsonb_build_object('sending', sending,
        'at', CAST(:now AS timestamptz), 'outcome', CAST(:outcome AS text),
        'reference', CAST(:reference AS text))),
    state = CASE WHEN state = 'waiting' THEN :state ELSE state END,
    code = CASE WHEN state = 'waiting' THEN :code ELSE code END,
    ended_at = CASE WHEN state = 'waiting' AND :state <> 'waiting' THEN :now ELSE ended_at END
WHERE id = :id AND sending = :sending
""")
_NOTE = text("""
UPDATE deliveries SET code = :code WHERE id = :id AND sending = :sending AND state = 'waiting'
""")
_END = text("""
UPDATE deliveries SET state = :state, code = :code, ended_at = :now
WHERE id = :id AND sending = :sending AND state = 'waiting'
""")


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What sending needs to know: the stations that there are, and where links lead."""

    mail: MailSettings | None
    sms: SmsSender | None
    keyring: Keyring
    limits: Limits
    public_url: str
    draw: Callable[[], float]


@dataclass(frozen=True, slots=True, repr=False)
class _InHand:
    """A delivery about to be tried; who must not be printed is in `to` and `values`."""

    id: UUID
    channel: Channel
    sending: int
    attempts: int
    to: str
    values: dict[str, str]
    now: datetime


def deliver(sessions: Sessions, task: TaskInHand, *, dispatch: Dispatch) -> None:
    """Send the link if it still waits for this sending and is still worth being sent."""
    begun, limits, draw = time.monotonic(), dispatch.limits, dispatch.draw
    until = settle_by(begun, DELIVER, limits)

    def take(session: Session) -> _InHand | None:
        return _take(session, task, dispatch)

    delivery = settle_in_hand(sessions, task, take, until=until, draw=draw)
    if delivery is None:
        return
    send = _texted if delivery.channel is Channel.SMS else _mailed
    outcome = send(delivery, dispatch)
    step = step_after(outcome, attempts=delivery.attempts + 1, limits=limits)

    def write(session: Session) -> None:
        _write(session, task, delivery, step, outcome)

    settle_in_hand(sessions, task, write, until=until, draw=draw)


def give_up_delivery(session: Session, task: TaskInHand, now: datetime) -> None:
    """Our own faults took its attempts, or it kills its workers."""
    delivery_id, sending = _named(task)
    _end(session, delivery_id, sending, DeliveryState.FAILED, "internal_error", now=now)


def _named(task: TaskInHand) -> tuple[UUID, int]:
    return UUID(task.args["delivery_id"]), int(task.args["sending"])


def _take(session: Session, task: TaskInHand, dispatch: Dispatch) -> _InHand | None:
    """The delivery with its address; None if nothing is to be sent now, and the task is put down."""
    now, (delivery_id, sending) = clock.now(session), _named(task)
    row = session.execute(_TAKE, {"id": delivery_id}).one_or_none()
    if row is None or row.state != DeliveryState.WAITING or row.sending != sending:
        finish(session, task)
        return None
    address = address_of(row, dispatch.keyring)
    if row.is_undone or row.is_replaced or address is None or now >= row.good_until:
        _refuse(session, row, now=now, has_address=address is not None)
        finish(session, task)
        return None
    channel = Channel(row.channel)
    if channel is Channel.SMS and is_opted_out(session, address, dispatch.keyring):
        _tell_opted_out(session, row, now=now)
        finish(session, task)
        return None
    if (missing := _missing(channel, dispatch)) is not None:
        log.warning("delivery.no_station", delivery_id=str(delivery_id), code=missing)
        _note(session, delivery_id, sending, missing)
        wait = timedelta(seconds=dispatch.limits.delivery_look_again_seconds)
        postpone(session, task, until=min(now + wait, row.good_until), reason=missing)
        return None
    token = reveal_token(row.provision_id, row.reveal_version, dispatch.keyring)
    values = {
        "brand": row.brand,
        "amount": money(row.face_value_minor, row.currency),
        "sender": row.sender,
        "token": token,
        "public_url": dispatch.public_url,
    }
    return _InHand(delivery_id, channel, sending, row.attempts, address.reveal(), values, now)


def _tell_opted_out(session: Session, row: Row[Any], *, now: datetime) -> None:
    """The phone asked for no messages: nobody is asked to send it one, and it is a try like any."""
    values = {"id": row.delivery_id, "sending": row.sending, "now": now, "outcome": OPTED_OUT}
    values |= {"state": DeliveryState.FAILED.value, "code": OPTED_OUT, "reference": None}
    session.execute(_TRIED, values)
    tell_failed(session, row.delivery_id, now=now)
    log.info("delivery.opted_out", delivery_id=str(row.delivery_id), sending=row.sending)


def _missing(channel: Channel, dispatch: Dispatch) -> str | None:
    """The station that nobody has set up."""
    if channel is Channel.SMS:
        return "no_sms_account" if dispatch.sms is None else None
    return "no_mail_server" if dispatch.mail is None else None


def _refuse(session: Session, row: Row[Any], *, now: datetime, has_address: bool) -> None:
    """It is not sent any more: taken back, replaced, its recipient forgotten, or out of time."""
    if row.is_undone:
        state, code = DeliveryState.CANCELLED, "undone"
    elif row.is_replaced:
        state, code = DeliveryState.CANCELLED, "replaced"
    elif not has_address:
        state, code = DeliveryState.CANCELLED, "recipient_erased"
    else:
        state, code = DeliveryState.FAILED, FAILED
    _end(session, row.delivery_id, row.sending, state, code, now=now)


def _mailed(delivery: _InHand, dispatch: Dispatch) -> Outcome:
    settings = dispatch.mail
    assert settings is not None
    # One Message-ID for all tries of a sending, so that a repeat can be recognised.
    mail_id = uuid5(delivery.id, str(delivery.sending))
    rendered = render(Template.GIFT_CARD, delivery.values)
    try:
        message = compose(
            rendered, to=delivery.to, sender=settings.sender, mail_id=mail_id, now=delivery.now
        )
    except NotAnAddress:
        return Bounced("invalid_address")
    deadline = dispatch.limits.mail_deadline_seconds
    return MailServer(settings).send(message, to=delivery.to, deadline_seconds=deadline)


def _texted(delivery: _InHand, dispatch: Dispatch) -> Outcome:
    """The receipt's address names the sending, so that it finds its row whenever it comes."""
    sender, values = dispatch.sms, delivery.values
    assert sender is not None
    url = f"{dispatch.public_url}/r/{values['token']}"
    words = gift_card_text(
        sender=values["sender"], brand=values["brand"], amount=values["amount"], url=url
    )
    receipts_to = receipt_address(dispatch.public_url, delivery.id, delivery.sending)
    deadline = dispatch.limits.sms_deadline_seconds
    return sender.send(Sms(delivery.to, words, receipts_to), deadline_seconds=deadline)


def _write(
    session: Session, task: TaskInHand, delivery: _InHand, step: Step, outcome: Outcome
) -> None:
    now, named = clock.now(session), {"id": delivery.id, "sending": delivery.sending}
    if step.is_try:
        reference = outcome.reference if isinstance(outcome, Sent) else None
        values = {"now": now, "outcome": step.outcome, "reference": reference}
        values |= {"state": step.state.value}
        session.execute(_TRIED, named | values | {"code": step.code})
        tell_failed(session, delivery.id, now=now)
    else:
        _note(session, delivery.id, delivery.sending, step.outcome)
    facts = {"delivery_id": str(delivery.id), "sending": delivery.sending, "outcome": step.outcome}
    tell = log.info if step.state is DeliveryState.SENT else log.warning
    tell("delivery.tried", state=step.state.value, **facts)
    if step.wait is None:
        finish(session, task)
    elif step.is_try:
        try_again(session, task, at=now + step.wait, error=step.outcome)
    else:
        postpone(session, task, until=now + step.wait, reason=step.outcome)


def _note(session: Session, delivery_id: UUID, sending: int, code: str) -> None:
    """Why it waits; nothing was said about the mail itself."""
    session.execute(_NOTE, {"id": delivery_id, "sending": sending, "code": code})


def _end(
    session: Session,
    delivery_id: UUID,
    sending: int,
    state: DeliveryState,
    code: str,
    *,
    now: datetime,
) -> None:
    values = {"id": delivery_id, "sending": sending, "state": state.value, "code": code}
    session.execute(_END, values | {"now": now})
    tell_failed(session, delivery_id, now=now)
    log.warning("delivery.ended", delivery_id=str(delivery_id), state=state.value, code=code)
