"""A code typed in for its card, over HTTP and by nobody in particular (S4-092, EC-065)."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from pipelines.access.rate_policies import Policy
from pipelines.provisioning.redeem import Redemption
from web.api.routes import Routes, answers, documented, reads
from web.fields import Identity, Secret
from web.front import front
from web.guards import public
from web.humans import humans_only
from web.rate_limits import limited
from web.redeeming import redeem_now, token_of

routes = Routes("redeem", "Codes that campaigns hand out, and the cards they bring.")
CODE_CHARACTERS_MAX = 64
EMAIL_CHARACTERS_MAX = 320


class RedeemBody(Schema):
    campaign = Identity(required=True, metadata={"description": "The campaign's id."})
    redemption_code = Secret(longest=CODE_CHARACTERS_MAX, required=True)
    email = Secret(
        longest=EMAIL_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Who types the code: the link is mailed there too, and only this "
            "address gets the same card again. Without one, whoever has the code is its recipient."
        },
    )


class Redeemed(Schema):
    reveal_url = fields.String(
        metadata={"description": "Good at once: its page waits for the card, and opens it."}
    )


def _code(body: dict[str, Any]) -> str:
    return f"{body['campaign']}:{body['redemption_code']}"


@routes.post("/redeem")
@public
@reads(RedeemBody)
@limited(Policy.REDEEM, account=_code)
@humans_only(Policy.REDEEM, account=_code)
@documented(security=[])
@answers(200, Redeemed)
def redeem_code(body: dict[str, Any]) -> Response:
    """Get the card of a code: once. Asked again by the same recipient it gives the same link.

    A code that nobody handed out is 404 `not_found`, one that somebody else used is 409
    `already_redeemed`. What the campaign's conditions refuse is 409 too, and the code stays good:
    `campaign_not_started`, `campaign_ended`, `campaign_rewards_exhausted`. Whatever else keeps the
    card from being given is 503 `cannot_give_now`.
    """
    job_id = redeem_now(Redemption(body["campaign"], body["redemption_code"], body["email"]))
    url = f"{front().house.settings.public_url}/r/{token_of(job_id)}"
    response = jsonify({"reveal_url": url})
    response.headers["Cache-Control"] = "no-store"
    return response
