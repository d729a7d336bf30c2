"""Who may do what: one static table of roles and permissions, read by the doors' guards."""

from collections.abc import Mapping
from enum import StrEnum

from models.people import Role
from pipelines.access.principals import Principal
from pipelines.errors import Kind, Refusal


class Permission(StrEnum):
    """An action of the product; every route needs exactly one, or is public."""

    OWN_ACCOUNT = "own_account"
    OWN_CREDENTIALS = "own_credentials"
    IMPERSONATE = "impersonate"
    USERS_MANAGE = "users_manage"
    KEYS_MANAGE = "keys_manage"
    AGENCIES_READ = "agencies_read"
    AGENCIES_CREATE = "agencies_create"
    AGENCIES_EDIT = "agencies_edit"
    CLIENTS_READ = "clients_read"
    CLIENTS_CREATE = "clients_create"
    CLIENTS_EDIT = "clients_edit"
    CAMPAIGNS_READ = "campaigns_read"
    CAMPAIGNS_MANAGE = "campaigns_manage"
    CAMPAIGNS_BUDGET = "campaigns_budget"
    BRANDS_READ = "brands_read"
    BRANDS_MANAGE = "brands_manage"
    CLIENT_BRANDS_MANAGE = "client_brands_manage"
    CREDIT_READ = "credit_read"
    CREDIT_MOVE = "credit_move"
    CREDIT_CORRECT = "credit_correct"
    APPROVALS_READ = "approvals_read"
    APPROVALS_DECIDE = "approvals_decide"
    POOLS_READ = "pools_read"
    POOLS_MANAGE = "pools_manage"
    POOLS_REFILL = "pools_refill"
    PROFIT_READ = "profit_read"
    PROVISION = "provision"
    CARDS_REVEAL = "cards_reveal"
    CARDS_REPLACE = "cards_replace"
    OWN_JOBS = "own_jobs"
    JOBS_READ = "jobs_read"
    JOBS_CONTROL = "jobs_control"
    ORDERS_READ = "orders_read"
    ORDERS_RESOLVE = "orders_resolve"
    VENDORS_READ = "vendors_read"
    VENDORS_MANAGE = "vendors_manage"
    QUEUES_READ = "queues_read"
    QUEUES_CONTROL = "queues_control"
    INVARIANTS_READ = "invariants_read"
    AUDIT_READ = "audit_read"
    PEOPLE_ERASE = "people_erase"
    ALERTS_READ = "alerts_read"
    ALERTS_HANDLE = "alerts_handle"
    WEBHOOKS_READ = "webhooks_read"
    WEBHOOKS_MANAGE = "webhooks_manage"
    OWN_COUPONS = "own_coupons"
    BOOKS_READ = "books_read"
    BOOKS_MANAGE = "books_manage"
    CODES_REVEAL = "codes_reveal"
    COUPONS_ASSIGN = "coupons_assign"
    COUPONS_REDEEM = "coupons_redeem"
    USER_POOLS_READ = "user_pools_read"
    USER_POOLS_MANAGE = "user_pools_manage"
    DISCOUNTS_READ = "discounts_read"
    DISCOUNTS_MANAGE = "discounts_manage"
    DISCOUNTS_APPLY = "discounts_apply"
    CHECKOUT = "checkout"
    PURCHASES_READ = "purchases_read"
    PURCHASES_SETTLE = "purchases_settle"
    PARTNERS_READ = "partners_read"
    PARTNERS_MANAGE = "partners_manage"


class Forbidden(Refusal):
    """The caller's role does not allow this; `needs` names the permission."""

    code = "forbidden"
    kind = Kind.FORBIDDEN

    def __init__(self, needs: Permission) -> None:
        super().__init__(
            "Your role does not allow this. Ask an administrator above you.",
            extra={"needs": needs.value},
        )


class InsufficientScope(Refusal):
    """The API key was made without the scope that this needs; `needs` names it, if any has it."""

    code = "insufficient_scope"
    kind = Kind.FORBIDDEN

    def __init__(self, needs: str | None) -> None:
        super().__init__(
            "The API key does not have the scope for this. Make a key with it."
            if needs
            else "No API key may do this. Do it as a person who is signed in.",
            extra={"needs": needs},
        )


class ImpersonationForbidden(Refusal):
    """Who looks through another's eyes changes nothing, and sees no more than they may see."""

    code = "impersonation_forbidden"
    kind = Kind.FORBIDDEN
    detail = "You look as somebody else, and only look. Stop looking as them to do this yourself."


class KeyScope(StrEnum):
    """What an API key may be made for."""

    PROVISION = "provision"
    JOBS_READ = "jobs:read"
    CREDIT_READ = "credit:read"
    BOOKS_READ = "books:read"
    COUPONS = "coupons"
    DISCOUNTS = "discounts"


#: The scope of a key that each permission needs; what is not here no key may do.
KEY_SCOPES: Mapping[Permission, KeyScope] = {
    Permission.PROVISION: KeyScope.PROVISION,
    Permission.OWN_JOBS: KeyScope.JOBS_READ,
    Permission.JOBS_READ: KeyScope.JOBS_READ,
    Permission.CREDIT_READ: KeyScope.CREDIT_READ,
    Permission.BOOKS_READ: KeyScope.BOOKS_READ,
    #: What a key acts on is its client's: it has none of its own.
    Permission.OWN_COUPONS: KeyScope.COUPONS,
    Permission.COUPONS_ASSIGN: KeyScope.COUPONS,
    Permission.COUPONS_REDEEM: KeyScope.COUPONS,
    #: All that a storefront does at its checkout.
    Permission.DISCOUNTS_APPLY: KeyScope.DISCOUNTS,
    Permission.CHECKOUT: KeyScope.DISCOUNTS,
    Permission.PURCHASES_READ: KeyScope.DISCOUNTS,
}

