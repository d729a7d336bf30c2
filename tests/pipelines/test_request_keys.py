"""The same request twice makes one thing: idempotency keys (EC-035, EC-036)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.credit.refusals import InsufficientCredit
from pipelines.errors import Kind
from pipelines.queue.defer import defer
from pipelines.queue.keys import (
    PURGED_AT_ONCE,
    KeyReused,
    RequestInProgress,
    RequestKey,
    first_result,
    purge,
)
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.wiring import House, build_handlers
from tests.driving import drain, recipients_csv, rows
from tests.intake import money_of, submit_file, table_sizes
from tests.seeding import ACTOR, Seeded, seed
from workers.wrapper import Wrapper

KEY = RequestKey(ACTOR, "order-4711", b"f" * 32)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=10_000)


def test_ec035_a_repeat_gets_what_the_first_made(house: House, seeded: Seeded) -> None:
    """EC-035: even when the file is no longer acceptable, and without a second hold."""
    first = submit_file(house, seeded, recipients_csv(3), key=KEY)
    before = table_sizes(house)

    again = submit_file(house, seeded, recipients_csv(3), key=KEY)

    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.job_id == first.job_id
    assert table_sizes(house) == before
    assert money_of(house, seeded.client_account) == (10_000, 7_500)


def test_ec035_the_same_key_for_another_body_is_refused(house: House, seeded: Seeded) -> None:
    submit_file(house, seeded, recipients_csv(1), key=KEY)
    before = table_sizes(house)

    with pytest.raises(KeyReused) as refused:
        submit_file(house, seeded, recipients_csv(2), key=replace(KEY, fingerprint=b"g" * 32))

    assert refused.value.code == "idempotency_key_reuse"
    assert table_sizes(house) == before


def test_the_same_word_of_another_caller_is_another_key(house: House, seeded: Seeded) -> None:
    submit_file(house, seeded, recipients_csv(1), key=KEY)

    other = submit_file(
        house, seeded, recipients_csv(1, start=1), key=replace(KEY, actor_id=UUID(int=43))
    )

    assert other.is_replay is False
    assert money_of(house, seeded.client_account) == (10_000, 5_000)


def test_ec035_while_the_first_has_not_committed_the_second_is_told_to_wait(
    house: House, seeded: Seeded
) -> None:
    """EC-035: 409 with Retry-After, at once and not after the first."""
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        assert first_result(session, KEY) is None
        second = elsewhere.submit(submit_file, house, seeded, recipients_csv(1), key=KEY)
        refusal = second.exception(timeout=10)

    assert isinstance(refusal, RequestInProgress)
    assert (refusal.kind, refusal.retry_after_seconds) == (Kind.CONFLICT, 1)
    assert submit_file(house, seeded, recipients_csv(1), key=KEY).is_replay is False


def test_ec035_ten_at_once_make_one_job(house: House, seeded: Seeded) -> None:
    start = threading.Barrier(10)

    def attempt(_number: int) -> UUID | str:
        start.wait(timeout=30)
        try:
            return submit_file(house, seeded, recipients_csv(1), key=KEY).job_id
        except RequestInProgress as refusal:
            return refusal.code

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(attempt, range(10)))

    (job,) = rows(house, "SELECT id FROM jobs")
    assert job.id in answers
    assert answers <= {job.id, "request_in_progress"}
    assert money_of(house, seeded.client_account) == (10_000, 2_500)


def test_a_refused_request_does_not_use_its_key_up(house: House, seeded: Seeded) -> None:
    with pytest.raises(InsufficientCredit):
        submit_file(house, seeded, recipients_csv(5), key=KEY)

    assert submit_file(house, seeded, recipients_csv(4), key=KEY).is_replay is False


def test_ec036_a_key_and_what_it_made_are_written_together(house: House, seeded: Seeded) -> None:
    """EC-036: the key row names the thing, and holds neither its body nor people."""
    accepted = submit_file(house, seeded, recipients_csv(1), key=KEY)

    (row,) = rows(house, "SELECT to_jsonb(k) - 'id' - 'created_at' AS row FROM idempotency_keys k")
    assert row.row == {
        "actor_id": str(ACTOR),
        "key": "order-4711",
        "fingerprint": "\\x" + b"f".hex() * 32,
        "status": 202,
        "resource_kind": "job",
        "resource_id": str(accepted.job_id),
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert first_result(session, KEY) == accepted.job_id


_AGED = text("""
INSERT INTO idempotency_keys (id, actor_id, key, fingerprint, status, resource_kind, resource_id,
                              created_at)
SELECT gen_random_uuid(), :actor, :word || n, '\\x00', 202, 'job', gen_random_uuid(),
       now() - make_interval(secs => :age_seconds)
FROM generate_series(1, :count) AS n
""")
WEEK_SECONDS = 7 * 24 * 3600


def age(house: House, word: str, count: int, seconds: int) -> None:
    """Keys that were used so long ago."""
    values = {"actor": ACTOR, "word": word, "count": count, "age_seconds": seconds}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(_AGED, values)


def purge_now(house: House) -> None:
    """What the scheduler does every hour."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer(session, PURGE_KEYS, args={}, now=clock.now(session), dedupe_key=PURGE_KEYS.name)


def left(house: House) -> dict[str, int]:
    found = rows(
        house,
        "SELECT rtrim(key, '0123456789') AS word, count(*) AS n FROM idempotency_keys GROUP BY 1",
    )
    return {row.word: row.n for row in found}


def test_keys_are_kept_for_seven_days_and_then_go_all_of_them(house: House) -> None:
    age(house, "old", 2 * PURGED_AT_ONCE + 1, WEEK_SECONDS + 60)
    age(house, "young", 3, WEEK_SECONDS - 600)
    purge_now(house)

    drain(house)

    assert left(house) == {"young": 3}
    assert rows(house, "SELECT count(*) FROM tasks") == [(0,)]


def test_one_pass_of_the_purge_is_bounded(house: House) -> None:
    age(house, "old", PURGED_AT_ONCE + 1, WEEK_SECONDS + 60)
    purge_now(house)
    (task,) = rows(house, "SELECT id FROM tasks")

    Wrapper(house.sessions, build_handlers(house)).run(task.id, 1)

    assert left(house) == {"old": 1}
    assert rows(house, "SELECT kind FROM tasks") == [("purge_keys",)]


def test_two_passes_at_once_forget_different_keys(house: House) -> None:
    age(house, "old", PURGED_AT_ONCE + 2, WEEK_SECONDS + 60)
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        assert purge(session, now=clock.now(session), days=7) is True
        elsewhere.submit(purge_alone, house).result(timeout=10)

    assert left(house) == {}


def purge_alone(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert purge(session, now=clock.now(session), days=7) is False


def test_a_forgotten_key_is_a_new_key(house: House, seeded: Seeded) -> None:
    first = submit_file(house, seeded, recipients_csv(1), key=KEY)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '8 days'"))
    purge_now(house)
    drain(house)

    second = submit_file(house, seeded, recipients_csv(1, start=1), key=KEY)

    assert second.is_replay is False
    assert second.job_id != first.job_id
