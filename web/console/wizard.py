"""The bulk job wizard: what, upload, check, cost, submit; each step an address, Back loses nothing."""

import hashlib
import secrets
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.kinds import OnError
from pipelines.limits import DEFAULTS
from pipelines.provisioning.campaigns import client_of_campaign
from pipelines.provisioning.choices import offer
from pipelines.provisioning.drafts import (
    Choices,
    Draft,
    begin_draft,
    find_draft,
    keep_choices,
    keep_file,
    note_submitted,
    recipients_of,
)
from pipelines.provisioning.submit import submit_bulk
from pipelines.queue.keys import RequestKey
from web.admission import IntakeBusy, intake_slot
from web.backpressure import saturation_now
from web.console.form_names import sent_key
from web.console.frame import go
from web.console.starts import priority_of, time_of, typed_start
from web.console.visit import looking
from web.console.wizard_forms import WhatForm, read_what, typed, what_of
from web.console.wizard_pages import (
    check_page,
    cost_page,
    draft_in_hand,
    upload_page,
    ways_here,
    what_page,
)
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited


def add_pages(console: Blueprint) -> None:
    def step(path: str, name: str, show: object, take: object) -> None:
        console.add_url_rule(f"/jobs/new{path}", name, show, methods=["GET"])  # type: ignore[arg-type]
        console.add_url_rule(f"/jobs/new{path}", f"{name}_taken", take, methods=["POST"])  # type: ignore[arg-type]

    step("", "wizard", show_what, take_what)
    step("/<uuid:draft_id>/what", "wizard_what", show_what_again, take_what_again)
    step("/<uuid:draft_id>/check", "wizard_check", show_check, take_check)
    step("/<uuid:draft_id>/cost", "wizard_cost", show_cost, submit)
    console.add_url_rule(
        "/jobs/new/<uuid:draft_id>/upload", "wizard_upload", upload, methods=["GET", "POST"]
    )


@permitted(Permission.PROVISION)
def show_what() -> Response:
    with looking() as session:
        offered = offer(session)
    return what_page(offered, WhatForm())


@permitted(Permission.PROVISION)
def take_what() -> Response:
    """Begin a draft with the first choices."""
    what = typed(request.form)
    with looking() as session:
        offered = offer(session)
        choices = read_what(what, offered, ways_here())
        if isinstance(choices, Choices):
            client_id = client_of_campaign(session, choices.campaign_id)
    if not isinstance(choices, Choices):
        return what_page(offered, what, choices)
    try:
        with scoped_transaction(front().house.sessions, client(client_id)) as session:
            draft_id = begin_draft(session, choices, user_id=principal().actor_id)
    except Refusal as refusal:
        return what_page(offered, what, {"brand_id": refusal.detail})
    return _to("upload", draft_id)


@permitted(Permission.PROVISION)
def show_what_again(draft_id: UUID) -> Response:
    draft = draft_in_hand(draft_id)
    with looking() as session:
        offered = offer(session)
    return what_page(offered, what_of(draft.choices, offered), draft=draft)


@permitted(Permission.PROVISION)
def take_what_again(draft_id: UUID) -> Response:
    """Change the choices of a draft; another client's campaign needs a new one."""
    draft, what = draft_in_hand(draft_id), typed(request.form)
    with looking() as session:
        offered = offer(session)
        choices = read_what(what, offered, ways_here())
        if isinstance(choices, Choices):
            is_same = client_of_campaign(session, choices.campaign_id) == draft.client_id
    if not isinstance(choices, Choices):
        return what_page(offered, what, choices, draft=draft)
    if not is_same:
        return take_what()
    with scoped_transaction(front().house.sessions, client(draft.client_id)) as session:
        keep_choices(session, draft.id, choices)
    return _to("check" if draft.file_bytes is not None else "upload", draft_id)


@permitted(Permission.PROVISION)
@limited(Policy.UPLOAD, methods=frozenset({"POST"}))
def upload(draft_id: UUID) -> Response:
    """Show the upload form, or keep the file that comes with it."""
    draft = draft_in_hand(draft_id)
    if request.method == "GET":
        return upload_page(draft)
    given = request.files.get("file")
    content = given.stream.read(DEFAULTS.intake_inline_bytes_max + 1) if given else b""
    if not content:
        return upload_page(draft, "Choose a CSV file that is not empty.")
    if len(content) > DEFAULTS.intake_inline_bytes_max:
        return upload_page(draft, "The file is larger than 16 MB. Split it, or use the API.")
    with scoped_transaction(front().house.sessions, client(draft.client_id)) as session:
        keep_file(session, draft.id, content, given.filename if given else None)
    return _to("check", draft_id)


@permitted(Permission.PROVISION)
def show_check(draft_id: UUID) -> Response:
    return check_page(draft_in_hand(draft_id))


@permitted(Permission.PROVISION)
def take_check(draft_id: UUID) -> Response:
    """Keep whether rows with errors stop the job or are left out."""
    draft = draft_in_hand(draft_id)
    if request.form.get("on_error") not in set(OnError):
        return check_page(draft, "Choose what happens with the rows that cannot be used.")
    on_error = OnError(request.form["on_error"])
    choices = draft.choices
    with scoped_transaction(front().house.sessions, client(draft.client_id)) as session:
        keep_choices(session, draft.id, choices.with_on_error(on_error))
    return _to("cost", draft_id)


@permitted(Permission.PROVISION)
def show_cost(draft_id: UUID) -> Response:
    return cost_page(draft_in_hand(draft_id), idempotency_key=secrets.token_hex(16))


@permitted(Permission.PROVISION)
@limited(Policy.SUBMIT)
def submit(draft_id: UUID) -> Response:
    """Submit what the page showed, once, however often the button is pressed."""
    draft = draft_in_hand(draft_id, open_only=False)
    if draft.job_id is not None:
        return _to_job(draft.job_id)
    key = sent_key(str(draft_id))
    try:
        job_id = _submitted(draft, key)
    except (NotFound, IntakeBusy):
        raise
    except Refusal as refusal:
        if refusal.kind is Kind.FORBIDDEN:
            raise
        return cost_page(
            draft,
            idempotency_key=key,
            start=typed_start(request.form),
            refusal=refusal,
            status=STATUS[refusal.kind],
        )
    return _to_job(job_id)


def _submitted(draft: Draft, key: str) -> UUID:
    house, user_id = front().house, principal().actor_id
    fingerprint = hashlib.sha256(b"console draft" + draft.id.bytes).digest()
    saturated, start = saturation_now(), typed_start(request.form)
    with intake_slot(), scoped_transaction(house.sessions, client(draft.client_id)) as session:
        locked = find_draft(session, draft.id, user_id=user_id, lock=True)
        if locked.job_id is not None:
            return locked.job_id
        accepted = submit_bulk(
            session,
            locked.choices.as_bulk(
                plan_hash=request.form.get("plan_hash", ""),
                force="force" in request.form,
                scheduled_for=time_of(start),
                priority=priority_of(start),
            ),
            recipients_of(session, locked, user_id=user_id),
            actor_id=user_id,
            key=RequestKey(user_id, key, fingerprint),
            person_secret=house.person_secret,
            limits=house.limits,
            saturated=saturated,
        )
        note_submitted(session, draft.id, accepted.job_id, now=clock.now(session))
    return accepted.job_id


def _to(step: str, draft_id: UUID) -> Response:
    return go(url_for(f"console.wizard_{step}", draft_id=draft_id))


def _to_job(job_id: UUID) -> Response:
    return go(url_for("console.job", job_id=job_id))
