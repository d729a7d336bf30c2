"""One card for one recipient, asked for and given; and redemption codes, each good for one card."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.credit.refusals import InsufficientCredit
from pipelines.errors import Refusal, ValidationFailed
from pipelines.jobs.control import retry_job
from pipelines.jobs.kinds import NothingToRetry, Viewer
from pipelines.jobs.read import job_row
from pipelines.jobs.single_rows import AcceptedSingle
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.refusals import AlreadyRedeemed
from pipelines.provisioning.result import single_outcome
from pipelines.provisioning.reveal import read_token
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.queue.keys import KeyReused, RequestKey
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows, view
from tests.intake import money_of, table_sizes
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from workers.wrapper import Wrapper

CREDIT = 10_000


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def ask(
    house: House,
    seeded: Seeded,
    *,
    email: str | None = "one@example.com",
    code: str | None = None,
    key: RequestKey | None = None,
    **more: Any,
) -> AcceptedSingle:
    values = {"denomination_minor": 2500, "delivery_method": DeliveryMethod.NONE} | more
    request = SingleRequest(
        campaign_id=seeded.campaign_id,
        brand_id=seeded.brand_id,
        recipient={"email": email},
        redemption_code=code,
        **values,
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_single(
            session,
            request,
            actor_id=ACTOR,
            key=key,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        )


def outcome(house: House, seeded: Seeded, accepted: AcceptedSingle, **more: Any) -> tuple[Any, Any]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        viewer = Viewer(
            house.settings.keyring,
            "https://cards.example",
            **({"sees_costs": True, "sees_link": True} | more),
        )
        return single_outcome(session, job_row(session, accepted.job_id), viewer)


def finish(house: House) -> None:
    hasten(house)
    drain(house)


def at_once(times: int, attempt: Callable[[int], Any]) -> list[Any]:
    """What that many threads get at the same moment; a refusal is its code."""
    start = threading.Barrier(times)

    def run(number: int) -> Any:
        start.wait(timeout=30)
        try:
            return attempt(number)
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def test_a_card_is_asked_for_and_given(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    accepted = ask(house, seeded)
    open_outcome = outcome(house, seeded, accepted)
    held = money_of(house, seeded.client_account)

    Wrapper(house.sessions, build_handlers(house)).run(accepted.task_id, 1)
    drain(house)

    result, error = outcome(house, seeded, accepted)
    (given,) = rows(house, "SELECT id, last4, card_id FROM provisions")
    link = result.pop("reveal_url")
    assert open_outcome == (None, None)
    assert held == (CREDIT, 2500)
    assert error is None
    assert link.startswith("https://cards.example/r/")
    assert read_token(link.rpartition("/")[2])[0] == given.id
    (brand,) = rows(house, "SELECT name FROM brands")
    assert result == {
        "redemption": {
            "id": given.id,
            "charge_minor": 2500,
            "cost_minor": 2300,
            "margin_minor": 200,
        },
        "card": {
            "last4": given.last4,
            "brand": brand.name,
            "value_minor": 2500,
            "currency": "USD",
        },
        "source": "csv",
        "credit_remaining_minor": 7500,
    }
    assert view(house, accepted.job_id)["state"] == "succeeded"
    assert money_of(house, seeded.client_account) == (7500, 0)
    assert_proven(house)


def test_costs_are_not_told_to_those_who_may_not_see_them(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    accepted = ask(house, seeded)
    finish(house)

    result, _error = outcome(house, seeded, accepted, sees_costs=False)

    assert sorted(result["redemption"]) == ["charge_minor", "id"]


def test_a_card_that_nobody_has_costs_nothing(house: House, seeded: Seeded) -> None:
    accepted = ask(house, seeded)
    finish(house)

    result, error = outcome(house, seeded, accepted)
    assert result is None
    assert (error["status"], error["code"]) == (409, "no_inventory")
    assert view(house, accepted.job_id)["state"] == "failed"
    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    assert_proven(house)


def test_more_than_the_credit_is_refused_and_the_code_is_not_spent(
    house: House, seeded: Seeded
) -> None:
    before = table_sizes(house)

    with pytest.raises(InsufficientCredit):
        ask(house, seeded, code="KANARIE", denomination_minor=10_001)

    assert table_sizes(house) == before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"email": "nonsense"}, "email"),
        ({"email": None, "delivery_method": DeliveryMethod.EMAIL}, "email"),
        ({"delivery_method": DeliveryMethod.SMS}, "phone"),
    ],
)
def test_a_recipient_who_cannot_be_reached_is_refused(
    house: House, seeded: Seeded, more: dict[str, Any], field: str
) -> None:
    before = table_sizes(house)

    with pytest.raises(ValidationFailed) as refused:
        ask(house, seeded, code="KANARIE", **more)

    assert [error.pointer for error in refused.value.errors] == [f"/recipient/{field}"]
    assert table_sizes(house) == before


def test_ec065_a_code_gives_the_same_person_the_same_card(house: House, seeded: Seeded) -> None:
    """EC-065: however the code and the address are written."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    first = ask(house, seeded, code="KANARIE-1")
    finish(house)

    again = ask(house, seeded, code=" kanarie-1 ", email="ONE@example.com")

    assert (again.job_id, again.is_replay, again.task_id) == (first.job_id, True, None)
    assert rows(house, "SELECT count(*) AS n FROM provisions")[0].n == 1
    assert money_of(house, seeded.client_account) == (7500, 0)


