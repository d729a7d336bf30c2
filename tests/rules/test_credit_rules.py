"""Which way credit may move: one tier down, in one currency, between credit accounts only."""

from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest

from models.ledger import AccountKind
from pipelines.credit.rules import Side, allocation_refusal, recall_refusal

PLATFORM = Side(UUID(int=1), AccountKind.CREDIT, None, "USD")
AGENCY = Side(UUID(int=2), AccountKind.CREDIT, PLATFORM.account_id, "USD")
CLIENT = Side(UUID(int=3), AccountKind.CREDIT, AGENCY.account_id, "USD")
CAMPAIGN = Side(UUID(int=4), AccountKind.CREDIT, CLIENT.account_id, "USD")
TREE = {"platform": PLATFORM, "agency": AGENCY, "client": CLIENT, "campaign": CAMPAIGN}
DOWN = {("platform", "agency"), ("agency", "client"), ("client", "campaign")}


@pytest.mark.parametrize(("source", "target"), list(product(TREE, TREE)))
def test_ec070_of_sixteen_pairs_three_lead_down(source: str, target: str) -> None:
    """EC-070: never up, never past a tier, never to itself."""
    refusal = allocation_refusal(source=TREE[source], target=TREE[target])

    expected = None if (source, target) in DOWN else "allocation_direction"
    assert (refusal.code if refusal else None) == expected


@pytest.mark.parametrize(("parent", "child"), list(product(TREE, TREE)))
def test_only_a_parent_recalls_and_only_from_its_own_child(parent: str, child: str) -> None:
    refusal = recall_refusal(parent=TREE[parent], child=TREE[child])

    expected = None if (parent, child) in DOWN else "allocation_direction"
    assert (refusal.code if refusal else None) == expected


def test_siblings_and_cousins_give_each_other_nothing() -> None:
    sister = replace(CLIENT, account_id=UUID(int=5))
    cousin = replace(CLIENT, account_id=UUID(int=6), parent_id=UUID(int=7))

    for other in (sister, cousin):
        refusal = allocation_refusal(source=CLIENT, target=other)
        assert refusal is not None
        assert refusal.code == "allocation_direction"


def test_two_currencies_never_meet() -> None:
    refusal = allocation_refusal(source=AGENCY, target=replace(CLIENT, currency="EUR"))

    assert refusal is not None
    assert refusal.code == "currency_mismatch"


@pytest.mark.parametrize("kind", [AccountKind.SPENT, AccountKind.OUTSIDE])
def test_allocations_move_between_credit_accounts_only(kind: AccountKind) -> None:
    from_it = allocation_refusal(source=replace(AGENCY, kind=kind), target=CLIENT)
    to_it = allocation_refusal(source=AGENCY, target=replace(CLIENT, kind=kind))

    assert (from_it.code, to_it.code) == ("allocation_direction", "allocation_direction")
