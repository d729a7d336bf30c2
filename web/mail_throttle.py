"""Who may have mails sent to an address that they only name: three an hour to each (SEC-03)."""

from flask import current_app, request
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from pipelines.access.users import normalised
from pipelines.errors import Kind, Refusal

PER_ACCOUNT = RateLimitItemPerHour(3)
#: One place asks for many people's mails only if it is up to something.
PER_ADDRESS = RateLimitItemPerMinute(20)
THROTTLE = "largesse.mail_throttle"
WAIT_SECONDS = 3600


class TooManyMails(Refusal):
    """Too many mails were asked for within an hour, whether or not anybody has the address."""

    code = "rate_limited"
    kind = Kind.THROTTLED
    detail = "Mails were asked for too often. Look into your mailbox, or wait an hour."


def admit_mail(email: str) -> None:
    """Count a request for a mail to this address, or raise `TooManyMails` before any work."""
    limiter: MovingWindowRateLimiter = current_app.extensions.setdefault(
        THROTTLE, MovingWindowRateLimiter(MemoryStorage())
    )
    keys = (
        (PER_ADDRESS, "address", request.remote_addr or ""),
        (PER_ACCOUNT, "account", normalised(email)),
    )
    if not all(limiter.hit(limit, *key) for limit, *key in keys):
        raise TooManyMails(retry_after_seconds=WAIT_SECONDS)
