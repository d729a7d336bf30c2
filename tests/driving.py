"""Drive work in this process, without a broker: due tasks run one after another until none is due."""

import io
import secrets
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.jobs.kinds import OnError
from pipelines.jobs.read import job_row, job_view
from pipelines.pools.accept_import import accept_import
from pipelines.provisioning.plan import BulkOptions
from pipelines.provisioning.submit import Recipients, submit_bulk
from pipelines.queue.ring import ring_due
from pipelines.wiring import House, build_handlers
from tests.canary import MARK, PIN
from tests.seeding import ACTOR, Seeded
from workers.wrapper import Wrapper


def drain(house: House, *, wrapper: Wrapper | None = None, passes_max: int = 10_000) -> int:
    """Run every due task through the real wrapper until none is due; returns how many ran."""
    wrapper = wrapper or Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0)
    done = 0
    for _ in range(passes_max):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            bells = ring_due(session, now=clock.now(session), limits=house.limits)
        if not bells:
            return done
        for bell in bells:
            wrapper.run(bell.task_id, 1)
            done += 1
    raise AssertionError("work does not come to an end")


def hasten(house: House) -> None:
    """Bring every waiting task forward: tests do not wait for backoffs or for absence."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE provider_orders SET sent_at = sent_at - interval '10 seconds' "
                "WHERE state = 'unknown'"
            )
        )
        session.execute(text("UPDATE tasks SET run_after = now(), rung_at = NULL"))
        session.execute(
            text(
                "UPDATE vendor_accounts SET filled_at = least(filled_at, now()), "
                "paused_until = NULL, taken_until = NULL, micro_tokens = burst * 1000000"
            )
        )
        session.execute(
            text(
                "UPDATE vendor_accounts "
                "SET breaker_blocked_until = least(breaker_blocked_until, now()) "
                "WHERE breaker_blocked_until IS NOT NULL"  # a closed one stays closed
            )
        )


def cards_csv(count: int, prefix: str = "CARD") -> bytes:
    """A card file of `count` distinct cards, which the canary recognises."""
    rows = (
        f"{prefix}{MARK}{secrets.token_hex(6).upper()}{n:06d},{PIN},2028-12-31"
        for n in range(count)
    )
    return ("card_number,pin,expires_on\n" + "\n".join(rows) + "\n").encode()


def import_cards_now(house: House, pool_id: UUID, content: bytes, **options: Any) -> dict[str, Any]:
    """Accept a card file and work it in; the job as its readers see it."""
    values: dict[str, Any] = {"on_error": OnError.ABORT, "force": False} | options
    with scoped_transaction(house.sessions, PLATFORM) as session:
        accepted = accept_import(
            session,
            pool_id,
            io.BytesIO(content),
            file_name="cards.csv",
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
            **values,
        )
    drain(house)
    return view(house, accepted.job_id)


def recipients_csv(count: int, start: int = 0) -> bytes:
    rows = (f"r{n},person{n}@example.com,Person {n}," for n in range(start, start + count))
    return ("reference,email,name,phone\n" + "\n".join(rows) + "\n").encode()


def submit(
    house: House, seeded: Seeded, content: bytes | Iterable[dict[str, Any]], **options: Any
) -> UUID:
    """Submit a bulk job in the client's scope; the job's id."""
    chosen = BulkOptions(
        **(
            {
                "campaign_id": seeded.campaign_id,
                "brand_id": seeded.brand_id,
                "denomination_minor": 2500,
                "delivery_method": "none",
            }
            | options
        )
    )
    if isinstance(content, bytes):
        recipients = Recipients(sha256=secrets.token_bytes(32), csv=io.BytesIO(content))
    else:
        recipients = Recipients(sha256=secrets.token_bytes(32), listed=list(content))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_bulk(
            session,
            chosen,
            recipients,
            actor_id=ACTOR,
            key=None,
            person_secret=house.person_secret,
            limits=house.limits,
        ).job_id


def view(house: House, job_id: UUID) -> dict[str, Any]:
    """The job as its readers see it."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        row = job_row(session, job_id)
        return job_view(row, now=clock.now(session), limits=house.limits)


def change(house: House, statement: str, **values: Any) -> None:
    """Make the database what a test needs it to be."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(statement), values)


def rows(house: House, statement: str, **values: Any) -> list[Any]:
    """Look at the database as the system sees it."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return list(session.execute(text(statement), values))
