"""What outside companies tell us by themselves, signed under a secret that we share with them."""

from typing import Any
from uuid import UUID

from flask import Response, request
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.rate_policies import Policy
from pipelines.deliveries.opt_outs import note_wish
from pipelines.deliveries.receipts import note_receipt, receipt_address, wishes_address
from pipelines.errors import Kind, Refusal
from pipelines.sms.twilio import is_genuine, read_receipt, read_wish
from web.api.routes import Routes, answers, asks, documented
from web.fields import Count
from web.front import front
from web.guards import public
from web.rate_limits import limited

routes = Routes("webhooks", "Receipts of outside companies; each proves who it comes from.")
RECEIPT_BYTES_MAX = 16 * 1024


class InvalidSignature(Refusal):
    """Whoever sends this does not know the secret that we share with the company."""

    code = "invalid_signature"
    kind = Kind.MALFORMED
    detail = "The signature does not fit: check the account's token, and PUBLIC_URL."


class ReceiptQuery(Schema):
    sending = Count(low=1, high=2**31 - 1, in_query=True, required=True)


class TwilioReceipt(Schema):
    MessageSid = fields.String()
    MessageStatus = fields.String()
    ErrorCode = fields.String()


class TwilioMessage(Schema):
    From = fields.String()
    Body = fields.String()
    OptOutType = fields.String()


def _form(schema: type[Schema]) -> dict[str, Any]:
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


@routes.post("/webhooks/twilio/<uuid:delivery_id>")
@public
@limited(Policy.RECEIPT)
@asks(ReceiptQuery)
@documented(requestBody=_form(TwilioReceipt), security=[])
@answers(204)
def take_twilio_receipt(query: dict[str, Any], delivery_id: UUID) -> Response:
    """What became of an SMS, told by Twilio and signed with `X-Twilio-Signature`."""
    sending: int = query["sending"]
    values = _signed(receipt_address(front().house.settings.public_url, delivery_id, sending))
    receipt = read_receipt(values)
    if receipt is not None:
        with scoped_transaction(front().house.sessions, SYSTEM) as session:
            note_receipt(session, delivery_id, sending, receipt)
    return Response(status=204)


@routes.post("/webhooks/twilio/messages")
@public
@limited(Policy.RECEIPT)
@documented(requestBody=_form(TwilioMessage), security=[])
@answers(204)
def take_twilio_message() -> Response:
    """What a phone answered, told by Twilio and signed with `X-Twilio-Signature`.

    STOP and its like: it is sent no more SMS, until it says START. Other words change nothing.
    """
    house = front().house
    wish = read_wish(_signed(wishes_address(house.settings.public_url)))
    if wish is not None:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            note_wish(session, wish, house.settings.keyring)
    return Response(status=204)


def _signed(address: str) -> dict[str, str]:
    """The form, if Twilio signed it for this very address; raises `InvalidSignature`."""
    request.max_content_length = RECEIPT_BYTES_MAX
    settings, values = front().house.settings, request.form.to_dict()
    given = request.headers.get("X-Twilio-Signature", "")
    if settings.sms is None or not is_genuine(address, values, given, settings.sms.auth_token):
        raise InvalidSignature
    return values
