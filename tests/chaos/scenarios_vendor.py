"""The vendor drops connections, fails in every way, falls silent or cannot be reached."""

from tests.chaos.exact import Scenario, Size, assert_exact, begin, hurry
from tests.chaos.stand import Stand

#: Faults after which every order still comes to a good end.
HARMLESS = ("drop_after_create", "error_500_after", "drop_before_create", "garbage")


def drops_after_creating(stand: Stand, size: Size) -> None:
    stand.sandbox.arm(drop_after_create={"rate": 0.1}, seed=7)
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
    assert stand.sandbox.control("GET", "/reloadly/summary")["faults_fired"]


def fails_in_every_way(stand: Stand, size: Size) -> None:
    rates = {name: {"rate": 0.05} for name in HARMLESS}
    stand.sandbox.arm(**rates, throttled_429={"rate": 0.05, "retry_after": 0}, seed=11)
    _seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def answers_swallowed(stand: Stand, size: Size) -> None:
    """Orders arrive and are filled, and their answers vanish until the line is cut.

    The proxy counts where the silence begins: who looks at the job first may come too late.
    """
    proxy = stand.proxy("vendor")
    passes = size.api // 10
    proxy.obey(swallow=True, passes=passes)
    _seeded, job_id = begin(stand, size, **stand.by_way_of(vendor=proxy))
    stand.until(lambda: proxy.counts()["answers_lost"] >= 3)
    before = proxy.obey(swallow=True, passes=passes, cut=True)["answers_lost"]
    stand.until(lambda: proxy.counts()["answers_lost"] >= before + 3)
    proxy.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def out_of_reach(stand: Stand, size: Size) -> None:
    """Connections are refused: the breaker opens, orders wait without a loss, nothing is bought."""
    proxy = stand.proxy("vendor")
    _seeded, job_id = begin(stand, size, **stand.by_way_of(vendor=proxy))
    stand.until_done(job_id, size.stocked + size.api // 10)
    before = proxy.obey(refuse=True)["connections"]
    stand.until(lambda: proxy.obey(refuse=True)["connections"] > before + 3)
    proxy.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def slow_and_killed(stand: Stand, size: Size) -> None:
    """Answers are late, and workers die while they wait for them."""
    proxy = stand.proxy("vendor")
    proxy.obey(delay=0.3)
    _seeded, job_id = begin(stand, size, **stand.by_way_of(vendor=proxy))
    for part in (10, 3):
        stand.until_done(job_id, size.stocked + size.api // part)
        stand.kill("vendors")
        stand.start("vendors", **stand.by_way_of(vendor=proxy))
    proxy.obey()
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


SCENARIOS = (
    Scenario("vendor drops", "10 % created, connection cut (EC-059)", drops_after_creating),
    Scenario("vendor chaos", "five faults at 5 % each", fails_in_every_way),
    Scenario("vendor silent", "orders filled, answers vanish, twice (EC-059)", answers_swallowed),
    Scenario("vendor cut off", "the vendor out of reach for a while (EC-126)", out_of_reach),
    Scenario("vendor slow", "late answers, and SIGKILL while waiting for them", slow_and_killed),
)
