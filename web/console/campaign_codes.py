"""The codes that a campaign hands out: how many there are and how they stand, and a file of new ones.

No page shows a code, nor could it: they are kept as blind indexes alone.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import SEEK_END
from typing import BinaryIO, cast
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models.database import scoped_transaction
from models.scope import client
from models.tenants import CampaignState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.rate_policies import Policy
from pipelines.errors import FieldError, Kind, Refusal
from pipelines.provisioning.campaigns import BrandInUse, brands_of_client
from pipelines.provisioning.code_counts import COUNTED_MAX, codes_by_value
from pipelines.provisioning.code_file import CODES_PER_FILE_MAX, FILE_BYTES_MAX
from pipelines.provisioning.code_results import file_result
from pipelines.provisioning.load_codes import CodesToLoad, load_codes
from pipelines.provisioning.refusals import BrandNotAllowed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.campaign_views import CampaignSeen, campaign_seen
from web.admission import intake_slot
from web.console.amounts import amount_of, typed_amount
from web.console.at_work import still_at_work, told_when
from web.console.code_words import code_lines, result_words
from web.console.form_names import form_name, key_of_form
from web.console.formats import number, size
from web.console.frame import go, page
from web.console.reasons import typed_reason
from web.console.typed import id_in
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

DONE = {"withdrawn": "The codes are withdrawn: who types one is told that it is not known."}


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>/codes"
    console.add_url_rule(path, "campaign_codes", show, methods=["GET"])
    console.add_url_rule(path, "campaign_codes_load", load, methods=["POST"])


@permitted(Permission.CAMPAIGNS_READ)
def show(campaign_id: UUID) -> Response:
    return codes_page(campaign_id, {})


@permitted(Permission.CAMPAIGNS_MANAGE)
@limited(Policy.UPLOAD)
def load(campaign_id: UUID) -> Response:
    """Load a file of codes, once per form, and lead to what became of it."""
    errors = dict[str, str]()
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        brands = brands_of_client(session, campaign.client_id)
    brand_id = id_in(request.form.get("brand_id", ""))
    brand = brands.get(brand_id) if brand_id else None
    if brand is None:
        errors["brand_id"] = "Choose the brand of the cards that the codes bring."
    currency = brand.currency if brand else "USD"
    amount = amount_of("amount", currency, errors, may_be_empty=False)
    stream = chosen_file("file", errors)
    if brand is None or amount is None or stream is None:
        return codes_page(campaign_id, errors)
    wanted = CodesToLoad(campaign_id, brand.id, amount, "reopen_withdrawn" in request.form)
    return take_file(campaign, "file", partial(_loaded, wanted, stream))


def _loaded(wanted: CodesToLoad, stream: BinaryIO, session: Session) -> UUID:
    house = front().house
    done = load_codes(
        session,
        wanted,
        stream,
        actor_id=principal().actor_id,
        keyring=house.settings.keyring,
        limits=house.limits,
    )
    return done.entry_id


def take_file(campaign: CampaignSeen, field: str, take: Callable[[Session], UUID]) -> Response:
    """Take a file once per form, however often it is sent, and lead to what became of it.

    `take` returns the audit entry that tells of it. What is refused stands at the field, above what
    was typed.
    """
    home = url_for("console.campaign_codes", campaign_id=campaign.id)
    key, sessions = key_of_form(principal().actor_id), front().house.sessions
    try:
        with intake_slot(), scoped_transaction(sessions, client(campaign.client_id)) as session:
            done = once(
                session, key, partial(take, session), status=303, resource_kind="audit_entry"
            )
    except RequestInProgress:
        return still_at_work(home)
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        wrong = {"brand_id" if isinstance(refusal, BrandNotAllowed) else field: _words(refusal)}
        status = STATUS[refusal.kind]
        return told_when(
            codes_page(campaign.id, wrong, rows=refusal.errors, status=status), refusal
        )
    return go(url_for("console.campaign_codes", campaign_id=campaign.id, file=done.resource_id))


def codes_page(
    campaign_id: UUID,
    errors: Mapping[str, str],
    *,
    rows: Sequence[FieldError] = (),
    status: int | None = None,
) -> Response:
    """The page of a campaign's codes, with what became of the file that its address names."""
    entry_id = id_in(request.args.get("file", ""))
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        codes = codes_by_value(session, campaign_id)
        brands = brands_of_client(session, campaign.client_id)
        result = file_result(session, campaign_id, entry_id) if entry_id else None
    return page(
        "campaign_codes.html",
        title=f"Codes of {campaign.name}",
        section="campaigns",
        crumbs=[
            ("Campaigns", url_for("console.campaigns")),
            (campaign.name, url_for("console.campaign", campaign_id=campaign_id)),
            ("Codes", None),
        ],
        status=status or (422 if errors else 200),
        campaign=campaign,
        lines=code_lines(codes),
        errors=errors,
        rows=rows,
        told=result_words(result) if result else None,
        reason=typed_reason(),
        form_name=form_name(),
        brands=_choices(brands),
        typed={"brand_id": request.form.get("brand_id", "")[:36], "amount": typed_amount("amount")},
        reopens="reopen_withdrawn" in request.form,
        may_manage=is_allowed(principal(), Permission.CAMPAIGNS_MANAGE),
        is_closed=campaign.state == CampaignState.CLOSED,
        redeem_at=f"{front().house.settings.public_url}/redeem?campaign={campaign_id}",
        codes_max=CODES_PER_FILE_MAX,
        bytes_max=FILE_BYTES_MAX,
        counted_max=COUNTED_MAX,
        done=DONE.get(request.args.get("done", "")),
    )


def _choices(brands: Mapping[UUID, BrandInUse]) -> list[tuple[str, str]]:
    named = sorted((one.name, one.currency, str(one.id)) for one in brands.values())
    return [(key, f"{name} ({currency})") for name, currency, key in named]


def chosen_file(field: str, errors: dict[str, str]) -> BinaryIO | None:
    """The file that was chosen; None with why in `errors`."""
    given = request.files.get(field)
    if given is None or not given.filename:
        errors[field] = "Choose a CSV file with the column “redemption_code”."
        return None
    octets = given.stream.seek(0, SEEK_END)
    given.stream.seek(0)
    if octets > FILE_BYTES_MAX:
        errors[field] = f"The file is larger than {size(FILE_BYTES_MAX)}. Split it into several."
        return None
    return cast("BinaryIO", given.stream)


def _words(refusal: Refusal) -> str:
    """What a refusal means here; its rows stand in a table of their own."""
    if not refusal.errors:
        return refusal.detail
    count = int(refusal.extra.get("error_count", len(refusal.errors)))
    rows = "1 row" if count == 1 else f"{number(count)} rows"
    return f"Nothing was changed: {rows} cannot be used. Correct the file and send it again."
