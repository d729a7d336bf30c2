"""S4-128: who is forgotten is forgotten by the counts of limited campaigns too."""

import pytest

from pipelines.wiring import House
from tests.conditions import counted, limit
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.test_erasures import ask, served


@pytest.mark.parametrize("is_lifted", [False, True])
def test_s4_128_who_is_erased_leaves_no_key_in_the_counts_of_a_limited_campaign(
    house: House, seeded: Seeded, client_admin: Caller, is_lifted: bool
) -> None:
    """The rewards go on counting in all, and for a pseudonym; of a lifted limit nothing is kept."""
    limit(house, seeded, max_rewards=10, max_rewards_per_recipient=2)
    served(house, seeded)
    if is_lifted:
        limit(house, seeded, max_rewards_per_recipient=None)
    (before,) = rows(house, "SELECT person_key FROM items WHERE position = 1")

    ask(client_admin)
    drain(house)

    kept = rows(house, "SELECT 1 FROM reward_counts WHERE person_key = :key", key=before.person_key)
    assert kept == []
    assert counted(house, seeded) == len(rows(house, "SELECT 1 FROM provisions"))
    assert_proven(house)
