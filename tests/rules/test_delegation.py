"""Who may manage whom: downward only (SEC-09, S4-112)."""

import pytest

from models.people import Role
from pipelines.access.delegation import is_same_tier, may_manage

PEOPLE = [role for role in Role if role is not Role.STOREFRONT_KEY]
BELOW = {
    Role.PLATFORM_ADMIN: set(PEOPLE),
    Role.AGENCY_ADMIN: {
        *(Role.AGENCY_VIEWER, Role.CLIENT_ADMIN, Role.CAMPAIGN_MANAGER),
        *(Role.CLIENT_VIEWER, Role.END_USER),
    },
    Role.CLIENT_ADMIN: {Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER, Role.END_USER},
}


@pytest.mark.parametrize("manager", list(BELOW))
def test_a_role_manages_those_below_it(manager: Role):
    assert {role for role in Role if may_manage(manager, role)} == BELOW[manager]


@pytest.mark.parametrize("manager", [role for role in Role if role is not Role.PLATFORM_ADMIN])
def test_nobody_but_the_platform_manages_their_equals_or_superiors(manager: Role):
    managed = {role for role in PEOPLE if may_manage(manager, role)}

    assert manager not in managed
    assert Role.PLATFORM_ADMIN not in managed
    assert all(not may_manage(role, manager) for role in managed)


def test_a_person_keeps_their_tier():
    same = {(one.value, other.value) for one in PEOPLE for other in PEOPLE
            if one is not other and is_same_tier(one, other)}  # fmt: skip

    assert same == {
        ("platform_admin", "platform_support"),
        ("platform_support", "platform_admin"),
        ("agency_admin", "agency_viewer"),
        ("agency_viewer", "agency_admin"),
        *((a, b) for a in _CLIENTS for b in _CLIENTS if a != b),
    }


_CLIENTS = ("client_admin", "campaign_manager", "client_viewer")
