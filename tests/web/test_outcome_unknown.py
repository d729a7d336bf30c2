"""EC-036: when the answer to COMMIT is lost, the caller is told so, and the same key finds out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.wiring import House, build_house
from tests.chaos.proxy import Proxy
from tests.conftest import Database, Ground, load_settings, process_environment
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller
from web.app import create_app


@dataclass(frozen=True, slots=True)
class Line:
    """A caller of a front whose database is behind a proxy that can lose answers."""

    proxy: Proxy
    caller: Caller

    def lose_commit_after(self, words: str) -> None:
        self.proxy.obey(commits_after=words, commits_left=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def line(ground: Ground, database: Database, admin: Caller) -> Iterator[Line]:
    proxy = Proxy("127.0.0.1", ground.servers.postgres.port, speaks="postgres")
    urls = {login: proxy.through(url) for login, url in database.urls.items()}
    environment = process_environment(urls, ground.servers.redis_url)
    behind = build_house(load_settings("web", environment))
    yield Line(proxy, Caller(create_app(behind).test_client(), admin.headers))
    behind.sessions.kw["bind"].dispose()
    proxy.end()


def asked(what: str, seeded: Seeded) -> tuple[str, dict[str, Any], str]:
    """Path, body, and the statement after whose COMMIT the answer is lost."""
    if what == "campaign":
        body = {"name": "Autumn", "client_id": str(seeded.client_id)}
        return "/campaigns", body, "INSERT INTO campaigns"
    if what == "recall":
        accounts = {
            "from_account_id": str(seeded.client_account),
            "to_account_id": str(seeded.agency_account),
        }
        return "/credit/recalls", accounts | {"amount_minor": 2500}, "INSERT INTO transfers"
    body = {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 2500,
        "recipient": {"reference": "r1"},
        "delivery_method": "none",
    }
    return "/gift-cards/provision", body, "INSERT INTO jobs"


@pytest.mark.parametrize(
    ("what", "made"),
    [
        ("campaign", "SELECT count(*) FROM campaigns WHERE name = 'Autumn'"),
        ("recall", "SELECT count(*) FROM transfers WHERE kind = 'recall'"),
        ("job", "SELECT count(*) FROM jobs"),
    ],
)
def test_ec036_a_commit_that_nobody_heard_is_found_by_its_key(
    house: House, seeded: Seeded, line: Line, what: str, made: str
):
    """EC-036: 503 `outcome_unknown`; the repeat gives the first result, and there is one row."""
    path, body, statement = asked(what, seeded)
    line.lose_commit_after(statement)

    lost = line.caller.post(path, body, Idempotency_Key="k")
    committed = rows(house, made)
    again = line.caller.post(path, body, Idempotency_Key="k")

    assert (lost.status_code, lost.json["code"]) == (503, "outcome_unknown")
    assert lost.headers["Retry-After"] == "2"
    assert committed == [(1,)]
    assert again.status_code in {201, 202}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(house, made) == [(1,)]
    assert_proven(house)
