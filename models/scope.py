"""Whose eyes a transaction looks through: the scope that every session needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ScopeRole(StrEnum):
    """The database role a scoped transaction takes; row policies are written for these."""

    PLATFORM = "largesse_platform"
    AGENCY = "largesse_agency"
    CLIENT = "largesse_client"
    SYSTEM = "largesse_system"


@dataclass(frozen=True, slots=True)
class Scope:
    """A database role with the tenant ids its policies compare."""

    role: ScopeRole
    agency_id: UUID | None = None
    client_id: UUID | None = None


PLATFORM = Scope(ScopeRole.PLATFORM)
#: Duties and credential look-ups; work for a tenant then enters that tenant's scope.
SYSTEM = Scope(ScopeRole.SYSTEM)


def agency(agency_id: UUID) -> Scope:
    return Scope(ScopeRole.AGENCY, agency_id=agency_id)


def client(client_id: UUID) -> Scope:
    return Scope(ScopeRole.CLIENT, client_id=client_id)


class NoScope(RuntimeError):
    """A transaction began without a scope: a mistake in our code, never an empty answer."""


_current: ContextVar[Scope | None] = ContextVar("scope", default=None)


def current() -> Scope:
    """The scope in force; raises `NoScope` when there is none."""
    scope = _current.get()
    if scope is None:
        raise NoScope("no tenant scope: wrap the work in tenant_scope(...)")
    return scope


@contextmanager
def tenant_scope(scope: Scope) -> Iterator[None]:
    """Run a block in `scope`; refuses to nest, and resets whatever happens.

    Threads are reused, so a scope that outlived its block would be a leak between tenants.
    """
    if _current.get() is not None:
        raise RuntimeError("a tenant scope is already in force; scopes do not nest")
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def set_aside() -> Iterator[None]:
    """Leave the scope in force for a block that takes its own: what workers of all tenants share.

    Only between transactions; one that is open refuses another.
    """
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
