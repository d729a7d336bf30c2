"""The windows of one process: moving, and bounded however many subjects there are (SEC-18)."""

from pipelines.access.rate_policies import Rule, Subject
from web import rate_windows
from web.rate_windows import MemoryWindows, Standing

RULE = Rule("login", Subject.ACCOUNT, 2, 60)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_moves_with_each_request():
    clock = Clock()
    windows = MemoryWindows(clock)

    first = windows.hit(RULE, "ann")
    clock.now += 40
    second, third = windows.hit(RULE, "ann"), windows.hit(RULE, "ann")
    clock.now += 20
    fourth, fifth = windows.hit(RULE, "ann"), windows.hit(RULE, "ann")

    assert first == Standing(True, 1, 60)
    assert (second, third) == (Standing(True, 0, 20), Standing(False, 0, 20))
    assert (fourth, fifth) == (Standing(True, 0, 40), Standing(False, 0, 40))


def test_looking_counts_nothing():
    windows = MemoryWindows(Clock())
    windows.hit(RULE, "ann")

    looks = {windows.look(RULE, "ann") for _ in range(5)}

    assert looks == {Standing(True, 1, 60)}


def test_who_is_forgiven_begins_anew():
    windows = MemoryWindows(Clock())
    windows.hit(RULE, "ann")
    windows.hit(RULE, "bob")

    windows.clear(RULE, "ann")

    assert (windows.look(RULE, "ann").remaining, windows.look(RULE, "bob").remaining) == (2, 1)


def test_more_subjects_than_are_remembered_share_one_count(monkeypatch):
    """A flood of networks makes nobody unlimited, and forgets nobody who is counted."""
    monkeypatch.setattr(rate_windows, "SUBJECTS_MAX", 3)
    clock = Clock()
    windows = MemoryWindows(clock)
    for name in ("a", "b", "c"):
        windows.hit(RULE, name)

    beyond = [windows.hit(RULE, name).is_allowed for name in ("d", "e", "f")]
    counted = windows.look(RULE, "a").remaining
    clock.now += 61
    later = windows.hit(RULE, "d")

    assert beyond == [True, True, False]
    assert counted == 1
    assert later == Standing(True, 1, 60)


def test_hours_are_totalled_and_the_oldest_forgotten():
    windows = MemoryWindows(Clock())

    for hour in (1, 1, 2, 25, 26):
        totals = windows.tally(hour)

    assert (totals[0], totals[1], totals[24]) == (1, 1, 1)
    assert sum(totals) == 3
