"""S4-128: no recipient has more rewards of a campaign than one may, in any order of events."""

import secrets
from collections import Counter
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import Refusal
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.plan import Dedupe
from pipelines.wiring import House
from tests.conditions import counted, limit
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows, submit, view
from tests.pipelines.test_conditions import ask
from tests.proof import assert_proven
from tests.seeding import seed
from tests.undoing import ask_undo

MOST = 2
PEOPLE = ("ada", "bob")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("file"), st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4)),
        st.tuples(st.just("work"), st.none()),
        st.tuples(st.just("undo"), st.integers(0, 5)),
    ),
    min_size=3,
    max_size=7,
)


def address(house_run: str, name: str) -> str:
    return f"{name}.{house_run}@example.com"


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, is_late=st.booleans())
def test_s4_128_a_recipient_gets_at_most_so_many_whatever_is_asked_worked_and_undone(
    house: House, steps: list[tuple[str, object]], is_late: bool
) -> None:
    """The model is a count per person: a place is taken at accept and free again after an undo."""
    seeded, run = seed(house, vendor=False), secrets.token_hex(4)
    import_cards_now(house, seeded.csv_pool, cards_csv(30))
    if not is_late:
        limit(house, seeded, max_rewards_per_recipient=MOST)
    taken: Counter[str] = Counter()
    jobs: list[tuple[UUID, Counter[str]]] = []
    undone: set[UUID] = set()

    def work() -> None:
        hasten(house)
        drain(house)

    for place, (what, of) in enumerate(steps):
        if is_late and place == 1:
            limit(house, seeded, max_rewards_per_recipient=MOST)
        is_limited = not is_late or place >= 1
        if what == "ask":
            name = str(of)
            try:
                jobs.append((ask(house, seeded, address(run, name)), Counter([name])))
            except Refusal as refusal:
                assert (refusal.code, taken[name]) == ("recipient_limit_reached", MOST)
            else:
                taken[name] += 1
                assert not is_limited or taken[name] <= MOST
        elif what == "file":
            names = list(of)  # type: ignore[call-overload]
            listed = [{"email": address(run, name)} for name in names]
            job_id = submit(
                house,
                seeded,
                listed,
                on_error=OnError.SKIP,
                dedupe=Dedupe.ALLOW,
                allow_repeat=True,
            )
            accepted: Counter[str] = Counter()
            for name in names:
                if not is_limited or taken[name] < MOST:
                    taken[name] += 1
                    accepted[name] += 1
            assert view(house, job_id)["counts"]["failed"] == len(names) - accepted.total()
            jobs.append((job_id, accepted))
        elif what == "work":
            work()
        elif jobs:
            work()
            job_id, names_of = jobs[int(of) % len(jobs)]  # type: ignore[call-overload]
            if job_id not in undone and names_of:
                ask_undo(house, seeded, job_id)
                undone.add(job_id)
                taken -= names_of
            work()
    work()

    given_now = rows(
        house,
        "SELECT count(*) AS n FROM provisions WHERE campaign_id = :id AND undone_at IS NULL",
        id=seeded.campaign_id,
    )[0].n
    assert given_now == taken.total() == counted(house, seeded)
    assert_proven(house)
