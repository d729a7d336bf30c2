"""Whether a request carries the secret of machines: outside schedulers, and scrapers of metrics."""

import hmac

from flask import request

from web.front import front


def has_cron_secret() -> bool:
    """Compared in constant time; without a secret in the settings nobody has it."""
    secret = front().house.settings.cron_secret
    given = request.headers.get("Authorization", "")
    return bool(secret) and hmac.compare_digest(given.encode(), f"Bearer {secret}".encode())
