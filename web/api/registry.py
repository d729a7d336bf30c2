"""All resources of the API, registered in the order in which the documentation shows them."""

from functools import cache
from typing import Any

from flask import Flask

from web.api import (
    agencies,
    alerts,
    api_keys,
    approvals,
    audit,
    auth,
    balance_sheets,
    brands,
    campaigns,
    card_batches,
    cards_without_pool,
    claw_backs,
    clients,
    credit,
    credit_corrections,
    credit_projection,
    credit_statements,
    cron,
    dead_letters,
    deliveries,
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
    pool_refills,
    prices,
    profit,
    provider_orders,
    provision_jobs,
    queues,
    redeem,
    redemption_codes,
    registration,
    roles,
    second_factor,
    sessions,
    users,
    vendor_accounts,
    vendor_statements,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
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
    redemption_codes.routes,
    brands.routes,
    prices.routes,
    credit.routes,
    credit_statements.routes,
    credit_projection.routes,
    credit_corrections.routes,
    claw_backs.routes,
    balance_sheets.routes,
    approvals.routes,
    gift_card_pools.routes,
    card_batches.routes,
    cards_without_pool.routes,
    gift_cards.routes,
    redeem.routes,
    deliveries.routes,
    provision_jobs.routes,
    jobs.routes,
    job_followups.routes,
    job_timeline.routes,
    pool_refills.routes,
    profit.routes,
    provider_orders.routes,
    vendor_accounts.routes,
    vendor_statements.routes,
    alerts.routes,
    webhook_endpoints.routes,
    webhook_deliveries.routes,
    queues.routes,
    dead_letters.routes,
    invariants.routes,
    cron.routes,
    webhooks.routes,
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
