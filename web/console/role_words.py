"""Roles and what they may do, as people say it: pure."""

from collections.abc import Mapping

from models.people import Role
from pipelines.access.delegation import may_manage
from pipelines.access.permissions import KEY_SCOPES, KeyScope, Permission
from web.console.frame import ROLE_WORDS

P = Permission
ROLES: Mapping[Role, str] = ROLE_WORDS | {
    Role.END_USER: "End user",
    Role.STOREFRONT_KEY: "Storefront’s API key",
}
WHO: Mapping[Role, str] = {
    Role.PLATFORM_ADMIN: "Runs this Largesse: agencies, brands, stock, queues.",
    Role.PLATFORM_SUPPORT: "Looks at everything for support, and changes nothing.",
    Role.AGENCY_ADMIN: "Manages an agency’s clients, their credit and their people.",
    Role.AGENCY_VIEWER: "Looks at an agency and its clients.",
    Role.CLIENT_ADMIN: "Manages a client: campaigns, people, keys, credit.",
    Role.CAMPAIGN_MANAGER: "Runs a client’s campaigns and issues cards.",
    Role.CLIENT_VIEWER: "Looks at a client’s campaigns, jobs and credit.",
    Role.STOREFRONT_KEY: "A program of a client; each key has some of these as scopes.",
    Role.END_USER: "Has been given something, and sees their own.",
}
#: Every permission in words: a test holds the list complete.
ACTIONS: Mapping[Permission, str] = {
    P.OWN_ACCOUNT: "Use one’s own account",
    P.OWN_CREDENTIALS: "Change one’s own password, factor and name",
    P.IMPERSONATE: "Look through a tenant person’s eyes",
    P.USERS_MANAGE: "Manage people below",
    P.KEYS_MANAGE: "Manage API keys",
    P.AUDIT_READ: "Read the audit log",
    P.PEOPLE_ERASE: "Erase a person’s data",
    P.AGENCIES_READ: "See agencies",
    P.AGENCIES_CREATE: "Make agencies",
    P.AGENCIES_EDIT: "Change agencies",
    P.CLIENTS_READ: "See clients",
    P.CLIENTS_CREATE: "Make clients",
    P.CLIENTS_EDIT: "Change and suspend clients",
    P.CAMPAIGNS_READ: "See campaigns",
    P.CAMPAIGNS_MANAGE: "Make, change and pause campaigns",
    P.CAMPAIGNS_BUDGET: "Set campaigns’ budgets",
    P.BRANDS_READ: "See brands",
    P.BRANDS_MANAGE: "Make and change brands",
    P.CLIENT_BRANDS_MANAGE: "Choose clients’ brands",
    P.CREDIT_READ: "See credit",
    P.CREDIT_MOVE: "Allocate and recall credit",
    P.CREDIT_CORRECT: "Correct the books and claw back disputed top-ups, with a second person",
    P.APPROVALS_READ: "See what waits for a second person",
    P.APPROVALS_DECIDE: "Decide what waits for a second person",
    P.POOLS_READ: "See card pools",
    P.POOLS_MANAGE: "Make pools and import cards",
    P.POOLS_REFILL: "Have buffers filled ahead",
    P.USER_POOLS_READ: "See pools of people",
    P.USER_POOLS_MANAGE: "Make pools, add and remove people",
    P.PROFIT_READ: "See what cards cost and earn",
    P.PROVISION: "Issue cards",
    P.CARDS_REVEAL: "Open cards",
    P.CARDS_REPLACE: "Replace cards that do not work",
    P.OWN_COUPONS: "See and use one’s own coupons",
    P.BOOKS_READ: "See books and their coupons",
    P.BOOKS_MANAGE: "Make and change books, generate and upload codes",
    P.CODES_REVEAL: "Open the codes of sealed books",
    P.COUPONS_ASSIGN: "Give people coupons",
    P.COUPONS_REDEEM: "Redeem people’s coupons",
    P.DISCOUNTS_READ: "See discount codes and how they are used",
    P.DISCOUNTS_MANAGE: "Make, change and put away discount codes",
    P.DISCOUNTS_APPLY: "Reserve discount codes for customers at the checkout",
    P.CHECKOUT: "Have customers pay at the checkout",
    P.PURCHASES_READ: "See purchases and what was paid back",
    P.PURCHASES_SETTLE: "Pay purchases back, and decide on odd payments",
    P.PARTNERS_READ: "See partners and what their users claimed",
    P.PARTNERS_MANAGE: "Run partners: their sites, offers and secrets",
    P.OWN_JOBS: "See what became of one’s own requests",
    P.JOBS_READ: "See jobs and their results",
    P.JOBS_CONTROL: "Pause, cancel, retry and undo jobs",
    P.ORDERS_READ: "See suppliers’ orders",
    P.ORDERS_RESOLVE: "Decide what became of a supplier’s order",
    P.VENDORS_READ: "See the accounts at suppliers",
    P.VENDORS_MANAGE: "Bound, stop and start the accounts at suppliers",
    P.QUEUES_READ: "See queues and dead letters",
    P.QUEUES_CONTROL: "Pause queues, decide on dead letters",
    P.INVARIANTS_READ: "See the proof of invariants",
    P.ALERTS_READ: "See alerts",
    P.ALERTS_HANDLE: "Raise, acknowledge, snooze and resolve alerts",
    P.WEBHOOKS_READ: "See webhooks and what became of their events",
    P.WEBHOOKS_MANAGE: "Make and change webhooks, and send events again",
}
#: What each scope of a key allows.
SCOPE_WORDS = {
    scope.value: ", ".join(ACTIONS[may] for may, needs in KEY_SCOPES.items() if needs is scope)
    for scope in KeyScope
}


def roles_below(role: Role, among: Mapping[Role, str] = ROLES) -> list[tuple[str, str]]:
    """The roles that people of `role` may give, by name and words."""
    return [(given.value, words) for given, words in among.items() if may_manage(role, given)]
