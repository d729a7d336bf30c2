"""What an answer of the next station means for a delivery: pure (EC-039)."""

from dataclasses import dataclass
from datetime import timedelta

from models.deliveries import DeliveryState
from pipelines.limits import Limits
from pipelines.mail.outcomes import Bounced, NotNow, Outcome, Sent

#: What a delivery that failed says for itself; why is in its tries.
FAILED = "delivery_failed"
#: Each wait is so many times the one before: a minute, five, 25, two hours.
WAIT_FACTOR = 5


@dataclass(frozen=True, slots=True)
class Step:
    """The state after a try and its code; `wait` until the next, None at the end.

    `is_try`: it counts as one; a station that could not be used has said nothing.
    """

    state: DeliveryState
    code: str | None
    outcome: str
    wait: timedelta | None = None
    is_try: bool = True


def step_after(outcome: Outcome, *, attempts: int, limits: Limits) -> Step:
    """What to do after a try; `attempts` counts this one too."""
    match outcome:
        case Sent():
            return Step(DeliveryState.SENT, None, "sent")
        case Bounced(code=code):
            return Step(DeliveryState.FAILED, FAILED, code)
        case NotNow(code=code, of_house=True):
            wait = timedelta(seconds=limits.delivery_look_again_seconds)
            return Step(DeliveryState.WAITING, code, code, wait, is_try=False)
        case NotNow(code=code) if attempts >= limits.delivery_attempts_max:
            return Step(DeliveryState.FAILED, FAILED, code)
        case NotNow(code=code):
            seconds = limits.delivery_first_wait_seconds * WAIT_FACTOR ** (attempts - 1)
            return Step(DeliveryState.WAITING, code, code, timedelta(seconds=seconds))
