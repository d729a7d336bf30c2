"""Every route declares its permission, and the table of roles is what it is meant to be (SEC-09)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.access.permissions import GRANTS, KEY_SCOPES, Permission
from pipelines.wiring import House
from tests.seeding import Seeded
from tests.web.conftest import signed_in

#: One letter per role: Platform admin, Agency admin, agency Viewer, Client admin, campaign
#: Manager, client viewer (W), storefront Key.
LETTERS = {
    "P": Role.PLATFORM_ADMIN,
    "A": Role.AGENCY_ADMIN,
    "V": Role.AGENCY_VIEWER,
    "C": Role.CLIENT_ADMIN,
    "M": Role.CAMPAIGN_MANAGER,
    "W": Role.CLIENT_VIEWER,
    "K": Role.STOREFRONT_KEY,
}
GOLDEN = {
    "own_account": "PAVCMW",
    "own_credentials": "PAVCMW",
    "impersonate": "P",
    "users_manage": "PAC",
    "keys_manage": "PAC",
    "agencies_read": "PAV",
    "agencies_create": "P",
    "agencies_edit": "PA",
    "clients_read": "PAVCMW",
    "clients_create": "PA",
    "clients_edit": "PA",
    "campaigns_read": "PAVCMW",
    "campaigns_manage": "PACM",
    "campaigns_budget": "PAC",
    "brands_read": "PAVCMW",
    "brands_manage": "P",
    "client_brands_manage": "PA",
    "credit_read": "PAVCMWK",
    "credit_move": "PAC",
    "approvals_read": "PAC",
    "approvals_decide": "PAC",
    "pools_read": "PAVC",
    "pools_manage": "PAC",
    "provision": "PACMK",
    "cards_reveal": "PC",
    "jobs_read": "PAVCMWK",
    "jobs_control": "PACM",
    "orders_read": "PAVC",
    "queues_read": "P",
    "queues_control": "P",
    "invariants_read": "P",
    "audit_read": "PAC",
    "people_erase": "PC",
}


def test_the_table_of_roles_is_the_golden_one():
    assert set(GOLDEN) == set(Permission)
    for permission, letters in GOLDEN.items():
        holders = {role for role in LETTERS.values() if permission in GRANTS[role]}
        assert holders == {LETTERS[letter] for letter in letters}, permission


def test_support_looks_at_the_engine_and_controls_nothing():
    support = GRANTS[Role.PLATFORM_SUPPORT]

    assert {Permission.QUEUES_READ, Permission.INVARIANTS_READ} <= support
    assert {name for name in support if name.endswith(("_control", "_manage", "_move"))} == set()


def test_a_key_may_do_only_what_has_a_scope():
    assert GRANTS[Role.STOREFRONT_KEY] == set(KEY_SCOPES)


def test_every_route_declares_a_permission_or_is_public(app: Flask):
    undeclared = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], "permission")
    ]

    assert undeclared == []


@pytest.mark.parametrize("role", [role for role in LETTERS.values() if role != "storefront_key"])
def test_each_api_route_lets_in_exactly_its_roles(
    app: Flask, house: House, seeded: Seeded, role: Role
):
    """A caller without the permission is refused before the body or the object is looked at."""
    caller = signed_in(app, house, role, seeded)
    wrong = []
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        if not rule.rule.startswith("/api/") or not isinstance(permission, Permission):
            continue
        if rule.endpoint == "auth.logout":
            continue
        path = rule.rule.removeprefix("/api/v1")
        for name in rule.arguments:
            path = path.replace(f"<uuid:{name}>", str(seeded.brand_id))
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        answer = caller.call(method, path)
        if (answer.status_code == 403) == (permission in GRANTS[role]):
            wrong.append((method, rule.rule, answer.status_code))

    assert wrong == []


def test_nobody_unknown_gets_past_any_declared_route(app: Flask, browser, seeded: Seeded):
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        if not rule.rule.startswith("/api/") or not isinstance(permission, Permission):
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<uuid:{name}>", str(seeded.brand_id))
        (method,) = rule.methods - {"HEAD", "OPTIONS"}

        assert browser.open(path, method=method).status_code == 401, rule.rule
