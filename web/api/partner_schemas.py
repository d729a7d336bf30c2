"""Partners and what comes of them as bodies say them and answers show them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import Row

from pipelines.partners.origins import ORIGINS_MAX
from pipelines.partners.rules import (
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    OFFERS_MAX,
    TITLE_CHARACTERS_MAX,
    ZONE_CHARACTERS_MAX,
)
from pipelines.partners.secrets import OVERLAP_SECONDS, OVERLAP_SECONDS_MAX
from web.fields import Count, Identity, PageQuery, Text, one_of

ACTIVE, DISABLED = "active", "disabled"
STATES = (ACTIVE, DISABLED)
#: Longer than any origin or token may be, so that its own rule says what is wrong.
LONG_TEXT = 8 * 1024


class Month(fields.String):
    """A month of the calendar, `2026-11`, as its first day."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "month": "type|Give a month as YYYY-MM, such as 2026-11.",
    }

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if len(text) != 7:
            raise self.make_error("month")
        try:
            return date.fromisoformat(f"{text}-01")
        except ValueError:
            raise self.make_error("month") from None


class OfferBody(Schema):
    book_id = Identity(required=True)
    title = Text(required=True, longest=TITLE_CHARACTERS_MAX)
    description = Text(longest=DESCRIPTION_CHARACTERS_MAX, least=0, load_default="")


def _offers(**options: Any) -> "fields.List[Any]":
    some = validate.Length(0, OFFERS_MAX, error=f"too_long|At most {OFFERS_MAX} offers.")
    said = {
        "description": "Books whose coupons its users may claim, in the order in which they see them."
    }
    return fields.List(fields.Nested(OfferBody), validate=some, metadata=said, **options)


def _origins(**options: Any) -> "fields.List[str]":
    some = validate.Length(0, ORIGINS_MAX, error=f"too_long|At most {ORIGINS_MAX} origins.")
    said = {"description": "Sites that may show the widget, each as `https://host[:port]`."}
    text = Text(longest=LONG_TEXT)
    return fields.List(text, validate=some, metadata=said, **options)


ZONE = {"description": "IANA name of the zone in which its months begin; UTC if none is given."}


class VendorBody(Schema):
    name = Text(required=True, longest=NAME_CHARACTERS_MAX)
    client_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={"description": "Whose coupons it gives, for who sees several clients."},
    )
    time_zone = Text(longest=ZONE_CHARACTERS_MAX, load_default="UTC", metadata=ZONE)
    origins = _origins(load_default=list)
    offers = _offers(load_default=list)


class VendorChange(Schema):
    """What is left out stays as it is."""

    name = Text(longest=NAME_CHARACTERS_MAX)
    time_zone = Text(longest=ZONE_CHARACTERS_MAX, metadata=ZONE)
    origins = _origins()
    offers = _offers()
    state = fields.String(
        validate=one_of(*STATES),
        metadata={"description": "A disabled vendor's tokens and sessions are good for nothing."},
    )
    version = Count(low=1, high=2**31 - 1, metadata={"description": "As `If-Match`."})


class VendorsQuery(PageQuery):
    client_id = Identity(load_default=None)
    state = fields.String(load_default=None, validate=one_of(*STATES))


class OfferShown(Schema):
    id = fields.UUID()
    book_id = fields.UUID()
    title = fields.String()
    description = fields.String()


class VendorShown(Schema):
    id = fields.UUID()
    client_id = fields.UUID()
    name = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    time_zone = fields.String()
    origins = fields.List(fields.String())
    last_token_at = fields.DateTime(allow_none=True)
    version = fields.Integer()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class VendorWithOffers(VendorShown):
    offers = fields.List(fields.Nested(OfferShown))


class VendorPage(Schema):
    data = fields.List(fields.Nested(VendorShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class SecretBody(Schema):
    overlap_seconds = Count(
        low=0,
        high=OVERLAP_SECONDS_MAX,
        load_default=OVERLAP_SECONDS,
        metadata={
            "description": "How long the secret before goes on. 0: it is known to a stranger: all "
            "before end at once, and every session."
        },
    )


class OldSecret(Schema):
    last4 = fields.String()
    ends_at = fields.DateTime()
    last_used_at = fields.DateTime(allow_none=True)


class SecretShown(Schema):
    configured = fields.Boolean()
    last4 = fields.String(allow_none=True)
    rotated_at = fields.DateTime(allow_none=True)
    last_used_at = fields.DateTime(allow_none=True)
    old = fields.List(
        fields.Nested(OldSecret), metadata={"description": "Secrets before that are still good."}
    )


class SecretDrawn(SecretShown):
    partner_secret = fields.String(
        allow_none=True,
        metadata={
            "description": "Base64 of 32 bytes, shown this once; null in a repeat of the request."
        },
    )
    sessions_ended = fields.Integer(allow_none=True)


class TokenBody(Schema):
    token = Text(required=True, longest=LONG_TEXT)


class TokenChecked(Schema):
    ok = fields.Boolean()
    code = fields.String(
        allow_none=True, metadata={"description": "What `session-from-token` would answer."}
    )
    fault = fields.String(allow_none=True)
    detail = fields.String()
    external_id = fields.String(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)


class ClaimsQuery(PageQuery):
    month = Month(load_default=None)
    external_id = Text(longest=255, load_default=None)


class ClaimsFileQuery(Schema):
    month = Month(load_default=None)


class ManagedClaim(Schema):
    id = fields.UUID()
    vendor_id = fields.UUID()
    user_id = fields.UUID()
    external_id = fields.String(
        allow_none=True, metadata={"description": "Null once the person was erased."}
    )
    offer_id = fields.UUID()
    offer_title = fields.String()
    book_id = fields.UUID()
    coupon_id = fields.UUID()
    code = fields.String(metadata={"description": "Masked where the book seals its codes."})
    coupon_state = fields.String()
    month = fields.String()
    claimed_at = fields.DateTime()


class ManagedClaimPage(Schema):
    data = fields.List(fields.Nested(ManagedClaim))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def vendor_json(row: Row[Any]) -> dict[str, Any]:
    """A partner as lists show it."""
    return {
        "id": row.id,
        "client_id": row.client_id,
        "name": row.name,
        "state": ACTIVE if row.disabled_at is None else DISABLED,
        "time_zone": row.time_zone,
        "origins": list(row.origins),
        "last_token_at": row.token_at,
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def offer_json(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in OfferShown().fields}


def secret_json(secrets: Sequence[Row[Any]]) -> dict[str, Any]:
    """What may be told of a partner's secrets that are good, the present one first."""
    current = next((secret for secret in secrets if secret.ends_at is None), None)
    return {
        "configured": current is not None,
        "last4": current and current.last4,
        "rotated_at": current and current.created_at,
        "last_used_at": current and current.used_at,
        "old": [
            {"last4": old.last4, "ends_at": old.ends_at, "last_used_at": old.used_at}
            for old in secrets
            if old.ends_at is not None
        ],
    }
