"""The frame around every page: navigation by role, breadcrumb of scope, and the answer's headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, g, render_template, request, url_for

from models.people import Role
from pipelines.access.console_sessions import ConsoleSession
from pipelines.access.permissions import Permission, is_allowed
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.settings import Environment
from web.console.csrf import form_token
from web.console.visit import find_visitor
from web.front import front


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the navigation."""

    section: str
    label: str
    icon: str
    endpoint: str
    needs: Permission


NAVIGATION = (
    Entry("overview", "Overview", "home", "console.overview", Permission.OWN_ACCOUNT),
    Entry("campaigns", "Campaigns", "gift", "console.campaigns", Permission.CAMPAIGNS_READ),
    Entry("jobs", "Jobs", "layers", "console.jobs", Permission.JOBS_READ),
    Entry("inventory", "Gift-card inventory", "card", "console.inventory", Permission.POOLS_READ),
    Entry("books", "Books & codes", "key", "console.books", Permission.BOOKS_READ),
    Entry("discounts", "Discount codes", "coins", "console.discounts", Permission.DISCOUNTS_READ),
    Entry("referrals", "Referrals", "repeat", "console.referrals", Permission.DISCOUNTS_READ),
    Entry("purchases", "Purchases", "card", "console.purchases", Permission.PURCHASES_READ),
    Entry("user-pools", "Pools", "people", "console.user_pools", Permission.USER_POOLS_READ),
    Entry("brands", "Brands and prices", "gift", "console.brands", Permission.BRANDS_READ),
    Entry("credit", "Credit", "coins", "console.credit", Permission.CREDIT_READ),
    Entry("alerts", "Alerts", "alert", "console.alerts", Permission.ALERTS_READ),
    Entry("approvals", "Approvals", "check", "console.approvals", Permission.APPROVALS_READ),
    Entry("people", "People", "people", "console.people", Permission.USERS_MANAGE),
    Entry("look", "Look as a person", "eye", "console.look_find", Permission.IMPERSONATE),
    Entry("api-keys", "API keys", "key", "console.api_keys", Permission.KEYS_MANAGE),
    Entry("webhooks", "Webhooks", "upload", "console.webhooks", Permission.WEBHOOKS_READ),
    Entry("partners", "Partners", "globe", "console.partners", Permission.PARTNERS_READ),
    Entry("audit", "Audit", "info", "console.audit", Permission.AUDIT_READ),
    Entry("vendors", "Vendors", "upload", "console.vendors", Permission.VENDORS_READ),
    Entry("my-coupons", "My coupons", "gift", "console.my_coupons", Permission.OWN_COUPONS),
    Entry("queues", "Queues", "clock", "console.queues", Permission.QUEUES_READ),
    Entry("dead-letters", "Dead letters", "alert", "console.dead_letters", Permission.QUEUES_READ),
    Entry("stripe", "Stripe events", "upload", "console.stripe_events", Permission.QUEUES_READ),
)
ROLE_WORDS = {
    Role.PLATFORM_ADMIN: "Platform administrator",
    Role.PLATFORM_SUPPORT: "Platform support",
    Role.AGENCY_ADMIN: "Agency administrator",
    Role.AGENCY_VIEWER: "Agency viewer",
    Role.CLIENT_ADMIN: "Client administrator",
    Role.CAMPAIGN_MANAGER: "Campaign manager",
    Role.CLIENT_VIEWER: "Client viewer",
}
#: They see what is theirs, and nothing of a tenant.
OUTSIDE = frozenset({Role.END_USER})
#: Our own pages may see where a form came from, so that browsers send its origin; nobody else.
PAGE_REFERRER = "same-origin"
#: The name in an address that says that a form is still at work in another request.
AT_WORK = "at_work"


def page(
    template: str,
    *,
    title: str,
    section: str = "",
    crumbs: Sequence[tuple[str, str | None]] = (),
    status: int = 200,
    **facts: Any,
) -> Response:
    """A whole page of the console for the visitor, never kept by caches."""
    # An error page asks the database nothing: it may be what failed.
    visitor = find_visitor() if status < 400 else g.get("visitor")
    html = render_template(
        f"console/{template}",
        title=title,
        section=section,
        visitor=visitor,
        role_words=ROLE_WORDS.get(visitor.principal.role, "") if visitor else "",
        navigation=_navigation(visitor),
        crumbs=[*_scope_crumbs(visitor), *crumbs],
        csrf=form_token(visitor) if visitor else "",
        ribbon=_ribbon(),
        reason_max=REASON_CHARACTERS_MAX,
        request_id=g.get("request_id", ""),
        look_again=request.path if AT_WORK in request.args and status == 200 else None,
        **facts,
    )
    response = Response(html, status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = PAGE_REFERRER
    return response


def go(address: str) -> Response:
    """Send the browser to another page of ours after a form."""
    response = Response(status=303)
    response.headers["Location"] = address
    response.headers["Cache-Control"] = "no-store"
    return response


def _navigation(visitor: ConsoleSession | None) -> list[Entry]:
    if visitor is None:
        return []
    caller = visitor.principal
    return [
        entry
        for entry in NAVIGATION
        if is_allowed(caller, entry.needs)
        and not (entry.section == "overview" and caller.role in OUTSIDE)
    ]


def _scope_crumbs(visitor: ConsoleSession | None) -> list[tuple[str, str | None]]:
    """Where the visitor stands in the tree: always visible, so that nobody mistakes the scope."""
    if visitor is None or visitor.principal.role in OUTSIDE:
        return []
    names = ["Platform"] if visitor.principal.agency_id is None else []
    names += [name for name in (visitor.agency, visitor.client) if name]
    home = url_for("console.overview")
    return [(name, home) for name in names]


def _ribbon() -> str | None:
    settings = front().house.settings
    if settings.environment is Environment.PRODUCTION:
        return None
    return "Demo: suppliers are simulated, no money moves"
