"""People who are made by many at once are made once, and a pool counts each of them once (S3-060)."""

import threading
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import seed
from tests.web.conftest import Caller, signed_in

AT_ONCE = 12
PEOPLE = 40


def test_s3_060_two_clients_that_make_the_same_people_at_once_share_each_of_them(
    app: Flask, house: House
) -> None:
    """SEC-10: every other one begins at the other end of the list; nobody waits for ever."""
    owners = [
        signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False)) for _ in range(2)
    ]
    pools = [owner.post("/pools", {"name": "Beta Testers"}).json["id"] for owner in owners]
    before = rows(house, "SELECT count(*) AS n FROM users")[0].n
    emails = [f"p{n}@x.de" for n in range(PEOPLE)]
    start = threading.Barrier(AT_ONCE)

    def attempt(number: int) -> tuple[int, int]:
        caller = Caller(app.test_client(), owners[number % 2].headers)
        named = emails if number % 4 < 2 else emails[::-1]
        body = {"emails": named, "external_ids": [f"crm-{number % 3}"], "create_missing": True}
        start.wait(timeout=60)
        answer = caller.post(f"/pools/{pools[number % 2]}/users", body)
        return answer.status_code, answer.json["added"]

    with ThreadPoolExecutor(AT_ONCE) as many:
        answers = list(many.map(attempt, range(AT_ONCE)))

    assert {status for status, _added in answers} == {200}
    assert [sum(added for _status, added in answers[who::2]) for who in range(2)] == [
        PEOPLE + 3,
        PEOPLE + 3,
    ]
    assert rows(house, "SELECT members FROM user_pools") == [(PEOPLE + 3,)] * 2
    # An address is one person's, an external id one person's at each client.
    assert rows(house, "SELECT count(*) AS n FROM users")[0].n - before == PEOPLE + 6
    nobodys = "SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT FROM client_users c WHERE c.user_id = u.id)"
    assert rows(house, nobodys) == [(0,)]
    assert_proven(house)
