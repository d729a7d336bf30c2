"""Codes that a campaign hands out, over HTTP: loaded by file, counted, withdrawn."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.jobs.cells import MINOR_DIGITS_MAX
from pipelines.provisioning.campaigns import client_of_campaign
from pipelines.provisioning.code_counts import count_codes
from pipelines.provisioning.code_file import FILE_BYTES_MAX
from pipelines.provisioning.load_codes import CodesToLoad, load_codes
from pipelines.provisioning.withdraw_codes import CodesToWithdraw, withdraw_codes
from pipelines.provisioning.withdraw_listed import withdraw_listed
from pipelines.queue.keys import once
from web.admission import canonical, intake_slot, mark_replay, request_key
from web.api.gift_cards import client_scope
from web.api.routes import CSV_BODY, IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Flag, Identity, Minor, Text
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited
from web.uploads import csv_upload

routes = Routes("redemption-codes", "Codes that campaigns hand out; whoever types one gets a card.")


class LoadQuery(Schema):
    brand_id = Identity(required=True)
    denomination_minor = Count(
        low=1,
        high=10**MINOR_DIGITS_MAX - 1,
        in_query=True,
        required=True,
        metadata={"description": "What each code is worth, in minor units."},
    )
    reopen_withdrawn = Flag(
        in_text=True,
        load_default=False,
        metadata={"description": "Withdrawn codes of the file are good again; never leaked ones."},
    )


class Duplicate(Schema):
    row = fields.Integer()
    code = fields.String(
        metadata={"description": "`duplicate_in_file`, `already_loaded` or `already_withdrawn`."}
    )


class LoadedCodes(Schema):
    loaded = fields.Integer()
    duplicate_count = fields.Integer(metadata={"description": "Rows that changed nothing."})
    left_withdrawn = fields.Integer(
        metadata={"description": "Codes among them that were withdrawn before, and stay so."}
    )
    duplicates = fields.List(
        fields.Nested(Duplicate), metadata={"description": "The first hundred of them."}
    )


class WithdrawBody(Schema):
    """Which of the campaign's open codes: all of them, or those of a brand or value alone."""

    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)
    brand_id = Identity(load_default=None, allow_none=True)
    denomination_minor = Minor(load_default=None, allow_none=True)


class ListQuery(Schema):
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)


class Unchanged(Schema):
    row = fields.Integer()
    code = fields.String(
        metadata={
            "description": "`unknown_code`, `already_redeemed`, `already_withdrawn` or "
            "`duplicate_in_file`."
        }
    )


class WithdrawnList(Schema):
    withdrawn = fields.Integer()
    unchanged_count = fields.Integer()
    unchanged = fields.List(
        fields.Nested(Unchanged), metadata={"description": "The first hundred of them."}
    )


class CodesCounted(Schema):
    at_least = fields.Boolean(
        metadata={
            "description": "There are more than 100,000 of a brand and value, of which no more "
            "are counted: each number may be greater."
        }
    )
    loaded = fields.Integer()
    redeemed = fields.Integer()
    withdrawn = fields.Integer()
    open = fields.Integer()


@routes.post("/campaigns/<uuid:campaign_id>/redemption-codes")
@permitted(Permission.CAMPAIGNS_MANAGE)
@limited(Policy.UPLOAD)
@asks(LoadQuery)
@documented(requestBody=CSV_BODY)
@answers(201, LoadedCodes)
def load_redemption_codes(query: dict[str, Any], campaign_id: UUID) -> Response:
    """Load codes from a CSV with the column `redemption_code`; none is ever shown again.

    One wrong row refuses the file, and so does a code that the campaign has with another brand or
    value (`code_differs`), or codes that are found by trying (`pattern_space_too_small`). A code
    that the campaign has already is told and left as it is, and so is a withdrawn one
    (`already_withdrawn`) unless `reopen_withdrawn` says that it is good again.
    """
    house, caller = front().house, principal()
    wanted = CodesToLoad(campaign_id, **query)
    scope = client_scope(caller, campaign_id)
    with (
        intake_slot(),
        csv_upload(bytes_max=FILE_BYTES_MAX) as upload,
        scoped_transaction(house.sessions, scope) as session,
    ):
        done = load_codes(
            session,
            wanted,
            upload.stream,
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    response = jsonify(
        {
            "loaded": done.loaded,
            "duplicate_count": done.duplicate_count,
            "left_withdrawn": done.left_withdrawn,
            "duplicates": [{"row": row, "code": code} for row, code in done.duplicates],
        }
    )
    response.status_code = 201
    return response


@routes.get("/campaigns/<uuid:campaign_id>/redemption-codes")
@permitted(Permission.CAMPAIGNS_READ)
@answers(200, CodesCounted)
def count_redemption_codes(campaign_id: UUID) -> Response:
    """How many codes the campaign handed out, and how many brought a card."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        client_of_campaign(session, campaign_id)
        counted = _counted(session, campaign_id)
    return jsonify(counted)


@routes.post("/campaigns/<uuid:campaign_id>/redemption-codes/withdraw")
@permitted(Permission.CAMPAIGNS_MANAGE)
@reads(WithdrawBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(200, CodesCounted)
def withdraw_redemption_codes(body: dict[str, Any], campaign_id: UUID) -> Response:
    """Withdraw codes that nobody redeemed: whoever types one is told that it is not known.

    The answer counts all codes of the campaign. To make some of them good again, load them with
    `reopen_withdrawn`.
    """
    caller = principal()
    key = request_key(caller, canonical(body))
    wanted = CodesToWithdraw(campaign_id, body["brand_id"], body["denomination_minor"])
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(
            withdraw_codes,
            session,
            wanted,
            reason=body["reason"],
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, make, status=200, resource_kind="campaign")
        counted = _counted(session, campaign_id)
    return mark_replay(jsonify(counted), is_replay=done.is_replay)


@routes.post("/campaigns/<uuid:campaign_id>/redemption-codes/withdraw-listed")
@permitted(Permission.CAMPAIGNS_MANAGE)
@limited(Policy.UPLOAD)
@asks(ListQuery)
@documented(requestBody=CSV_BODY)
@answers(200, WithdrawnList)
def withdraw_listed_codes(query: dict[str, Any], campaign_id: UUID) -> Response:
    """Withdraw the codes of a CSV with the column `redemption_code`, such as a list that leaked.

    A row that is no code refuses the file. A code that the campaign does not have, or that brought
    a card, is told by its row and left as it is; the same file again withdraws nothing.
    """
    house, caller = front().house, principal()
    scope = client_scope(caller, campaign_id)
    with (
        intake_slot(),
        csv_upload(bytes_max=FILE_BYTES_MAX) as upload,
        scoped_transaction(house.sessions, scope) as session,
    ):
        done = withdraw_listed(
            session,
            campaign_id,
            upload.stream,
            reason=query["reason"],
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
            limits=house.limits,
            now=clock.now(session),
        )
    return jsonify(
        {
            "withdrawn": done.withdrawn,
            "unchanged_count": done.unchanged_count,
            "unchanged": [{"row": row, "code": code} for row, code in done.unchanged],
        }
    )


def _counted(session: Session, campaign_id: UUID) -> dict[str, int | bool]:
    counts = count_codes(session, campaign_id)
    return {
        "loaded": counts.loaded,
        "redeemed": counts.redeemed,
        "withdrawn": counts.withdrawn,
        "open": counts.open,
        "at_least": counts.at_least,
    }
