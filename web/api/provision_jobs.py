"""Many gift cards over HTTP: previewed or submitted, as JSON or as a CSV file."""

import hashlib
import re
from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema, fields, validate

from models.database import scoped_transaction
from models.jobs import Priority
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.kinds import OnError
from pipelines.limits import DEFAULTS
from pipelines.provisioning.large import submit_large
from pipelines.provisioning.plan import BulkOptions, Dedupe
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.submit import Recipients, preview_bulk, submit_bulk
from web.admission import canonical, intake_slot, request_key
from web.api.gift_cards import RecipientBody, client_scope
from web.api.job_schemas import Job, RowFault, Sources
from web.api.routes import IDEMPOTENCY_KEY, PREFER, CsvFile, Routes, answers, asks, documented
from web.backpressure import saturation_now
from web.bodies import loaded
from web.fields import PRIORITIES, Flag, Identity, Minor, Secret, Stamp, one_of
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.rate_limits import limited
from web.uploads import Upload, csv_upload

routes = Routes("gift-card-jobs", "Gift cards for many recipients at once.")
_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_FLAGS = frozenset({"allow_repeat", "allow_partial", "force"})
_WORDS = {"true": True, "false": False}


class RowBody(RecipientBody):
    denomination_minor = Minor(allow_none=True)
    amount = Secret(longest=32, allow_none=True)
    brand = Secret(longest=4_096, allow_none=True)


class BulkFields(Schema):
    campaign_id = Identity(required=True)
    brand_id = Identity(required=True)
    denomination_minor = Minor(load_default=None, allow_none=True)
    delivery_method = fields.String(
        load_default=DeliveryMethod.EMAIL.value, validate=one_of(*DeliveryMethod)
    )
    on_error = fields.String(load_default=OnError.ABORT.value, validate=one_of(*OnError))
    dedupe = fields.String(load_default=Dedupe.REJECT.value, validate=one_of(*Dedupe))
    allow_repeat = Flag(load_default=False)
    allow_partial = Flag(
        load_default=False,
        metadata={
            "description": "Begin with the first items that the credit covers; the rest waits, "
            "paused for `no_credit`, and goes on when there is more."
        },
    )
    force = Flag(load_default=False)
    scheduled_for = Stamp(load_default=None, allow_none=True)
    priority = fields.String(load_default="normal", validate=one_of(*PRIORITIES))
    plan_hash = Secret(longest=64, load_default=None, allow_none=True)


class BulkBody(BulkFields):
    recipients = fields.List(
        fields.Nested(RowBody),
        required=True,
        validate=[
            validate.Length(min=1, error="empty_recipients|Give at least one recipient."),
            validate.Length(
                max=DEFAULTS.inline_recipients_max,
                error=f"use_csv_upload|More than {DEFAULTS.inline_recipients_max} recipients go "
                "through a CSV file.",
            ),
        ],
    )


class BulkQuery(Schema):
    preview = Flag(in_text=True, load_default=False)


class BulkFile(BulkFields, CsvFile):
    """The same as a form, with the recipients in a CSV file."""


class PlanCost(Schema):
    charge_minor = fields.Integer()
    currency = fields.String()


class PlanSources(Sources):
    none = fields.Integer(metadata={"description": "Items that no source has a card for."})


class PlanCredit(Schema):
    available_minor = fields.Integer()
    after_minor = fields.Integer()
    currency = fields.String()


class Blocker(Schema):
    """Why a submit would be refused; what else it says is what the refusal would."""

    code = fields.String()
    detail = fields.String()
    required_minor = fields.Integer()
    available_minor = fields.Integer()
    rows = fields.Integer()
    account_id = fields.UUID(metadata={"description": "The account that is restricted."})
    owed_minor = fields.Integer()
    currency = fields.String()


class Plan(Schema):
    plan_hash = fields.String()
    rows = fields.Integer()
    valid = fields.Integer()
    invalid = fields.List(fields.Nested(RowFault))
    invalid_count = fields.Integer(
        metadata={"description": "Rows that are wrong; `invalid` tells of repeats too."}
    )
    warnings = fields.List(fields.Nested(RowFault))
    warning_counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    skipped_count = fields.Integer()
    duplicates = fields.Integer()
    cost = fields.Nested(PlanCost)
    sources = fields.Nested(PlanSources)
    credit = fields.Nested(PlanCredit)
    eta_seconds = fields.Integer()
    blockers = fields.List(fields.Nested(Blocker))


REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": BulkBody},
        "multipart/form-data": {"schema": BulkFile},
    },
}
#: A preview's plan, or an accepted job.
Taken = dict[str, Any] | AcceptedJob
#: Made once: building a schema costs more than reading a body.
_FIELDS, _BODY = BulkFields(), BulkBody()


@routes.post("/gift-cards/provision-jobs")
@permitted(Permission.PROVISION)
@limited(Policy.SUBMIT)
@asks(BulkQuery)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER], requestBody=REQUEST_BODY)
@answers(200, Plan)
@answers(202, Job)
def provision_gift_cards(query: dict[str, Any]) -> Response:
    """Give cards to many recipients; `?preview=true` shows the plan and writes nothing.

    Rows are counted without the header. Links of issued cards go out by `delivery_method`.
    """
    caller, is_preview = principal(), query["preview"]
    if not is_preview:
        request_key(caller)  # a request without a name is refused before its file is read
    take = _from_file if request.mimetype == "multipart/form-data" else _from_json
    done = take(caller, is_preview=is_preview)
    if isinstance(done, AcceptedJob):
        return accepted(caller, done.job_id, is_replay=done.is_replay)
    return jsonify(done)


def _from_json(caller: Principal, *, is_preview: bool) -> Taken:
    body = loaded(_BODY, request.get_json())
    recipients = body.pop("recipients")
    digest = hashlib.sha256(canonical(recipients)).digest()
    return _taken(caller, body, Recipients(sha256=digest, listed=recipients), is_preview=is_preview)


def _from_file(caller: Principal, *, is_preview: bool) -> Taken:
    """A small file is judged within the request; a large one is kept for a worker."""
    limits = front().house.limits
    bytes_max = limits.intake_inline_bytes_max if is_preview else limits.upload_bytes_max
    with intake_slot(), csv_upload(bytes_max=bytes_max) as upload:
        body = loaded(_FIELDS, _form())
        if upload.size_bytes > limits.intake_inline_bytes_max:
            return _kept(caller, body, upload)
        recipients = Recipients(sha256=upload.sha256, csv=upload.stream, file_name=upload.name)
        return _taken(caller, body, recipients, is_preview=is_preview)


def _kept(caller: Principal, body: dict[str, Any], upload: Upload) -> AcceptedJob:
    house, options = front().house, _options(body)
    key = request_key(caller, canonical(body), upload.sha256)
    saturated = saturation_now()
    with scoped_transaction(house.sessions, client_scope(caller, options.campaign_id)) as session:
        return submit_large(
            session,
            options,
            upload.stream,
            sha256=upload.sha256,
            file_name=upload.name,
            actor_id=caller.actor_id,
            key=key,
            keyring=house.settings.keyring,
            limits=house.limits,
            saturated=saturated,
        )


def _taken(
    caller: Principal, body: dict[str, Any], recipients: Recipients, *, is_preview: bool
) -> Taken:
    """The plan, or the accepted job; both in the scope of the campaign's client."""
    house, options = front().house, _options(body)
    key = None if is_preview else request_key(caller, canonical(body), recipients.sha256)
    own: dict[str, Any] = {
        "person_secret": house.person_secret,
        "limits": house.limits,
        "saturated": saturation_now(),
    }
    with scoped_transaction(house.sessions, client_scope(caller, options.campaign_id)) as session:
        if is_preview:
            return preview_bulk(session, options, recipients, **own)
        return submit_bulk(session, options, recipients, actor_id=caller.actor_id, key=key, **own)


def _form() -> dict[str, Any]:
    """A form's texts as the JSON values they stand for; what is empty was left out."""
    values: dict[str, Any] = {}
    for given, text in request.form.items():
        name = given or ""  # a part without a name has None, and is unknown like any other
        if text == "":
            continue
        if name in _FLAGS:
            values[name] = _WORDS.get(text.lower(), text)
        elif name.endswith("_minor") and _DIGITS.fullmatch(text):
            values[name] = int(text)
        else:
            values[name] = text
    return values


def _options(body: dict[str, Any]) -> BulkOptions:
    return BulkOptions(
        campaign_id=body["campaign_id"],
        brand_id=body["brand_id"],
        denomination_minor=body["denomination_minor"],
        delivery_method=body["delivery_method"],
        on_error=OnError(body["on_error"]),
        dedupe=Dedupe(body["dedupe"]),
        allow_repeat=body["allow_repeat"],
        allow_partial=body["allow_partial"],
        force=body["force"],
        scheduled_for=body["scheduled_for"],
        priority=Priority[body["priority"].upper()],
        plan_hash=body["plan_hash"],
    )
