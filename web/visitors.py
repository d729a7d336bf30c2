"""Who a visitor of the widget is: the bearer of a session that a partner's token opened (SEC-07).

Such a bearer is good for the widget's own routes and nothing else, and no other credential is here.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import g, request

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.rate_policies import Policy
from pipelines.audit.circumstances import act_as
from pipelines.partners.refusals import SessionExpired
from pipelines.partners.sessions import Visitor, find_visitor
from web.bearer import SCHEME
from web.cross_origin import asking_origin
from web.front import front
from web.rate_limits import POLICIES, policies_of, spend

View = TypeVar("View", bound=Callable[..., Any])
#: What `.permission` of the widget's views holds, and the role in the audit.
PARTNER_SESSION = "partner_session"


def visiting(*policies: Policy) -> Callable[[View], View]:
    """Let only a living visit in, and count each request of it; raises `SessionExpired` and the like."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            found = _visitor()
            for policy in policies:
                spend(policy, account=str(found.session_id))
            return view(*args, **kwargs)

        guarded.permission = PARTNER_SESSION  # type: ignore[attr-defined]
        setattr(guarded, POLICIES, (*policies_of(view), *policies))
        return cast("View", guarded)

    return decorate


def visitor() -> Visitor:
    """Whose visit this request is of; the view is `visiting`."""
    return cast("Visitor", g.visitor)


def _visitor() -> Visitor:
    header = request.headers.get("Authorization", "")
    if header[: len(SCHEME)].lower() != SCHEME:
        raise SessionExpired
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        token = header[len(SCHEME) :].strip()
        found = find_visitor(session, token, asking_origin(), now=now)
    g.visitor = found
    act_as(found.user_id, PARTNER_SESSION)
    return found
