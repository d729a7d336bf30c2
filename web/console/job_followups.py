"""After a job has ended: take it back or run it again, once its effect was shown and confirmed."""

import hashlib
import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models.database import scoped_transaction
from models.scope import Scope, client
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.rate_policies import Policy
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.kinds import OnError
from pipelines.jobs.labels import labels_of
from pipelines.jobs.read import job_row
from pipelines.jobs.undo import preview_undo, submit_undo
from pipelines.provisioning.clone import CloneChoices, preview_clone, submit_clone
from pipelines.provisioning.clone_rows import Only
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.refusals import PreviewTooLarge
from pipelines.queue.keys import RequestKey
from web.admission import IntakeBusy, intake_slot
from web.backpressure import saturation_now
from web.console.delivery_ways import way_of
from web.console.followup_words import WHOM, undo_words
from web.console.form_names import sent_key
from web.console.frame import go, page
from web.console.kind_words import job_name
from web.console.plan_words import cards_of, plan_words
from web.console.visit import looking
from web.console.wizard_pages import ways_here
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/jobs/<uuid:job_id>/undo", "job_undo", ask_undo, methods=["GET"])
    console.add_url_rule("/jobs/<uuid:job_id>/undo", "job_undo_now", undo, methods=["POST"])
    console.add_url_rule("/jobs/<uuid:job_id>/clone", "job_clone", ask_clone, methods=["GET"])
    console.add_url_rule("/jobs/<uuid:job_id>/clone", "job_clone_now", clone, methods=["POST"])


@permitted(Permission.JOBS_CONTROL)
def ask_undo(job_id: UUID) -> Response:
    """How many cards or coupons go back, how much credit returns, and what stays and why."""
    return _undo_page(job_id)


@permitted(Permission.JOBS_CONTROL)
@limited(Policy.SUBMIT)
def undo(job_id: UUID) -> Response:
    house, caller, key = front().house, principal(), _key(job_id, b"undo")
    scope, _name, _kind = _place(job_id)
    try:
        with scoped_transaction(house.sessions, scope) as session:
            done = submit_undo(
                session,
                job_id,
                actor_id=caller.actor_id,
                key=key,
                kinds=house.job_kinds,
                limits=house.limits,
            )
    except Refusal as refusal:
        return _undo_page(job_id, refusal=_shown(refusal))
    return go(url_for("console.job", job_id=done.resource_id))


@permitted(Permission.PROVISION)
def ask_clone(job_id: UUID) -> Response:
    """The plan of the new job for the recipients chosen in the address."""
    return _clone_page(job_id, _choices(request.args))


@permitted(Permission.PROVISION)
@limited(Policy.SUBMIT)
def clone(job_id: UUID) -> Response:
    house, caller, choices = front().house, principal(), _choices(request.form)
    asked = f"clone{choices.only}{choices.allow_repeat}".encode()
    agreed = replace(choices, plan_hash=request.form.get("plan_hash") or None)
    scope, _name, _kind = _place(job_id)
    saturated = saturation_now()
    try:
        with intake_slot(), scoped_transaction(house.sessions, scope) as session:
            done = submit_clone(
                session,
                job_id,
                agreed,
                actor_id=caller.actor_id,
                key=_key(job_id, asked),
                person_secret=house.person_secret,
                limits=house.limits,
                saturated=saturated,
            )
    except Refusal as refusal:
        return _clone_page(job_id, choices, refusal=_shown(refusal))
    return go(url_for("console.job", job_id=done.job_id))


def _undo_page(job_id: UUID, *, refusal: Refusal | None = None) -> Response:
    scope, name, kind = _place(job_id)
    plan = None
    try:
        house = front().house
        with scoped_transaction(house.sessions, scope) as session:
            plan = undo_words(kind, preview_undo(session, job_id, kinds=house.job_kinds).as_json())
    except Refusal as found:
        refusal = refusal or _shown(found)
    return _page("job_undo.html", "Undo", job_id, name, refusal, plan=plan)


def _clone_page(job_id: UUID, choices: CloneChoices, *, refusal: Refusal | None = None) -> Response:
    house = front().house
    scope, name, _kind = _place(job_id)
    plan, is_large, saturated = None, False, saturation_now()
    try:
        with intake_slot(), scoped_transaction(house.sessions, scope) as session:
            shown = preview_clone(
                session,
                job_id,
                choices,
                person_secret=house.person_secret,
                limits=house.limits,
                saturated=saturated,
            )
        plan = plan_words(shown)
    except PreviewTooLarge:
        is_large = True
    except Refusal as found:
        refusal = refusal or _shown(found)
    return _page(
        "job_clone.html",
        "Run again",
        job_id,
        name,
        refusal,
        plan=plan,
        cards=cards_of(plan) if plan else "",
        is_large=is_large,
        may_see_credit=is_allowed(principal(), Permission.CREDIT_READ),
        delivery=_delivery(job_id),
        whom=WHOM,
        only=choices.only.value,
        allow_repeat=bool(choices.allow_repeat),
    )


def _page(
    template: str, action: str, job_id: UUID, name: str, refusal: Refusal | None, **facts: Any
) -> Response:
    home = url_for("console.job", job_id=job_id)
    return page(
        template,
        title=f"{action} – {name}",
        section="jobs",
        crumbs=[("Jobs", url_for("console.jobs")), (name, home), (action, None)],
        status=STATUS[refusal.kind] if refusal else 200,
        home=home,
        name=name,
        refusal=refusal,
        beside=_beside(refusal),
        idempotency_key=secrets.token_hex(16),
        **facts,
    )


def _beside(refusal: Refusal | None) -> str | None:
    """The page of the other job that a refusal names."""
    other = refusal.extra.get("job_id") if refusal else None
    return url_for("console.job", job_id=other) if other else None


def _shown(refusal: Refusal) -> Refusal:
    """A refusal that this page can say; the others have pages of their own."""
    if isinstance(refusal, NotFound | IntakeBusy) or refusal.kind in {
        Kind.FORBIDDEN,
        Kind.THROTTLED,
    }:
        raise refusal
    return refusal


def _choices(given: Any) -> CloneChoices:
    """Rows that cannot be used are left out; people served before, too, unless said otherwise."""
    only = given.get("only", Only.ALL.value)
    return CloneChoices(
        only=Only(only) if only in set(Only) else Only.ALL,
        allow_repeat="allow_repeat" in given,
        on_error=OnError.SKIP,
    )


def _key(job_id: UUID, asked: bytes) -> RequestKey:
    """The form's own name: pressing twice does it once."""
    given = sent_key(str(job_id))
    fingerprint = hashlib.sha256(b"console followup" + job_id.bytes + asked).digest()
    return RequestKey(principal().actor_id, given, fingerprint)


def _place(job_id: UUID) -> tuple[Scope, str, str]:
    """The scope of the job's client, its name and its kind; `NotFound` beyond the caller's."""
    with looking() as session:
        row = job_row(session, job_id)
        name = job_name(row.kind, labels_of(session, [row]).campaign(row))
    return (client(row.client_id) if row.client_id else principal().scope), name, row.kind


def _delivery(job_id: UUID) -> str:
    """How the job sent its cards, which another run does too; empty for a job that gives none."""
    with looking() as session:
        method = job_row(session, job_id).spec.get("delivery_method")
    return way_of(DeliveryMethod(method), ways_here()).summary if method else ""
