"""Phones that want no SMS: taken note of when they answer, asked before each message (S4-128)."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from pipelines.sealing import Keyring, Secret
from pipelines.sms.port import Wish
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: What a delivery to such a phone ends with.
OPTED_OUT = "recipient_opted_out"
#: The keys of numbers are of this use alone: they are not those of persons.
_SCOPE = b"sms_opt_outs"

_STOP = text("""
INSERT INTO sms_opt_outs (number_key, since) VALUES (:number, :now) ON CONFLICT DO NOTHING
""")
_START = text("DELETE FROM sms_opt_outs WHERE number_key = :number")
_IS_OUT = text("SELECT EXISTS (SELECT FROM sms_opt_outs WHERE number_key = :number)")


def note_wish(session: Session, wish: Wish, keyring: Keyring) -> None:
    """Do as the phone asks from now on; said twice it is the same. In the system's scope."""
    values: dict[str, object] = {"number": _key(wish.phone, keyring)}
    if wish.wants_messages:
        changed = session.execute(_START, values)
    else:
        changed = session.execute(_STOP, values | {"now": clock.now(session)})
    if changed.rowcount:  # type: ignore[attr-defined]
        log.info("sms.wish_noted", wants_messages=wish.wants_messages)


def is_opted_out(session: Session, phone: Secret, keyring: Keyring) -> bool:
    """Whether this phone, in E.164, asked for no more messages."""
    values = {"number": _key(phone, keyring)}
    return bool(session.execute(_IS_OUT, values).scalar_one())


def _key(phone: str | Secret, keyring: Keyring) -> bytes:
    return keyring.blind_index(phone, scope=_SCOPE)
