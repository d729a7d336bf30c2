"""The pages of the bulk job wizard, each with its step marked and what it needs to know."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import UUID

from flask import Response, url_for

from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission, is_allowed
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.schedule import ScheduleRefused
from pipelines.limits import DEFAULTS
from pipelines.provisioning.choices import Offer, offer
from pipelines.provisioning.drafts import Draft, find_draft, recipients_of
from pipelines.provisioning.submit import preview_bulk
from web.admission import intake_slot
from web.backpressure import saturation_now
from web.console.delivery_ways import DeliveryWay, delivery_ways, way_of
from web.console.formats import money
from web.console.frame import page
from web.console.plan_words import PlanWords, cards_of, plan_words
from web.console.starts import PRIORITIES, StartForm
from web.console.visit import looking
from web.console.wizard_forms import WhatForm
from web.front import front
from web.guards import principal

STEPS = ("What", "Upload", "Check", "Cost and submit")
#: Smaller files are judged without queueing for the intake slot.
QUICK_BYTES_MAX = 1024 * 1024


def ways_here() -> tuple[DeliveryWay, ...]:
    """How cards get to their recipients from this installation."""
    settings = front().house.settings
    return delivery_ways(has_mail=settings.mail is not None, has_sms=settings.sms is not None)


def draft_in_hand(draft_id: UUID, *, open_only: bool = True) -> Draft:
    """The visitor's draft; one that became a job is gone, unless asked for."""
    with looking() as session:
        draft = find_draft(session, draft_id, user_id=principal().actor_id)
    if open_only and draft.job_id is not None:
        raise NotFound("This draft was submitted; its job is in the list.")
    return draft


def what_page(
    offered: Offer,
    what: WhatForm,
    errors: dict[str, str] | None = None,
    *,
    draft: Draft | None = None,
) -> Response:
    return _step(
        0,
        "wizard_what.html",
        status=422 if errors else 200,
        offered=offered,
        what=what,
        ways=ways_here(),
        errors=errors or {},
        draft=draft,
    )


def upload_page(draft: Draft, wrong: str | None = None) -> Response:
    return _step(
        1,
        "wizard_upload.html",
        status=422 if wrong else 200,
        draft=draft,
        wrong=wrong,
        way=_way(draft),
        rows_max=DEFAULTS.csv_rows_max,
        bytes_max=DEFAULTS.intake_inline_bytes_max,
    )


def check_page(draft: Draft, wrong: str | None = None) -> Response:
    """What the file says; a file that cannot be read as a whole goes back to the upload."""
    try:
        plan = _plan(draft)
    except NotFound:
        return upload_page(draft, "Upload the file first.")
    except Refusal as refusal:
        return _whole_file_refused(draft, refusal)
    return _step(
        2, "wizard_check.html", status=422 if wrong else 200, draft=draft, plan=plan, wrong=wrong
    )


def cost_page(
    draft: Draft,
    *,
    idempotency_key: str,
    start: StartForm | None = None,
    refusal: Refusal | None = None,
    status: int = 200,
) -> Response:
    """What the job costs now; after a refusal the page says what has changed."""
    try:
        plan = _plan(draft)
    except NotFound:
        return upload_page(draft, "Upload the file first.")
    except Refusal as whole:
        return _whole_file_refused(draft, whole)
    earlier = refusal.extra.get("job_id") if refusal is not None else None
    return _step(
        3,
        "wizard_cost.html",
        status=status,
        draft=draft,
        plan=plan,
        cards=cards_of(plan),
        way=_way(draft),
        facts=_facts(draft),
        idempotency_key=idempotency_key,
        start=start or StartForm(),
        priorities=PRIORITIES,
        may_move=True,
        may_see_credit=is_allowed(principal(), Permission.CREDIT_READ),
        errors={"starts_at": refusal.detail} if isinstance(refusal, ScheduleRefused) else {},
        refusal=refusal,
        earlier=url_for("console.job", job_id=earlier) if earlier else None,
    )


def _whole_file_refused(draft: Draft, refusal: Refusal) -> Response:
    if refusal.kind is Kind.BUSY:
        raise refusal
    return upload_page(draft, refusal.detail)


def _plan(draft: Draft) -> PlanWords:
    house, saturated = front().house, saturation_now()
    with _room(draft), scoped_transaction(house.sessions, client(draft.client_id)) as session:
        view = preview_bulk(
            session,
            draft.choices.as_bulk(),
            recipients_of(session, draft, user_id=principal().actor_id),
            person_secret=house.person_secret,
            limits=house.limits,
            saturated=saturated,
        )
    return plan_words(view)


@contextmanager
def _room(draft: Draft) -> Iterator[None]:
    """Large files are judged one at a time, so that everybody else's pages stay quick."""
    is_large = (draft.file_bytes or 0) > QUICK_BYTES_MAX
    with intake_slot() if is_large else nullcontext():
        yield


def _facts(draft: Draft) -> list[tuple[str, str]]:
    with looking() as session:
        offered = offer(session)
    campaign = offered.campaign(draft.choices.campaign_id)
    brand = offered.brand(draft.choices.brand_id)
    minor = draft.choices.denomination_minor
    amount = "As each row says"
    if minor is not None and brand is not None:
        amount = money(minor, brand.currency)
    return [
        ("Campaign", campaign.name if campaign else "–"),
        ("Brand", brand.name if brand else "–"),
        ("Amount per card", amount),
        ("Delivery", _way(draft).summary),
        ("File", draft.file_name or "–"),
    ]


def _way(draft: Draft) -> DeliveryWay:
    return way_of(draft.choices.delivery_method, ways_here())


def _step(number: int, template: str, *, status: int = 200, **facts: Any) -> Response:
    return page(
        template,
        title=f"New bulk job – step {number + 1} of {len(STEPS)}: {STEPS[number]}",
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), ("New bulk job", None)],
        status=status,
        steps=STEPS,
        step=number,
        **facts,
    )
