"""Undo a job the way the doors do, and look at what it took back."""

from typing import Any
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.undo import preview_undo, submit_undo
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.reveal import OpenedCard, reveal
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.queue.keys import Done, RequestKey
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows
from tests.intake import submit_file
from tests.seeding import ACTOR, Seeded


def served_job(house: House, seeded: Seeded, count: int, **chosen: Any) -> UUID:
    """A finished job whose recipients have a card of the CSV pool each."""
    import_cards_now(house, seeded.csv_pool, cards_csv(count))
    job_id = submit_file(house, seeded, recipients_csv(count), **chosen).job_id
    drain(house)
    return job_id


def ask_card(house: House, seeded: Seeded, code: str | None = None) -> UUID:
    """Accept a request for one card; its job."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_single(
            session,
            SingleRequest(
                seeded.campaign_id,
                seeded.brand_id,
                2500,
                DeliveryMethod.NONE,
                {"email": "ada@example.com"},
                redemption_code=code,
            ),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        ).job_id


def coded_job(house: House, seeded: Seeded, code: str, *, cards: int) -> UUID:
    """A request for one card paid with a redemption code, done with so many cards in stock."""
    if cards:
        import_cards_now(house, seeded.csv_pool, cards_csv(cards))
    job_id = ask_card(house, seeded, code)
    hasten(house)
    drain(house)
    return job_id


def ask_undo(house: House, seeded: Seeded, job_id: UUID, key: RequestKey | None = None) -> Done:
    """Accept an undo without working on it."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_undo(
            session, job_id, actor_id=ACTOR, key=key, kinds=house.job_kinds, limits=house.limits
        )


def undo(house: House, seeded: Seeded, job_id: UUID) -> UUID:
    """Undo a job to the end; the id of the job that did."""
    undo_id = ask_undo(house, seeded, job_id).resource_id
    drain(house)
    return undo_id


def preview(house: House, seeded: Seeded, job_id: UUID) -> dict[str, Any]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return preview_undo(session, job_id, kinds=house.job_kinds).as_json()


def provision_of(house: House, job_id: UUID, position: int) -> Any:
    (row,) = rows(
        house,
        "SELECT id, card_id, reveal_version, revealed_at, undone_at, undone_job_id "
        "FROM provisions WHERE job_id = :job AND position = :position",
        job=job_id,
        position=position,
    )
    return row


def open_card(house: House, seeded: Seeded, provision_id: UUID) -> OpenedCard:
    """The recipient sees the card."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return reveal(
            session,
            provision_id,
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )


def card_states(house: House) -> dict[str, int]:
    found = rows(house, "SELECT state, count(*) AS n FROM cards GROUP BY state")
    return {row.state: row.n for row in found}
