"""Several who decide on one use at the same moment, and one who pays or ends its page meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import cast
from uuid import UUID

import pytest

from models.payments import PaymentState
from models.scope import client
from pipelines.checkout.release_now import release_now
from pipelines.payments.page import Pages
from tests.discounting import counted, make_discount
from tests.driving import rows
from tests.paying import Till
from tests.proof import assert_proven
from tests.seeding import ACTOR
from tests.suspecting import WHY, pay, suspect
from tests.web.conftest import Caller


def at_once(till: Till, caller: Caller, paths: list[str]) -> list[int]:
    """Everybody decides at the same moment; the answers."""
    start = Barrier(len(paths))

    def decide(path: str) -> int:
        mine = Caller(till.app.test_client(), caller.headers)
        start.wait(timeout=30)
        return mine.post(path, WHY).status_code

    with ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(decide, paths))


@pytest.mark.parametrize("is_paid", [True, False])
def test_s2138_of_those_who_decide_at_once_one_is_right(
    till: Till, settler: Caller, is_paid: bool
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    if is_paid:
        pay(till, reservation)
    path = f"/usages/{reservation['id']}"

    told = at_once(till, settler, [f"{path}/approve", f"{path}/reject"] * 3)

    assert sorted(told) == [200, 200, 200, 409, 409, 409]
    till.deliver()
    (risk,) = rows(till.house, "SELECT decision FROM usage_risks")
    states = {
        ("approved", True): {"confirmed": 1},
        ("approved", False): {"reserved": 1},
        ("rejected", True): {"released": 1},
        ("rejected", False): {"released": 1},
    }
    assert counted(till.house, code_id)[1] == states[risk.decision, is_paid]
    refunds = rows(till.house, "SELECT FROM refunds")
    assert len(refunds) == int(is_paid and risk.decision == "rejected")
    decided = rows(
        till.house,
        "SELECT FROM audit_entries "
        "WHERE action IN ('reservation.approved', 'reservation.rejected')",
    )
    assert len(decided) == 1
    assert_proven(till.house)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_s2138_a_payment_that_comes_while_somebody_decides_follows_the_decision(
    till: Till, settler: Caller, decision: str
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)
    till.move(purchase, "pay")
    till.work()
    start = Barrier(2)

    def hear() -> None:
        start.wait(timeout=30)
        till.deliver()

    def decide() -> int:
        start.wait(timeout=30)
        return settler.post(f"/usages/{reservation['id']}/{decision}", WHY).status_code

    with ThreadPoolExecutor(2) as pool:
        heard, decided = pool.submit(hear), pool.submit(decide)
        heard.result()
        assert decided.result() == 200
    till.deliver()
    till.deliver()

    state = till.purchase(purchase["purchase_id"])["state"]
    is_approved = decision == "approve"
    assert state == ("confirmed" if is_approved else "refunded")
    assert counted(till.house, code_id)[1] == {"confirmed" if is_approved else "released": 1}
    assert_proven(till.house)


def test_s2136_the_reason_is_told_with_the_release_and_never_of_another_s(
    till: Till, settler: Caller
) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve()
    till.checkout(reservation)
    assert settler.post(f"/usages/{reservation['id']}/release", WHY).status_code == 200
    told = rows(
        till.house,
        "SELECT action, at, actor_id, detail ->> 'reason' AS reason FROM audit_entries "
        "WHERE action LIKE '%released' ORDER BY action",
    )
    assert [one.reason for one in told] == [WHY["reason"], "manager"]
    assert len({(one.at, one.actor_id) for one in told}) == 1

    other = till.reserve()
    purchase = till.checkout(other)

    class Meanwhile:
        """Its shopper ends the page at Stripe at the moment at which somebody here asks for it."""

        def end(self, purchase_id: UUID, reason: str) -> PaymentState:
            till.move(purchase, "expire")
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(till.deliver).result()
            return till.house.paying.pages.end(purchase_id, reason)

    release_now(
        till.house.sessions,
        client(till.seeded.client_id),
        UUID(other["id"]),
        reason="Mine.",
        pages=cast("Pages", Meanwhile()),
        actor_id=ACTOR,
    )
    assert till.usage(purchase).release_reason == "payment"
    assert rows(till.house, "SELECT FROM audit_entries WHERE detail ->> 'reason' = 'Mine.'") == []
