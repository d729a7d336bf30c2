"""Who may enter: the caller's identity and the one permission that each route declares."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import current_app, g, request

from pipelines.access.permissions import Permission, require
from pipelines.access.principals import Principal
from pipelines.access.proofs import require_fresh_proof, require_second_factor
from pipelines.access.rate_policies import Policy
from pipelines.audit.circumstances import act_as
from pipelines.errors import Kind, Refusal
from web.bearer import principal_of_bearer
from web.front import front
from web.rate_limits import spend

View = TypeVar("View", bound=Callable[..., Any])
#: What `.permission` of a public view holds.
PUBLIC = "public"
API_PREFIX = "/api/"
#: Where the console leaves the function that knows its cookie: `() -> Principal | None`.
PAGE_AUTHENTICATOR = "largesse.page_authenticator"


class Unauthenticated(Refusal):
    """No credentials, or none that are good; every reason gives this same answer."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED
    detail = "Sign in, or send a valid token or API key in the Authorization header."


def principal() -> Principal:
    """The current caller; raises `Unauthenticated` when nobody is signed in."""
    found = g.get("principal") or _authenticate()
    if found is None:
        raise Unauthenticated
    g.principal = found
    role = found.own_role or found.role
    act_as(found.actor_id, role.value, on_behalf_of=found.acting_for)
    return cast("Principal", found)


def permitted(permission: Permission, *, before_enrolment: bool = False) -> Callable[[View], View]:
    """Let only callers with `permission` into the view, before anything of the body is read.

    On the API each request counts, also one that is then refused. Administrators who have no second
    factor yet get in only to their own credentials, and where it is `before_enrolment`.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            enter(permission, before_enrolment=before_enrolment)
            return view(*args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return cast("View", guarded)

    return decorate


def enter(permission: Permission, *, before_enrolment: bool = False) -> Principal:
    """The caller, let in for `permission`; raises `Unauthenticated`, `Forbidden` and the like.

    Who looks as another had to show their own second factor for that.
    """
    caller = principal()
    if is_api():
        spend(Policy.API)
    require(caller, permission)
    is_first = before_enrolment or permission is Permission.OWN_CREDENTIALS
    needs_factor = front().house.settings.requires_second_factor and not is_first
    if needs_factor and caller.acting_for is None:
        require_second_factor(caller)
    return caller


def freshly_proven() -> Principal:
    """The caller, proven a short time ago; raises `StepUpRequired`, `Unauthenticated`."""
    caller = principal()
    require_fresh_proof(caller, seconds=front().house.limits.step_up_seconds)
    return caller


def public(view: View) -> View:
    """Mark a view that needs no caller."""
    view.permission = PUBLIC  # type: ignore[attr-defined]
    return view


def is_api() -> bool:
    """Whether this request speaks JSON; everything else is a page for people."""
    return request.path.startswith(API_PREFIX)


def _authenticate() -> Principal | None:
    """The API knows bearers only, never cookies; pages know what the console registered."""
    if is_api():
        return principal_of_bearer(request.headers.get("Authorization", ""))
    authenticator = current_app.extensions.get(PAGE_AUTHENTICATOR)
    return cast("Principal | None", authenticator()) if authenticator else None