P = Permission
_LOOK_AT_CLIENT = frozenset(
    {
        P.OWN_ACCOUNT,
        P.OWN_CREDENTIALS,
        P.OWN_COUPONS,
        P.CLIENTS_READ,
        P.CAMPAIGNS_READ,
        P.BRANDS_READ,
        P.CREDIT_READ,
        P.OWN_JOBS,
        P.JOBS_READ,
        P.ALERTS_READ,
        P.BOOKS_READ,
        P.USER_POOLS_READ,
        P.DISCOUNTS_READ,
        P.PURCHASES_READ,
        P.PARTNERS_READ,
    }
)
_RUN_CAMPAIGNS = _LOOK_AT_CLIENT | {
    P.CAMPAIGNS_MANAGE,
    P.PROVISION,
    P.JOBS_CONTROL,
    P.ALERTS_HANDLE,
    P.BOOKS_MANAGE,
    P.COUPONS_ASSIGN,
    P.COUPONS_REDEEM,
    P.USER_POOLS_MANAGE,
    P.DISCOUNTS_MANAGE,
    P.DISCOUNTS_APPLY,
    P.CHECKOUT,
}
_RUN_CLIENT = _RUN_CAMPAIGNS | {
    P.USERS_MANAGE,
    P.KEYS_MANAGE,
    P.CAMPAIGNS_BUDGET,
    P.CREDIT_MOVE,
    P.APPROVALS_READ,
    P.APPROVALS_DECIDE,
    P.POOLS_READ,
    P.POOLS_MANAGE,
    P.CARDS_REVEAL,
    P.CARDS_REPLACE,
    P.ORDERS_READ,
    P.AUDIT_READ,
    P.PEOPLE_ERASE,
    P.WEBHOOKS_READ,
    P.WEBHOOKS_MANAGE,
    P.CODES_REVEAL,
    P.PURCHASES_SETTLE,
    P.PARTNERS_MANAGE,
}
_LOOK_AT_AGENCY = _LOOK_AT_CLIENT | {
    P.AGENCIES_READ,
    P.POOLS_READ,
    P.ORDERS_READ,
    P.WEBHOOKS_READ,
}
#: Cards and sealed codes are bearer money: an agency does not open its clients', nor erases their recipients.
_RUN_AGENCY = (_RUN_CLIENT - {P.CARDS_REVEAL, P.CODES_REVEAL, P.PEOPLE_ERASE}) | {
    P.AGENCIES_READ,
    P.AGENCIES_EDIT,
    P.CLIENTS_CREATE,
    P.CLIENTS_EDIT,
    P.CLIENT_BRANDS_MANAGE,
    P.PROFIT_READ,
}

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.PLATFORM_ADMIN: frozenset(Permission),
    Role.PLATFORM_SUPPORT: _LOOK_AT_AGENCY
    | {P.QUEUES_READ, P.VENDORS_READ, P.INVARIANTS_READ, P.IMPERSONATE, P.AUDIT_READ},
    Role.AGENCY_ADMIN: _RUN_AGENCY,
    Role.AGENCY_VIEWER: _LOOK_AT_AGENCY,
    Role.CLIENT_ADMIN: _RUN_CLIENT,
    Role.CAMPAIGN_MANAGER: _RUN_CAMPAIGNS,
    Role.CLIENT_VIEWER: _LOOK_AT_CLIENT,
    Role.STOREFRONT_KEY: frozenset(KEY_SCOPES),
    Role.END_USER: frozenset({P.OWN_ACCOUNT, P.OWN_CREDENTIALS, P.OWN_COUPONS, P.OWN_JOBS}),
}
#: What somebody may do who looks through another's eyes: look, and stop (SEC-30).
LOOKING: frozenset[Permission] = frozenset(
    {P.OWN_ACCOUNT, P.OWN_JOBS, *(permission for permission in P if permission.endswith("_read"))}
)


def may(role: Role, permission: Permission) -> bool:
    """Whether the role has the permission at all."""
    return permission in GRANTS.get(role, frozenset())


def is_allowed(principal: Principal, permission: Permission) -> bool:
    """Whether this caller would be let in, for what is shown or left out."""
    try:
        require(principal, permission)
    except (Forbidden, InsufficientScope, ImpersonationForbidden):
        return False
    return True


def require(principal: Principal, permission: Permission) -> None:
    """Raise `Forbidden`; for a key without the scope `InsufficientScope`.

    Who looks as another needs the other's right, their own, and one to look:
    `ImpersonationForbidden`.
    """
    if principal.own_role is not None and not (
        permission in LOOKING and may(principal.own_role, permission)
    ):
        raise ImpersonationForbidden
    if principal.key_scopes is not None:
        needs = KEY_SCOPES.get(permission)
        if needs is None or needs.value not in principal.key_scopes:
            raise InsufficientScope(needs.value if needs else None)
    if not may(principal.role, permission):
        raise Forbidden(permission)
