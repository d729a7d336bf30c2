"""Who is asking: the actor behind a request, and the scope the actor's work runs in."""

from dataclasses import dataclass, field
from uuid import UUID

from models import scope as scopes
from models.people import Role
from models.scope import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated actor; `key_scopes` is set for API keys only, the rest for people only."""

    actor_id: UUID
    role: Role
    agency_id: UUID | None = None
    client_id: UUID | None = None
    key_scopes: frozenset[str] | None = field(default=None)
    sign_in_id: UUID | None = None
    #: Since a password or code was last checked on this sign-in.
    proof_age_seconds: float | None = None
    has_second_factor: bool = False
    #: The person through whose eyes the actor looks, and what the actor is (SEC-30).
    acting_for: UUID | None = None
    own_role: Role | None = None

    @property
    def scope(self) -> Scope:
        """The database scope of this actor: its client, its agency, or the platform."""
        if self.client_id is not None:
            return scopes.client(self.client_id)
        if self.agency_id is not None:
            return scopes.agency(self.agency_id)
        if self.role in {Role.PLATFORM_ADMIN, Role.PLATFORM_SUPPORT}:
            return scopes.PLATFORM
        raise scopes.NoScope("an actor without a tenant has no scope")

    @property
    def sees_costs(self) -> bool:
        """Cost and margin are for the platform and its agencies only."""
        return self.client_id is None and self.role is not Role.END_USER
