"""All resources of the API, registered in the order in which the documentation shows them."""

from functools import cache
from typing import Any

from flask import Flask

from web.api import (
    agencies,
    api_keys,
    approvals,
    audit,
    auth,
    brands,
    campaigns,
    clients,
    credit,
    dead_letters,
    docs,
    erasures,
    gift_card_pools,
    gift_cards,
    impersonation,
    invariants,
    invitations,
    job_followups,
    job_timeline,
    jobs,
    password_resets,
    provider_orders,
    provision_jobs,
    queues,
    registration,
    roles,
    second_factor,
    sessions,
    users,
)
from web.api.routes import Routes, document, register

RESOURCES: list[Routes] = [
    auth.routes,
    second_factor.routes,
    sessions.routes,
    impersonation.routes,
    password_resets.routes,
    registration.routes,
    users.routes,
    invitations.routes,
    roles.routes,
    api_keys.routes,
    agencies.routes,
    clients.routes,
    campaigns.routes,
    brands.routes,
    credit.routes,
    approvals.routes,
    gift_card_pools.routes,
    gift_cards.routes,
    provision_jobs.routes,
    jobs.routes,
    job_followups.routes,
    job_timeline.routes,
    provider_orders.routes,
    queues.routes,
    dead_letters.routes,
    invariants.routes,
    audit.routes,
    erasures.routes,
]


@cache
def described() -> dict[str, Any]:
    """The document of all routes, made when somebody first asks: it is the same in every app."""
    return document(RESOURCES)


def register_api(app: Flask) -> None:
    """Register every route, and the document that describes them."""
    register(app, RESOURCES)
    docs.register(app, described)
