"""Choose the tenant a request is for: the caller's own, the one named, or the only one there is."""

from uuid import UUID

from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.people import Role
from pipelines.access.api_keys import client_for_key
from pipelines.access.principals import Principal
from pipelines.access.users import OF_AGENCIES, OF_CLIENTS, TenantNotOfRole
from pipelines.errors import NotFound, Refusal
from pipelines.tenants.agencies import agency
from pipelines.tenants.clients import client, only_client
from pipelines.webhooks.endpoints import Place


class ClientRequired(Refusal):
    """The caller sees several clients, so the request must name one."""

    code = "client_required"
    detail = "Name the client in `client_id`."


def client_asked_for(sessions: Sessions, caller: Principal, given: UUID | None) -> UUID:
    """As `chosen_client`, in a transaction of its own, which callers of one client need none for."""
    if caller.client_id is not None:
        return _own(caller.client_id, given)
    with scoped_transaction(sessions, caller.scope) as session:
        return chosen_client(session, caller, given)


def chosen_client(session: Session, caller: Principal, given: UUID | None) -> UUID:
    """Raises `ClientRequired`, and `NotFound` for a client beyond the caller's own."""
    if caller.client_id is not None:
        return _own(caller.client_id, given)
    if given is not None:
        # Of what the caller sees: the scope that is taken next trusts this.
        return UUID(str(client(session, given).id))
    chosen = only_client(session)
    if chosen is None:
        raise ClientRequired
    return chosen


def _own(client_id: UUID, given: UUID | None) -> UUID:
    if given is not None and given != client_id:
        raise NotFound
    return client_id


def place_of_endpoint(session: Session, caller: Principal, client_id: UUID | None) -> Place:
    """Of a webhook: the caller's own, or a client's in its sight; `NotFound` for any other."""
    chosen = client_id or caller.client_id
    if chosen is None:
        return Place(caller.agency_id, None)
    row = client(session, chosen)
    return Place(row.agency_id, row.id)


def place_of_new(
    session: Session,
    caller: Principal,
    role: Role,
    agency_id: UUID | None,
    client_id: UUID | None,
) -> tuple[UUID | None, UUID | None]:
    """Agency and client of a new person of the role: the caller's own, those named, or none.

    Raises `NotFound` for what the caller does not see, `ClientRequired`, `TenantNotOfRole`.
    """
    if role in OF_CLIENTS and agency_id is None:
        client_id = chosen_client(session, caller, client_id)
        return client_for_key(session, client_id), client_id
    if role in OF_AGENCIES and client_id is None:
        agency_id = agency_id or caller.agency_id
        return (agency(session, agency_id).id if agency_id else None), None
    if agency_id or client_id:
        raise TenantNotOfRole
    return None, None
