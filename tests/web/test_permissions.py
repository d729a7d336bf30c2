"""The table of roles is what it is meant to be (SEC-09); test_matrix_rbac.py asks every route."""

from models.people import Role
from pipelines.access.permissions import GRANTS, KEY_SCOPES, Permission

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
    "credit_correct": "P",
    "approvals_read": "PAC",
    "approvals_decide": "PAC",
    "pools_read": "PAVC",
    "pools_manage": "PAC",
    "pools_refill": "P",
    "profit_read": "PA",
    "provision": "PACMK",
    "cards_reveal": "PC",
    "cards_replace": "PAC",
    "own_jobs": "PAVCMWK",
    "jobs_read": "PAVCMWK",
    "jobs_control": "PACM",
    "orders_read": "PAVC",
    "orders_resolve": "P",
    "vendors_read": "P",
    "vendors_manage": "P",
    "queues_read": "P",
    "queues_control": "P",
    "invariants_read": "P",
    "audit_read": "PAC",
    "people_erase": "PC",
    "alerts_read": "PAVCMW",
    "alerts_handle": "PACM",
    "webhooks_read": "PAVC",
    "webhooks_manage": "PAC",
    "own_coupons": "PAVCMWK",
    "books_read": "PAVCMWK",
    "books_manage": "PACM",
    "codes_reveal": "PC",
    "coupons_assign": "PACMK",
    "coupons_redeem": "PACMK",
    "user_pools_read": "PAVCMW",
    "user_pools_manage": "PACM",
    "discounts_read": "PAVCMW",
    "discounts_manage": "PACM",
    "discounts_apply": "PACMK",
    "checkout": "PACMK",
    "purchases_read": "PAVCMWK",
    "purchases_settle": "PAC",
    "partners_read": "PAVCMW",
    "partners_manage": "PAC",
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
