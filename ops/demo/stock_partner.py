"""The demo's partner: the sandbox's pretend shop, which is handed its secret each time it starts."""

from typing import Any
from urllib.parse import urlsplit

import requests

from ops.client import Api, ServerRefused
from ops.demo import ids
from pipelines.errors import Fault

NAME = "Corner shop"
TIME_ZONE = "Europe/Vienna"
#: What its customers may claim, in the order in which they see it.
OFFERS = (
    (ids.SUMMER_SALE, "Summer treat", "A coupon of the summer sale, good in every shop."),
    (ids.WELCOME_GIFT, "Welcome gift", "For your first visit."),
)
#: The shop forgets its secret with its process: the next one begins beside the one before.
OVERLAP_SECONDS = 3600
PATIENCE_SECONDS = 5.0


def stock_partner(admin: Api, *, sandbox_url: str) -> None:
    """Make the partner if it is not there, and hand the shop what it needs, if it has nothing.

    Raises `ServerRefused`, and `Fault` where the sandbox does not answer.
    """
    origin = _origin_of(sandbox_url)
    vendor = _vendor(admin)
    if origin not in vendor["origins"]:
        origins = [*vendor["origins"], origin]
        admin.send("PATCH", f"/vendors/{vendor['id']}", json={"origins": origins})
    host = _origin_of(admin.base_url)
    known = _shop(sandbox_url, "GET")
    if (known.get("vendor_id"), known.get("host")) == (vendor["id"], host):
        return
    told = {"vendor_id": vendor["id"], "secret": _secret(admin, vendor["id"])}
    _shop(sandbox_url, "PUT", told | {"host": host})


def _vendor(admin: Api) -> dict[str, Any]:
    for vendor in admin.get("/vendors", client_id=str(ids.CLIENT), limit="100")["data"]:
        if vendor["name"] == NAME:
            return dict(vendor)
    offers = [
        {"book_id": str(book_id), "title": title, "description": words}
        for book_id, title, words in OFFERS
    ]
    wanted = {"name": NAME, "time_zone": TIME_ZONE, "client_id": str(ids.CLIENT), "offers": offers}
    return admin.send("POST", "/vendors", json=wanted)


def _secret(admin: Api, vendor_id: str) -> str:
    path = f"/vendors/{vendor_id}/partner-secret"
    try:
        drawn = admin.send("POST", path, json={"overlap_seconds": OVERLAP_SECONDS})
    except ServerRefused as refusal:
        if refusal.code != "rotation_under_way":
            raise
        # Started often within the hour: nobody but the shop had the ones before.
        drawn = admin.send("POST", path, json={"overlap_seconds": 0})
    return str(drawn["partner_secret"])


def _shop(sandbox_url: str, method: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    address = f"{sandbox_url.rstrip('/')}/control/partner/vendor"
    try:
        answer = requests.request(method, address, json=body, timeout=PATIENCE_SECONDS)
    except requests.RequestException as error:
        raise Fault(f"the pretend shop does not answer ({type(error).__name__})") from None
    if not answer.ok:
        raise Fault(f"the pretend shop does not take what it is handed ({answer.status_code})")
    told: dict[str, Any] = answer.json()
    return told


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
