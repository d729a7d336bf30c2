"""Codes that a campaign handed out are taken back: counted first, then withdrawn with a reason."""

from collections.abc import Mapping
from functools import partial
from typing import BinaryIO
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound
from pipelines.jobs.cells import MINOR_DIGITS_MAX
from pipelines.provisioning.code_counts import codes_by_value
from pipelines.provisioning.withdraw_codes import CodesToWithdraw, withdraw_codes
from pipelines.provisioning.withdraw_listed import withdraw_listed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.campaign_views import campaign_seen
from web.console.amounts import whole_of
from web.console.at_work import still_at_work
from web.console.campaign_codes import chosen_file, codes_page, take_file
from web.console.code_words import open_among, withdrawal_words
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.reasons import NO_REASON, typed_reason
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

#: More than any campaign has codes.
OPEN_MAX = 10**9
PLACE = "console.campaign_codes"
MORE = "More codes were loaded since. Look at the new number, and confirm again."


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>/codes/withdraw"
    console.add_url_rule(path, "campaign_codes_withdraw", ask, methods=["GET"])
    console.add_url_rule(path, "campaign_codes_withdraw_now", withdraw, methods=["POST"])
    console.add_url_rule(
        f"{path}-listed", "campaign_codes_withdraw_listed", withdraw_file, methods=["POST"]
    )


@permitted(Permission.CAMPAIGNS_MANAGE)
def ask(campaign_id: UUID) -> Response:
    return _page(campaign_id, request.args)


@permitted(Permission.CAMPAIGNS_MANAGE)
def withdraw(campaign_id: UUID) -> Response:
    """Withdraw the open codes that the page before counted, and none that came since unseen."""
    caller, form, reason = principal(), request.form, typed_reason()
    if not reason:
        return _page(campaign_id, form, {"reason": NO_REASON}, status=422)
    wanted, home = _chosen(campaign_id, form), url_for(PLACE, campaign_id=campaign_id)

    def withdrawn() -> UUID:
        now = clock.now(session)
        return withdraw_codes(session, wanted, reason=reason, actor_id=caller.actor_id, now=now)

    try:
        with looking() as session:
            campaign_seen(session, campaign_id)
            still = open_among(codes_by_value(session, campaign_id, at_most=None), wanted)
            is_more = still > (whole_of("open", OPEN_MAX, {}) or 0)
            if not is_more:
                key = key_of_form(caller.actor_id)
                once(session, key, withdrawn, status=200, resource_kind="campaign")
    except RequestInProgress:
        return still_at_work(home)
    if is_more:
        return _page(campaign_id, form, {"open": MORE}, status=409)
    return go(f"{home}?done=withdrawn")


@permitted(Permission.CAMPAIGNS_MANAGE)
@limited(Policy.UPLOAD)
def withdraw_file(campaign_id: UUID) -> Response:
    """Withdraw the codes of a file, once per form, and lead to what became of it."""
    reason, errors = typed_reason(), dict[str, str]()
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
    stream = chosen_file("listed", errors)
    if not reason:
        errors["reason"] = NO_REASON
    if stream is None or not reason:
        return codes_page(campaign_id, errors)
    return take_file(campaign, "listed", partial(_withdrawn, campaign_id, stream, reason))


def _withdrawn(campaign_id: UUID, stream: BinaryIO, reason: str, session: Session) -> UUID:
    house = front().house
    done = withdraw_listed(
        session,
        campaign_id,
        stream,
        reason=reason,
        actor_id=principal().actor_id,
        keyring=house.settings.keyring,
        limits=house.limits,
        now=clock.now(session),
    )
    return done.entry_id


def _page(
    campaign_id: UUID,
    chosen: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> Response:
    wanted = _chosen(campaign_id, chosen)
    with looking() as session:
        campaign = campaign_seen(session, campaign_id)
        codes = codes_by_value(session, campaign_id, at_most=None)
    return page(
        "campaign_codes_withdraw.html",
        title=f"Withdraw codes of {campaign.name}",
        section="campaigns",
        crumbs=[
            ("Campaigns", url_for("console.campaigns")),
            (campaign.name, url_for("console.campaign", campaign_id=campaign_id)),
            ("Codes", url_for("console.campaign_codes", campaign_id=campaign_id)),
            ("Withdraw", None),
        ],
        status=status,
        campaign=campaign,
        errors=errors or {},
        words=withdrawal_words(codes, wanted),
        wanted=wanted,
        reason=typed_reason(),
        form_name=form_name(),
    )


def _chosen(campaign_id: UUID, chosen: Mapping[str, str]) -> CodesToWithdraw:
    """Those of a brand and value, or every code of the campaign; half a choice is `NotFound`."""
    brand_id, minor = chosen.get("brand_id"), chosen.get("denomination_minor")
    if not brand_id and not minor:
        return CodesToWithdraw(campaign_id, None, None)
    if not (minor and minor.isascii() and minor.isdigit() and len(minor) <= MINOR_DIGITS_MAX):
        raise NotFound
    try:
        return CodesToWithdraw(campaign_id, UUID(brand_id), int(minor))
    except (TypeError, ValueError):
        raise NotFound from None
