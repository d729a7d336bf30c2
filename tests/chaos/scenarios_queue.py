"""Redis forgets, dies, falls silent or is away: work only waits."""

from tests.chaos.exact import Scenario, Size, assert_exact, begin, prepared
from tests.chaos.stand import Stand, queue_answers
from tests.driving import recipients_csv, submit


def emptied(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    for part in (10, 4, 2):
        stand.until_done(job_id, size.items // part)
        stand.flush_queue()
    assert_exact(stand, job_id, size)


def restarted_empty(stand: Stand, size: Size) -> None:
    _seeded, job_id = begin(stand, size)
    stand.until_done(job_id, size.items // 10)
    stand.servers.valkey.kill()
    stand.servers.valkey.start()
    stand.flush_queue()
    assert_exact(stand, job_id, size)


def killed_again_and_again(stand: Stand, size: Size) -> None:
    """It comes back with what its file has: rung tasks may be rung again, none is done twice."""
    _seeded, job_id = begin(stand, size)
    for part in (10, 4, 2):
        stand.until_done(job_id, size.items // part)
        stand.servers.valkey.kill()
        stand.until(lambda: not queue_answers(stand))
        stand.servers.valkey.start()
    assert_exact(stand, job_id, size)


def answers_swallowed(stand: Stand, size: Size) -> None:
    """Commands arrive and their answers vanish: fetched messages are lost, doorbells ring twice."""
    proxy = stand.proxy("queue")
    seeded = prepared(stand, size, **stand.by_way_of(queue=proxy))
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    for part in (10, 3):
        stand.until_done(job_id, size.items // part)
        proxy.obey(swallow=True)
        stand.until(lambda: proxy.obey(swallow=True)["answers_lost"] > 0)
        proxy.obey()
    assert_exact(stand, job_id, size)


def cut_off(stand: Stand, size: Size) -> None:
    """The workers and the relay cannot reach Redis for a while."""
    proxy = stand.proxy("queue")
    seeded = prepared(stand, size, **stand.by_way_of(queue=proxy))
    proxy.obey(refuse=True)
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    stand.until(lambda: proxy.obey(refuse=True)["connections"] > 5)
    proxy.obey()
    assert_exact(stand, job_id, size)


SCENARIOS = (
    Scenario("queue emptied", "FLUSHALL three times mid-job (EC-117)", emptied),
    Scenario("queue restarted", "Redis killed, back empty (EC-117)", restarted_empty),
    Scenario(
        "queue killed", "Redis killed three times, back with its file", killed_again_and_again
    ),
    Scenario("queue silent", "answers of Redis vanish, twice", answers_swallowed),
    Scenario("queue cut off", "Redis out of reach when the job is submitted", cut_off),
)
