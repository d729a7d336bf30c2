"""The showcase as a user runs it: every scene on a real stack, and nothing left behind."""

from ops.demo.seed_books import BOOKS
from ops.demo.seed_people import PEOPLE
from ops.demo.stock_coupons import ASSIGNED
from ops.showcase.cast import Beat
from ops.showcase.play import SCENES
from tests.ops.conftest import wait_until_gone
from tests.ops.test_demo import demo_folders, pids_in, until_serving
from tests.ops.test_stack import READY_SECONDS, environment_for, lines_of, start


def test_s1_052_every_scene_of_the_showcase_comes_out_as_it_must(home):
    """S3-029..035, S3-037, S3-039, S3-041, S3-044..047, S3-057, S3-058, S3-078..084, S1-053, S1-060..066.

    EC-085: two windows redeem one coupon.
    """
    process = start(environment_for(home), "showcase")
    out, told = lines_of(process.stdout), lines_of(process.stderr)
    until_serving(told)
    pids = pids_in(*demo_folders(home))

    lines = list(iter(lambda: out.get(timeout=READY_SECONDS), None))

    assert process.wait(timeout=60) == 0
    assert lines[-1] == "Every scene came out as it must."
    assert [line for line in lines if "WRONG" in line] == []
    assert [line.split(".")[0] for line in lines if line[0].isdigit()] == [
        str(number) for number in range(1, len(SCENES) + 1)
    ]
    for came in (
        "   ok     LOCKED + redeem: 409 Cannot redeem LOCKED coupon",
        "   ok     REDEEMED + redeem: 409 Terminal state",
        "   ok     LOCKED + lock: 409 Already locked",
        "   ok     it lasts: 300 seconds",
        "   ok     look up nobody@example.com: 404 User not found",
        "   ok     assign the same code to another: 409 Coupon not available",
        "   ok     assign number 6: 409 Maximum assignments exceeded (5/5)",
        "   ok     assign number 3: 409 Maximum assignments exceeded (2/2)",
        "   ok     redemptions: 2",
        "   ok     assigned: 10",
        "   ok     redeem in two windows: redeemed | 409 Concurrent redemption detected",
    ):
        assert came in lines
    assert wait_until_gone(pids) == []


def test_a_beat_holds_only_where_what_came_is_what_was_expected():
    assert Beat("redeem", "redeemed", "redeemed").holds is True
    assert Beat("redeem", "redeemed", "409 Terminal state").holds is False


def test_the_demo_s_books_are_those_of_the_notes():
    """S3-056, S1-067..072: names, limits, codes and people as the notes have them."""
    by_name = {book.name: book for book in BOOKS}
    summer, vip = by_name["Summer Sale 2026"], by_name["VIP Rewards"]

    assert (len(BOOKS), sum(book.codes for book in BOOKS), len(ASSIGNED)) == (4, 200, 10)
    assert (summer.allow_multi_redemption, vip.allow_multi_redemption) == (False, True)
    assert (summer.max_redemptions_per_user, vip.max_redemptions_per_user) == (5, 3)
    assert (summer.max_assignments_per_user, vip.max_assignments_per_user) == (5, 5)
    assert by_name["Welcome Gift"].max_assignments_per_user == 2
    assert [book.name for book in BOOKS if book.seals_codes] == ["Gift Vouchers"]
    names = {"admin", "alice", "bob", "charlie", "diana", "eve"}
    assert names <= {person.email.partition("@")[0] for person in PEOPLE}
