"""The credit tree: who has how much, top down."""

from flask import Blueprint, Response

from pipelines.access.permissions import Permission
from pipelines.credit.tree import credit_tree
from web.console.frame import page
from web.console.visit import looking
from web.guards import permitted


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/credit", "credit", show)


@permitted(Permission.CREDIT_READ)
def show() -> Response:
    with looking() as session:
        branches = credit_tree(session)
    return page("credit.html", title="Credit", section="credit", branches=branches)
