"""Who is told of events: endpoints made over the API, or set by a control page."""

import secrets
from dataclasses import dataclass

from ops.sandbox.marks import MARK
from ops.sandbox.stripe_door import Refused, missing
from ops.sandbox.stripe_forms import FLAG, TEXT, WORDS, needed
from ops.sandbox.stripe_objects import Facts, Moment, new_id
from ops.sandbox.stripe_wanted import judge_url
from pipelines.vendor_settings import WEBHOOK_SECRET_HEAD

ENDPOINT: Facts = {
    "url": TEXT,
    "enabled_events": [TEXT],
    "api_version": TEXT,
    "connect": FLAG,
    "description": TEXT,
    "metadata": WORDS,
    "expand": [TEXT],
}
CHANGE: Facts = {
    "url": TEXT,
    "enabled_events": [TEXT],
    "description": TEXT,
    "disabled": FLAG,
    "metadata": WORDS,
    "expand": [TEXT],
}
#: The endpoint that is set by a control page or at boot; it stays the same through a restart.
STANDING = "we_standing"


@dataclass(frozen=True, slots=True)
class Standing:
    """An endpoint that is there without a call of the API."""

    url: str
    secrets: tuple[str, ...]
    enabled_events: tuple[str, ...] = ("*",)


def create(moment: Moment, asked: Facts) -> Facts:
    """A new endpoint; its signing secret is told here, and never again."""
    judge_url(needed(asked, "url"), "url")
    if not needed(asked, "enabled_events"):
        raise Refused(400, "Missing required param: enabled_events.", code="parameter_missing")
    drawn = f"{WEBHOOK_SECRET_HEAD}{MARK}{secrets.token_hex(16)}"
    made = _endpoint(moment, new_id("webhook_endpoint"), asked, (drawn,))
    return moment.objects.add(made) | {"secret": drawn}


def change(moment: Moment, endpoint: Facts, asked: Facts) -> Facts:
    if "url" in asked:
        judge_url(asked["url"], "url")
    if "disabled" in asked:
        endpoint["status"] = "disabled" if asked["disabled"] else "enabled"
    for name in ("url", "enabled_events", "description", "metadata"):
        endpoint[name] = asked.get(name, endpoint[name])
    return moment.objects.put(endpoint)


def stand(moment: Moment, standing: Standing) -> Facts:
    """Put the standing endpoint in place of the one before."""
    moment.objects.remove(STANDING)
    asked: Facts = {"url": standing.url, "enabled_events": list(standing.enabled_events)}
    return moment.objects.add(_endpoint(moment, STANDING, asked, standing.secrets))


def endpoint_of(moment: Moment, identity: str) -> Facts:
    found = moment.objects.get("webhook_endpoint", identity)
    if found is None:
        raise missing("webhook endpoint", identity)
    return found


def _endpoint(moment: Moment, identity: str, asked: Facts, signing: tuple[str, ...]) -> Facts:
    return {
        "id": identity,
        "object": "webhook_endpoint",
        "api_version": asked.get("api_version"),
        "application": None,
        "created": moment.now,
        "description": asked.get("description"),
        "enabled_events": asked["enabled_events"],
        "livemode": False,
        "metadata": asked.get("metadata", {}),
        "status": "enabled",
        "url": asked["url"],
        "_secrets": list(signing),
    }