def test_ec035_a_key_that_led_to_a_codes_job_stands_for_that_request(
    house: House, seeded: Seeded
) -> None:
    key = RequestKey(ACTOR, "again", b"f" * 32)
    first = ask(house, seeded, code="KANARIE-1")
    ask(house, seeded, code="KANARIE-1", key=key)

    with pytest.raises(KeyReused):
        ask(house, seeded, code="KANARIE-2", key=replace(key, fingerprint=b"g" * 32))

    assert ask(house, seeded, code="KANARIE-1", key=key).job_id == first.job_id
    assert rows(house, "SELECT count(*) AS n FROM jobs")[0].n == 1


@pytest.mark.parametrize("email", ["two@example.com", None])
def test_ec065_a_code_gives_another_person_nothing(
    house: House, seeded: Seeded, email: str | None
) -> None:
    ask(house, seeded, code="KANARIE-1")
    before = table_sizes(house)

    with pytest.raises(AlreadyRedeemed):
        ask(house, seeded, code="KANARIE-1", email=email)

    assert table_sizes(house) == before


def test_ec065_ten_requests_race_for_one_code(house: House, seeded: Seeded) -> None:
    """EC-065: one of ten people gets the card."""
    import_cards_now(house, seeded.csv_pool, cards_csv(10))

    answers = at_once(
        10, lambda n: ask(house, seeded, code="KANARIE-1", email=f"p{n}@example.com").job_id
    )
    finish(house)

    assert answers.count("already_redeemed") == 9
    assert rows(house, "SELECT count(*) AS n FROM provisions")[0].n == 1
    assert money_of(house, seeded.client_account) == (7500, 0)
    assert_proven(house)


def test_ec065_one_person_clicks_ten_times(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(10))

    answers = at_once(10, lambda _n: ask(house, seeded, code="KANARIE-1").job_id)
    finish(house)

    assert len(set(answers)) == 1
    assert rows(house, "SELECT count(*) AS n FROM jobs WHERE is_single")[0].n == 1
    assert money_of(house, seeded.client_account) == (7500, 0)


def test_a_code_is_its_campaign_s_own_and_is_kept_as_an_index_only(
    house: House, seeded: Seeded
) -> None:
    other = seed(house, vendor=False)
    ask(house, seeded, code="KANARIE-1")
    ask(house, other, code="KANARIE-1")

    found = rows(house, "SELECT blind_index, to_jsonb(c)::text AS row FROM redemption_codes c")
    assert len({row.blind_index for row in found}) == 2
    assert [row for row in found if "KANARIE" in row.row.upper()] == []


def test_a_code_that_bought_nothing_is_good_again(house: House, seeded: Seeded) -> None:
    first = ask(house, seeded, code="KANARIE-1")
    finish(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))

    second = ask(house, seeded, code="KANARIE-1", email="two@example.com")
    finish(house)

    assert view(house, first.job_id)["state"] == "failed"
    assert view(house, second.job_id)["state"] == "succeeded"


def test_a_freed_code_does_not_come_back_through_a_retry(house: House, seeded: Seeded) -> None:
    """One code, one card: the retry of a failed request must not be the second one."""
    first = ask(house, seeded, code="KANARIE-1")
    finish(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    ask(house, seeded, code="KANARIE-1", email="two@example.com")
    finish(house)

    with (
        pytest.raises(NothingToRetry),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        retry_job(
            session,
            first.job_id,
            actor_id=ACTOR,
            now=clock.now(session),
            kinds=house.job_kinds,
            limits=house.limits,
        )

    assert view(house, first.job_id)["state"] == "failed"
    assert money_of(house, seeded.client_account) == (7500, 0)
