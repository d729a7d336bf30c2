"""A pretend shop that embeds the widget: a partner with a site and a small backend of its own."""

from ops.sandbox.partner.control import partner_control
from ops.sandbox.partner.shop import Shop
from ops.sandbox.partner.site import partner_site

__all__ = ["Shop", "partner_control", "partner_site"]
