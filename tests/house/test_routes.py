"""Every route says who may call it and how often; every public one says so on purpose."""

from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from pipelines.access.permissions import Permission
from pipelines.wiring import House
from web.app import create_app
from web.guards import PUBLIC
from web.rate_limits import policies_of

#: Public and without a count of their own, and why.
UNCOUNTED = {
    "health": "machines ask it, and it asks nothing",
    "healthz": "machines ask it, and it asks nothing",
    "ready": "machines ask it",
    "metrics": "for loopback, or with the cron secret",
    "cron.run_monitor": "for who has the cron secret, which is compared before anything else",
    "cron.run_integrity_check": "for who has the cron secret, which is compared first",
    "cron.run_release_expired": "for who has the cron secret, which is compared first",
    "cron.run_issue_rewards": "for who has the cron secret, which is compared first",
    "openapi": "the same bytes for everybody",
    "docs_page": "the same bytes for everybody",
    "docs_start": "the same bytes for everybody",
    "docs_asset": "a file",
    "static": "a file",
    "widget_script": "a file",
    "demo_partner": "a redirect, of a demo alone",
    "root": "a redirect",
    "admin_inventory": "a redirect",
    "agency_dashboard": "a redirect",
    "client_credit": "a redirect",
    "console.sign_in": "an empty form",
    "console.sign_in_code": "an empty form",
    "console.forgot": "an empty form",
    "console.reset": "looks up a token of 256 bits, and uses nothing",
    "console.invitation": "looks up a token of 256 bits, and uses nothing",
    "console.confirm_address": "looks up a token of 256 bits, and uses nothing",
}
#: Who holds one of these brings work in.
BRINGS_WORK = {Permission.PROVISION, Permission.POOLS_MANAGE, Permission.JOBS_CONTROL}
#: They take something and bring no bulk work, and why.
LIGHT = {
    "gift-cards.provision_gift_card": "a storefront's single request: `api` counts it",
    "gift-card-pools.create_gift_card_pool": "one row",
    "card-batches.quarantine_card_batch": "stops work",
    "card-batches.release_card_batch": "cards that were counted when they came",
    "card-batches.void_card_batch": "ends cards",
    "card-batches.quarantine_card": "one row",
    "card-batches.release_card": "one row",
    "card-batches.void_card": "one row",
    "jobs.pause_job": "stops work",
    "jobs.resume_job": "goes on with work that was counted",
    "jobs.cancel_job": "ends work",
    "jobs.give_up_on_job": "ends work",
    "console.batch_move": "cards that were counted when they came",
    "console.pool_change": "one row",
    "console.pool_new_now": "one row",
    "console.job_pause": "stops work",
    "console.job_resume": "goes on with work that was counted",
    "console.job_start": "does not wait with work that was counted",
    "console.job_cancel_now": "ends work",
    "console.job_give_up_now": "ends work",
    "console.job_change_now": "one row",
    "console.wizard_taken": "a draft's choices",
    "console.wizard_what_taken": "a draft's choices",
    "console.wizard_check_taken": "a draft's choices",
}


def routes(house: House) -> Iterator[tuple[Rule, Any]]:
    app: Flask = create_app(house)
    for rule in app.url_map.iter_rules():
        yield rule, app.view_functions[rule.endpoint]


def test_every_route_declares_a_permission(house: House) -> None:
    silent = sorted(
        rule.rule for rule, view in routes(house) if getattr(view, "permission", None) is None
    )

    assert silent == []


def test_sec018_every_public_route_is_counted_or_says_why_not(house: House) -> None:
    uncounted = {
        rule.endpoint
        for rule, view in routes(house)
        if view.permission == PUBLIC and not policies_of(view)
    }

    assert uncounted == set(UNCOUNTED)


def test_sec018_every_route_that_takes_work_is_counted_or_says_why_not(house: House) -> None:
    uncounted = {
        rule.endpoint
        for rule, view in routes(house)
        if "POST" in (rule.methods or ())
        and view.permission in BRINGS_WORK
        and not policies_of(view)
    }

    assert uncounted == set(LIGHT)
