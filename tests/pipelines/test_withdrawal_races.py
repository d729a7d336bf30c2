"""A code that is withdrawn and redeemed at the same moment: one of the two, and never both (S4-092)."""

import hashlib
import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.errors import NotFound
from pipelines.provisioning.load_codes import CodesToLoad, load_codes
from pipelines.provisioning.redeem import Redemption, redeem
from pipelines.provisioning.withdraw_codes import CodesToWithdraw, withdraw_codes
from pipelines.wiring import House
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.until import until

CODES = [hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(5)]
_WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def seeded(house: House) -> Seeded:
    seeded = seed(house, vendor=False)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        load_codes(
            session,
            CodesToLoad(seeded.campaign_id, seeded.brand_id, 2500),
            io.BytesIO("\n".join(["redemption_code", *CODES]).encode()),
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    return seeded


def redeemed(
    house: House, seeded: Seeded, code: str, *, done: threading.Event, commit: threading.Event
) -> bool:
    """Whether the code brought a card; `done` before its transaction ends, which waits for `commit`."""
    try:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            redeem(
                session,
                Redemption(seeded.campaign_id, code),
                keyring=house.settings.keyring,
                person_secret=house.person_secret,
                limits=house.limits,
            )
            done.set()
            assert commit.wait(timeout=30)
            return True
    except NotFound:
        return False


def withdrawn(
    house: House, seeded: Seeded, *, done: threading.Event, commit: threading.Event
) -> None:
    """As `redeemed`: every open code of the campaign."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        withdraw_codes(
            session,
            CodesToWithdraw(seeded.campaign_id, None, None),
            reason="leaked",
            actor_id=ACTOR,
            now=clock.now(session),
        )
        done.set()
        assert commit.wait(timeout=30)


def outcomes(house: House) -> tuple[int, int, int]:
    """Codes withdrawn, codes redeemed, and requests for a card."""
    (found,) = rows(
        house,
        "SELECT (SELECT count(*) FROM loaded_codes WHERE withdrawn_at IS NOT NULL) AS withdrawn, "
        "(SELECT count(*) FROM redemption_codes) AS redeemed, (SELECT count(*) FROM jobs) AS jobs",
    )
    return found.withdrawn, found.redeemed, found.jobs


def waited(house: House) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return bool(session.execute(_WAITS).scalar_one())


@pytest.mark.parametrize("first", ["redeemed", "withdrawn"])
def test_s4_092_whoever_comes_first_wins_and_the_other_waits_to_see_it(
    house: House, seeded: Seeded, first: str
) -> None:
    done, commit, over = (threading.Event() for _ in range(3))
    over.set()
    unseen = threading.Event()
    with ThreadPoolExecutor(2) as threads:

        def redeeming(said: threading.Event, ends: threading.Event) -> Future[bool]:
            return threads.submit(redeemed, house, seeded, CODES[0], done=said, commit=ends)

        def withdrawing(said: threading.Event, ends: threading.Event) -> Future[None]:
            return threads.submit(withdrawn, house, seeded, done=said, commit=ends)

        if first == "redeemed":
            got = redeeming(done, commit)
            assert done.wait(timeout=30)
            other: Future[None] | Future[bool] = withdrawing(unseen, over)
        else:
            other = withdrawing(done, commit)
            assert done.wait(timeout=30)
            got = redeeming(unseen, over)
        until(lambda: waited(house))
        commit.set()
        other.result(timeout=30)
        has_card = got.result(timeout=30)

    assert has_card == (first == "redeemed")
    assert outcomes(house) == ((4, 1, 1) if has_card else (5, 0, 0))


def test_s4_092_of_many_codes_at_the_same_moment_each_has_exactly_one_end(
    house: House, seeded: Seeded
) -> None:
    start = threading.Barrier(len(CODES) + 1)
    now = threading.Event()
    now.set()

    def take(code: str) -> bool:
        start.wait(timeout=30)
        return redeemed(house, seeded, code, done=threading.Event(), commit=now)

    def leak() -> None:
        start.wait(timeout=30)
        withdrawn(house, seeded, done=threading.Event(), commit=now)

    with ThreadPoolExecutor(len(CODES) + 1) as threads:
        takers = [threads.submit(take, code) for code in CODES]
        threads.submit(leak).result(timeout=30)
        given = sum(taker.result(timeout=30) for taker in takers)

    assert outcomes(house) == (len(CODES) - given, given, given)
    assert_proven(house)
