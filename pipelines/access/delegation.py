"""Who may manage whom: downward only, and never oneself (SEC-09)."""

from models.people import Role

#: From the most to the least that a role may do.
_RANKS = (
    Role.PLATFORM_ADMIN,
    Role.PLATFORM_SUPPORT,
    Role.AGENCY_ADMIN,
    Role.AGENCY_VIEWER,
    Role.CLIENT_ADMIN,
    Role.CAMPAIGN_MANAGER,
    Role.CLIENT_VIEWER,
    Role.END_USER,
)
#: Roles of one tier: a role is changed within its tier, for a person's tenant does not change.
_TIERS = (
    frozenset({Role.PLATFORM_ADMIN, Role.PLATFORM_SUPPORT}),
    frozenset({Role.AGENCY_ADMIN, Role.AGENCY_VIEWER}),
    frozenset({Role.CLIENT_ADMIN, Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER}),
    frozenset({Role.END_USER}),
)


def may_manage(manager: Role, managed: Role) -> bool:
    """Whether a person of the first role may change one of the second, tenants aside.

    Platform administrators manage one another: there is nobody above them.
    """
    if manager not in _RANKS or managed not in _RANKS:
        return False
    if manager is Role.PLATFORM_ADMIN:
        return True
    return _RANKS.index(manager) < _RANKS.index(managed)


def is_same_tier(role: Role, other: Role) -> bool:
    """Whether a person may go from one role to the other and stay where they are."""
    return any({role, other} <= tier for tier in _TIERS)
