"""The front dies between commit and answer, or hears neither of its commit nor of Redis."""

import secrets
import threading
from typing import Any
from uuid import UUID

import requests

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.sign_ins import SignInKind, open_sign_in
from pipelines.access.tokens import AccessClaims, issue_access_token
from pipelines.access.users import NewUser, create_user
from tests.chaos.clock import wrong_clock
from tests.chaos.exact import Scenario, Size, assert_exact, prepared
from tests.chaos.stand import Stand, free_port, queue_answers
from tests.driving import rows
from tests.seeding import Seeded


class Front:
    """A web process of the stand, and somebody who may submit jobs."""

    def __init__(self, stand: Stand, seeded: Seeded) -> None:
        self._stand, self._seeded = stand, seeded
        self.port = free_port()
        self._headers = {"Authorization": f"Bearer {_token(stand, seeded)}"}

    def start(self, **extra: str) -> None:
        self._stand.start("web", PORT=str(self.port), **extra)
        self._stand.until(self._answers)

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def submit(self, items: int, key: str, *, timeout: float = 60.0) -> requests.Response:
        """Submit so many recipients as one CSV file, under an idempotency key."""
        lines = (f"r{n},person{n}@example.com" for n in range(items))
        return requests.post(
            f"http://127.0.0.1:{self.port}/api/v1/gift-cards/provision-jobs",
            headers=self._headers | {"Idempotency-Key": key},
            data={
                "campaign_id": str(self._seeded.campaign_id),
                "brand_id": str(self._seeded.brand_id),
                "denomination_minor": "2500",
                "delivery_method": "none",
            },
            files={"file": ("people.csv", "\n".join(["reference,email", *lines]), "text/csv")},
            timeout=timeout,
        )


class Asking(threading.Thread):
    """A caller who submits and waits for an answer."""

    def __init__(self, front: Front, items: int, key: str) -> None:
        super().__init__(name="caller", daemon=True)
        self._front, self._items, self._key = front, items, key
        self._outcome = "none yet"
        self.start()

    def run(self) -> None:
        try:
            self._outcome = str(self._front.submit(self._items, self._key).status_code)
        except requests.ConnectionError:
            self._outcome = "no answer"

    def outcome(self) -> str:
        self.join(timeout=60)
        return self._outcome


def _token(stand: Stand, seeded: Seeded) -> str:
    house = stand.house
    person = NewUser(
        "manager@example.com",
        secrets.token_urlsafe(16),
        Role.CAMPAIGN_MANAGER,
        agency_id=seeded.agency_id,
        client_id=seeded.client_id,
    )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        user_id = create_user(session, person, actor_id=None)
        now = clock.now(session)
        sign_in = open_sign_in(session, user_id, SignInKind.REFRESH, seconds=3600, now=now)
    return issue_access_token(
        AccessClaims(user_id, sign_in),
        role=Role.CAMPAIGN_MANAGER.value,
        key=house.settings.token_key,
        now=now,
        seconds=3600,
    )


def killed_before_its_answer(stand: Stand, size: Size) -> None:
    """EC-035: the job is committed, web dies before it can say so; the same key finds the job."""
    seeded = prepared(stand, size)
    proxy, front, key = stand.proxy("database"), Front(stand, seeded), secrets.token_hex(8)
    front.start(**stand.by_way_of(database=proxy))
    proxy.obey(hold=True, commits_after="INSERT INTO jobs", commits_left=1)
    asking = Asking(front, size.items, key)
    stand.until(lambda: bool(_submitted(stand)))
    stand.kill("web")
    assert asking.outcome() == "no answer"
    front.start()
    _assert_repeat_finds_the_job(stand, front, size, key)


def commit_unheard(stand: Stand, size: Size) -> None:
    """EC-036: the answer to COMMIT is lost: 503 outcome_unknown, and the repeat finds the job."""
    seeded = prepared(stand, size)
    proxy, front, key = stand.proxy("database"), Front(stand, seeded), secrets.token_hex(8)
    front.start(**stand.by_way_of(database=proxy))
    proxy.obey(commits_after="INSERT INTO jobs", commits_left=1)
    lost = front.submit(size.items, key)
    assert (lost.status_code, lost.json()["code"]) == (503, "outcome_unknown")
    assert proxy.obey()["commits_lost"] == 1
    _assert_repeat_finds_the_job(stand, front, size, key)


def queue_down_at_submit(stand: Stand, size: Size) -> None:
    """EC-037: Redis is dead when the job is submitted: 202, and it completes when Redis is back."""
    seeded = prepared(stand, size)
    front = Front(stand, seeded)
    front.start()
    stand.servers.valkey.kill()
    stand.until(lambda: not queue_answers(stand))
    accepted = front.submit(size.items, secrets.token_hex(8))
    assert accepted.status_code == 202, accepted.text
    ready = requests.get(f"http://127.0.0.1:{front.port}/readyz", timeout=10)
    assert "degraded" in ready.text, ready.text
    stand.servers.valkey.start()
    assert_exact(stand, UUID(accepted.json()["id"]), size)


def clock_ahead(stand: Stand, size: Size) -> None:
    """A front ten minutes ahead takes a token that is good, and its job runs at once."""
    seeded = prepared(stand, size)
    front = Front(stand, seeded)
    front.start(**wrong_clock(+10))
    accepted = front.submit(size.items, secrets.token_hex(8))
    assert accepted.status_code == 202, accepted.text
    assert_exact(stand, UUID(accepted.json()["id"]), size)


def _submitted(stand: Stand) -> list[Any]:
    return rows(stand.house, "SELECT id FROM jobs WHERE kind = 'provisioning'")


def _assert_repeat_finds_the_job(stand: Stand, front: Front, size: Size, key: str) -> None:
    (first,) = _submitted(stand)
    again = front.submit(size.items, key)
    assert again.status_code == 202, again.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == str(first.id)
    assert_exact(stand, first.id, size)
    assert len(_submitted(stand)) == 1


SCENARIOS = (
    Scenario("web killed", "dead between commit and answer (EC-035)", killed_before_its_answer),
    Scenario("web unheard", "COMMIT answer lost: 503, repeat finds it (EC-036)", commit_unheard),
    Scenario("queue down at submit", "202, done when it is back (EC-037)", queue_down_at_submit),
    Scenario("web clock ahead", "a front 10 minutes ahead", clock_ahead),
)
