"""Invitations as every door sends and sees them: places in the caller's scope, mails beyond it."""

from dataclasses import replace
from functools import partial
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access import invitations
from pipelines.access.invitations import Guest, InvitationView
from pipelines.access.principals import Principal
from pipelines.errors import NotFound
from pipelines.queue.keys import Done, RequestKey, once
from web.front import front
from web.guards import principal
from web.tenant_choice import place_of_new


def send_invitation(caller: Principal, wanted: Guest, key: RequestKey | None) -> Done:
    """Invite to where the caller may; raises what `place_of_new` and `invite` raise."""
    house = front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        place = place_of_new(session, caller, wanted.role, wanted.agency_id, wanted.client_id)
    guest = replace(wanted, agency_id=place[0], client_id=place[1])
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now, keyring = clock.now(session), house.settings.keyring
        make = partial(invitations.invite, session, caller, guest, keyring=keyring, now=now)
        return once(session, key, make, status=201, resource_kind="invitation")


def invitations_seen(
    *, before: UUID | None, limit: int, only: UUID | None = None
) -> list[InvitationView]:
    """What the caller's scope shows, newest first, and how far each mail has come."""
    house = front().house
    with scoped_transaction(house.sessions, principal().scope) as session:
        views = invitations.list_invitations(
            session,
            keyring=house.settings.keyring,
            now=clock.now(session),
            before=before,
            limit=limit,
            only=only,
        )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return invitations.with_mails(session, views)


def invitation_seen(identity: UUID) -> InvitationView:
    """One of them; `NotFound` for any other."""
    found = invitations_seen(before=None, limit=1, only=identity)
    if not found:
        raise NotFound
    return found[0]
