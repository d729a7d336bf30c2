"""Name a form that makes something, so that sending it twice makes one thing."""

import hashlib
import re
from uuid import UUID

from flask import request

from models.base import new_id
from pipelines.queue.keys import RequestKey

FIELD = "form_name"
_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
#: As `secrets.token_hex(16)` writes it, or an id.
_KEY = re.compile(r"[0-9a-f-]{32,36}", re.ASCII)


def form_name() -> str:
    """The name of the form that is shown: as sent, or a new one."""
    sent = request.form.get(FIELD, "")
    return sent if _NAME.fullmatch(sent) else new_id().hex


def sent_key(otherwise: str) -> str:
    """The key in a form that asks as the API does; what no key can be made of counts as none."""
    sent = request.form.get("idempotency_key", "")
    return sent if _KEY.fullmatch(sent) else otherwise


def key_of_form(actor_id: UUID) -> RequestKey:
    """What is typed into a form does not matter: its name was given to one person once."""
    name = f"form:{request.path}:{form_name()}"
    return RequestKey(actor_id, name, hashlib.sha256(name.encode()).digest())
