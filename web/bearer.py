"""Read the Authorization header: an access token of a person, or an API key of a storefront."""

from flask import request

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.principals import Principal
from pipelines.access.sign_ins import holder
from pipelines.access.tokens import read_access_token
from pipelines.access.use_key import find_key
from web.front import front

SCHEME = "bearer "
KEY_PREFIX = "lg_"


def principal_of_bearer(header: str) -> Principal | None:
    """Who the header stands for; None for a missing, malformed, expired or ended credential."""
    if header[: len(SCHEME)].lower() != SCHEME:
        return None
    credential = header[len(SCHEME) :].strip()
    if credential.startswith(KEY_PREFIX):
        return _by_key(credential)
    return _by_token(credential)


def _by_key(key: str) -> Principal | None:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return find_key(session, key, address=request.remote_addr, now=clock.now(session))


def _by_token(token: str) -> Principal | None:
    house = front().house
    claims = read_access_token(token, key=house.settings.token_key)
    if claims is None:
        return None
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        return holder(session, claims.sign_in_id, claims.user_id, now=now)
