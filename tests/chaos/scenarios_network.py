"""The network swallows every packet without a word: no reset tells anybody."""

from uuid import UUID

from tests.chaos.exact import Scenario, Size, assert_exact, assert_vendor_sold, hurry, prepared
from tests.chaos.netns import Room, room
from tests.chaos.proxy import Proxy
from tests.chaos.stand import Stand
from tests.driving import recipients_csv, submit, view

CUT_OFF = ("bulk", "vendors")


def workers_cut_off(stand: Stand, size: Size) -> None:
    """Workers elsewhere take over; the ones that were cut off free themselves and work again."""
    with room() as place:
        seeded = prepared(stand, size)
        for name in CUT_OFF:
            stand.kill(name)
        _move_in(stand, place)
        job_id = submit(stand.house, seeded, recipients_csv(size.items))
        stand.until_done(job_id, size.items // 10)
        place.cut()
        stand.start(*CUT_OFF)
        assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
        for name in CUT_OFF:
            stand.kill(name)
        place.mend()
        again = submit(stand.house, seeded, recipients_csv(size.api, start=size.items))
        _assert_done_by_the_freed(stand, again, size)


def cut_off_while_waiting(stand: Stand, size: Size) -> None:
    """All of a worker's threads wait for answers to statements that have arrived: the hard case.

    Nothing of theirs is unacknowledged, so only keepalives can tell them that nobody is there.
    """
    with room() as place:
        seeded = prepared(stand, size)
        for name in CUT_OFF:
            stand.kill(name)
        _move_in(stand, place, LARGESSE_BULK_THREADS="1")
        held = f"SELECT 1 FROM accounts WHERE id = '{seeded.client_account}' FOR UPDATE"
        job_id = submit(stand.house, seeded, recipients_csv(size.items))
        with stand.connected() as blocker:
            blocker.execute(held)
            stand.until(lambda: stand.waiting_for_locks() > 0)
            place.cut()
        for name in CUT_OFF:
            stand.start(name)
        assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
        for name in CUT_OFF:
            stand.kill(name)
        place.mend()
        again = submit(stand.house, seeded, recipients_csv(size.api, start=size.items))
        _assert_done_by_the_freed(stand, again, size)


def _move_in(stand: Stand, place: Room, **extra: str) -> None:
    """The workers start in the room and reach the servers through proxies at its door."""
    doors: dict[str, Proxy] = {
        kind: stand.proxy(kind, listen=place.host) for kind in ("database", "queue", "vendor")
    }
    stand.start(*CUT_OFF, before=place.before, **stand.by_way_of(**doors), **extra)


def _assert_done_by_the_freed(stand: Stand, job_id: UUID, size: Size) -> None:
    """The pools are empty by now: every card of the second job is bought."""
    job = stand.until_ended(job_id, meanwhile=lambda: hurry(stand))
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", size.api)
    assert view(stand.house, job_id)["sources"] == {"csv": 0, "buffer": 0, "api": size.api}
    assert_vendor_sold(stand, 2 * size.api)


SCENARIOS = (
    Scenario("network cut", "workers cut off mid-job, back after it", workers_cut_off),
    Scenario("network cut, waiting", "cut off while all wait for locks", cut_off_while_waiting),
)
