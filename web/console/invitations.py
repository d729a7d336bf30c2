"""Invitations at the console: who is asked in and how far it has come; sent again, or ended."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.mails import MailState
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.delegation import may_manage
from pipelines.access.invitations import Guest, InvitationState, InvitationView, withdraw
from pipelines.access.permissions import Permission
from pipelines.access.places import Places, places_of
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from web.console.approvals import UNNAMED
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.job_words import StateWords
from web.console.role_words import ROLES
from web.console.typed import id_in
from web.console.visit import looking
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.inviting import invitation_seen, invitations_seen, send_invitation
from web.rate_limits import spend

PAGE_SIZE = 50
STATES = {
    InvitationState.OPEN: StateWords("Open", "clock", "warn"),
    InvitationState.ACCEPTED: StateWords("Accepted", "check", "good"),
    InvitationState.EXPIRED: StateWords("Expired", "skip", "soft"),
    InvitationState.ENDED: StateWords("Ended", "stop", ""),
}
MAILS = {
    MailState.WAITING: "The mail is on its way",
    MailState.SENT: "The mail was sent",
    MailState.BOUNCED: "The mail came back: no such address",
    MailState.GAVE_UP: "The mail could not be delivered",
}
DONE = {
    "sent": "The invitation is on its way.",
    "ended": "The invitation has ended; its link is dead.",
}


@dataclass(frozen=True, slots=True)
class InvitationWords:
    """One invitation as the page says it; what has ended has no address any more."""

    id: UUID
    email: str | None
    name: str | None
    role: str
    place: str
    state: StateWords
    mail: str
    sent_by: str
    sent_at: datetime
    expires_at: datetime
    is_open: bool
    may_change: bool
    user_id: UUID | None


def add_pages(console: Blueprint) -> None:
    home = "/invitations/<uuid:invitation_id>"
    console.add_url_rule("/invitations", "invitations", show)
    console.add_url_rule(f"{home}/again", "invitation_again", send_again, methods=["POST"])
    console.add_url_rule(f"{home}/end", "invitation_end", end, methods=["POST"])


@permitted(Permission.USERS_MANAGE)
def show() -> Response:
    """The invitations of the visitor's tenant and below, newest first."""
    before = id_in(request.args.get("before"))
    views = invitations_seen(before=before, limit=PAGE_SIZE + 1)
    older = None
    if len(views) > PAGE_SIZE:
        older = url_for("console.invitations", before=views[PAGE_SIZE - 1].id)
    return page(
        "invitations.html",
        title="Invitations",
        section="people",
        crumbs=[("People", url_for("console.people")), ("Invitations", None)],
        invitations=_worded(views[:PAGE_SIZE]),
        older=older,
        is_later_page=before is not None,
        done=DONE.get(request.args.get("done", "")),
        form_name=form_name(),
    )


@permitted(Permission.USERS_MANAGE)
def send_again(invitation_id: UUID) -> Response:
    """Mail a new link to the same person, which ends the old one; what has ended leads back."""
    caller, old = freshly_proven(), invitation_seen(invitation_id)
    if old.email is None:
        return go(url_for("console.invitations"))
    spend(Policy.INVITE, account=old.email)
    agency_id = None if old.client_id else old.agency_id
    wanted = Guest(old.email, Role(old.role), old.name or "", agency_id, old.client_id)
    send_invitation(caller, wanted, key_of_form(caller.actor_id))
    return go(url_for("console.invitations", done="sent"))


@permitted(Permission.USERS_MANAGE)
def end(invitation_id: UUID) -> Response:
    """End it: the link in the mail is dead at once."""
    with looking() as session:
        withdraw(session, principal(), invitation_id, now=clock.now(session))
    return go(url_for("console.invitations", done="ended"))


def _worded(views: list[InvitationView]) -> list[InvitationWords]:
    caller = principal()
    with looking() as session:
        places = places_of(session, views)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        names = names_of(session, [view.invited_by for view in views], caller=caller)
    return [_words(view, places, names, caller) for view in views]


def _words(
    view: InvitationView, places: Places, names: dict[UUID, str], caller: Principal
) -> InvitationWords:
    role, has_address = Role(view.role), view.email is not None
    return InvitationWords(
        id=view.id,
        email=view.email,
        name=view.name,
        role=ROLES[role],
        place=places.of(view),
        state=STATES[view.state],
        mail=MAILS[MailState(view.mail)] if view.mail and has_address else "",
        sent_by=names.get(view.invited_by) or UNNAMED,
        sent_at=view.created_at,
        expires_at=view.expires_at,
        is_open=view.state is InvitationState.OPEN,
        may_change=has_address and may_manage(caller.role, role),
        user_id=view.user_id,
    )
