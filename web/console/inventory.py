"""The gift-card inventory: a line per kind of card, by source, with its health and the rule."""

from flask import Blueprint, Response, url_for

from models.scope import ScopeRole
from pipelines.access.permissions import Permission, is_allowed
from pipelines.pools.inventory import read_inventory
from web.console.frame import go, page
from web.console.stock_words import line_words
from web.front import front
from web.guards import permitted, principal


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/inventory", "inventory", show)
    console.add_url_rule("/pools", "pools", moved)


@permitted(Permission.POOLS_READ)
def show() -> Response:
    caller = principal()
    lines = read_inventory(front().house.sessions, caller.scope)
    return page(
        "inventory.html",
        title="Gift-card inventory",
        section="inventory",
        lines=[line_words(line, sees_costs=caller.sees_costs) for line in lines],
        is_platform=caller.scope.role is ScopeRole.PLATFORM,
        sees_costs=caller.sees_costs,
        may_manage=is_allowed(caller, Permission.POOLS_MANAGE),
    )


@permitted(Permission.POOLS_READ)
def moved() -> Response:
    """Where the pools were before."""
    return go(url_for("console.inventory"))
