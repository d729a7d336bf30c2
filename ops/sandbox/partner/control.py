"""Hand the pretend shop the vendor it is; what was handed over is never shown again."""

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, request

from ops.sandbox.faults import BadControl
from ops.sandbox.partner.shop import NotASecret, Shop, Vendor, secret_of
from ops.sandbox.wire import reply

MEMBERS = ("vendor_id", "secret", "host")
#: What may stand in a policy and in an address.
_HOST = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)


def partner_control(shop: Shop) -> Blueprint:
    pages = Blueprint("control_partner", __name__, url_prefix="/control/partner")

    @pages.get("/vendor")
    def show() -> Response:
        return reply(_shown(shop))

    @pages.put("/vendor")
    def hand_over() -> Response:
        shop.become(_read(request.get_json(force=True)))
        return reply(_shown(shop))

    @pages.delete("/vendor")
    def take_back() -> Response:
        shop.leave()
        return reply(_shown(shop))

    return pages


def _read(body: Any) -> Vendor:
    if not isinstance(body, dict) or set(body) != set(MEMBERS):
        raise BadControl(f"the body must be an object of {', '.join(MEMBERS)}")
    if not all(isinstance(body[name], str) for name in MEMBERS):
        raise BadControl("each member must be a text")
    try:
        vendor_id, secret = str(UUID(body["vendor_id"])), secret_of(body["secret"])
    except NotASecret:
        raise BadControl("secret must be 32 bytes in base64, as it was shown once") from None
    except ValueError:
        raise BadControl("vendor_id must be a UUID") from None
    host = body["host"].rstrip("/")
    if not _HOST.fullmatch(host) or not urlsplit(host).hostname:
        raise BadControl("host must be the origin of Largesse, such as http://127.0.0.1:8000")
    return Vendor(vendor_id, host, secret)


def _shown(shop: Shop) -> dict[str, Any]:
    vendor = shop.vendor
    if vendor is None:
        return {"vendor_id": None, "host": None, "configured": False}
    return {"vendor_id": vendor.vendor_id, "host": vendor.host, "configured": True}
