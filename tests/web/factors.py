"""A caller with an authenticator app in hand."""

from datetime import timedelta

import pyotp

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.web.conftest import Caller


def code_of(house: House, secret: str, *, steps: int = 0) -> str:
    """What the app shows, so many steps of 30 seconds from the database's now."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
    return pyotp.TOTP(secret).at(now + timedelta(seconds=30 * steps))


def enrol(house: House, caller: Caller) -> tuple[str, list[str]]:
    """Set up a second factor with the code of the step before; its secret and recovery codes.

    The present step's code and the next one's are then still good.
    """
    secret = caller.post("/auth/totp/enrol").json["secret"]
    verified = caller.post("/auth/totp/verify", {"totp": code_of(house, secret, steps=-1)})
    assert verified.status_code == 200, verified.json
    return secret, verified.json["recovery_codes"]
