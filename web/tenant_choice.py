"""Choose the client a request is for: the caller's own, the one named, or the only one there is."""

from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.access.principals import Principal
from pipelines.errors import NotFound, Refusal
from pipelines.tenants.clients import only_client


class ClientRequired(Refusal):
    """The caller sees several clients, so the request must name one."""

    code = "client_required"
    detail = "Name the client in `client_id`."


def chosen_client(session: Session, caller: Principal, given: UUID | None) -> UUID:
    """Raises `ClientRequired`, and `NotFound` for a client beyond the caller's own."""
    if caller.client_id is not None:
        if given is not None and given != caller.client_id:
            raise NotFound
        return caller.client_id
    chosen = given or only_client(session)
    if chosen is None:
        raise ClientRequired
    return chosen
