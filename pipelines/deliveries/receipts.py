"""What the company that sent an SMS says later: it arrived, or it never will."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.deliveries import DeliveryState
from pipelines.deliveries.steps import FAILED
from pipelines.deliveries.tell_failed import tell_failed
from pipelines.sms.port import Fate, Receipt
from pipelines.telemetry import get_logger

log = get_logger(__name__)

# A receipt may overtake our own note of the sending. What arrived stays so; what was taken back or
# sent anew meanwhile is not touched.
_NOTE = text("""
UPDATE deliveries SET state = :state, code = :code, ended_at = :now,
    tries = tries || jsonb_build_array(jsonb_build_object('sending', sending,
        'at', CAST(:now AS timestamptz), 'outcome', CAST(:outcome AS text),
        'reference', CAST(:reference AS text)))
WHERE id = :id AND sending = :sending AND channel = 'sms' AND state = ANY(:from_states)
""")
_FROM = {
    Fate.DELIVERED: (DeliveryState.WAITING, DeliveryState.SENT, DeliveryState.FAILED),
    Fate.UNDELIVERED: (DeliveryState.WAITING, DeliveryState.SENT),
}


def receipt_address(public_url: str, delivery_id: UUID, sending: int) -> str:
    """Where the company tells what became of one sending; it signs this very address."""
    return f"{public_url}/api/v1/webhooks/twilio/{delivery_id}?sending={sending}"


def wishes_address(public_url: str) -> str:
    """Where the company tells what phones answer; it signs this very address."""
    return f"{public_url}/api/v1/webhooks/twilio/messages"


def note_receipt(session: Session, delivery_id: UUID, sending: int, receipt: Receipt) -> bool:
    """Write the receipt down; False if it says nothing new. Works in the system's scope."""
    now, arrived = clock.now(session), receipt.fate is Fate.DELIVERED
    state = DeliveryState.DELIVERED if arrived else DeliveryState.FAILED
    values = {
        "id": delivery_id,
        "sending": sending,
        "now": now,
        "state": state.value,
        "code": None if arrived else FAILED,
        "outcome": receipt.code,
        "reference": receipt.reference,
        "from_states": [one.value for one in _FROM[receipt.fate]],
    }
    changed: int = session.execute(_NOTE, values).rowcount  # type: ignore[attr-defined]
    if changed:
        tell_failed(session, delivery_id, now=now)
        log.info("delivery.receipt", delivery_id=str(delivery_id), outcome=receipt.code)
    return changed > 0
