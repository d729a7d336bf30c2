"""Referral programs, their codes and rewards, for tests."""

from typing import Any
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.discounts.customers import Customer, known_customer
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.queue.defer import defer
from pipelines.queue.kinds import ISSUE_REWARDS
from pipelines.referrals.codes import give_code
from pipelines.referrals.programs import create_program
from pipelines.referrals.rules import ProgramRules
from pipelines.wiring import House
from tests.driving import change, drain, rows
from tests.paying import Till
from tests.seeding import ACTOR, Seeded

ANN = "ann@gmail.com"
FRIEND = DiscountRules(DiscountKind.PERCENT, percent_bp=1_000)
REWARD = DiscountRules(DiscountKind.FIXED, amount_minor=500, currency="USD")
#: As a body says it: ten percent for the friend, five dollars for the referrer.
BODY: dict[str, Any] = {
    "name": "Bring a friend",
    "friend": {"kind": "percent", "percent_bp": 1_000},
    "reward": {"kind": "fixed", "amount_minor": 500, "currency": "USD"},
    "pattern": {"prefix": "REF"},
}


def make_program(house: House, seeded: Seeded, **given: Any) -> UUID:
    """A program of ten percent for friends and five dollars for referrers, unless it is said."""
    rules = ProgramRules(**{"name": "Friends", "friend": FRIEND, "reward": REWARD} | given)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return create_program(session, seeded.client_id, rules, actor_id=ACTOR)


def make_code(house: House, seeded: Seeded, program_id: UUID, email: str = ANN) -> str:
    """The text of somebody's own code."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        who = known_customer(session, seeded.client_id, Customer(email=email), house.person_secret)
        given = give_code(session, program_id, who.keys, actor_id=ACTOR)
    (row,) = rows(house, "SELECT code FROM discount_codes WHERE id = :id", id=given.code_id)
    return str(row.code)


def rewards(house: House) -> list[str]:
    """The states of all rewards, in the order of their purchases."""
    return [row.state for row in rows(house, "SELECT state FROM referral_rewards ORDER BY id")]


def hold_passes(house: House) -> None:
    """Every purchase was kept as long as its program asks."""
    change(house, "UPDATE referral_rewards SET due_at = now() - interval '1 second'")


def issue(house: House, till: Till | None = None) -> None:
    """The duty, once."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer(session, ISSUE_REWARDS, args={}, now=clock.now(session))
    drain(house) if till is None else till.work()


def full_referral(house: House, seeded: Seeded, purchase_id: UUID, name: str = "Friends") -> None:
    """A program with somebody's code, and a reward that waits, for this purchase."""
    program_id = make_program(house, seeded, name=name, max_uses_per_code=5)
    code = make_code(house, seeded, program_id)
    change(
        house,
        "INSERT INTO referral_rewards (id, agency_id, client_id, program_id, code_id, reward, "
        "valid_days, due_at) SELECT :purchase, c.agency_id, c.client_id, :program, c.id, g.reward, "
        "30, now() + interval '14 days' FROM discount_codes c, referral_programs g "
        "WHERE c.client_id = :client AND c.code = :code AND g.id = :program",
        purchase=purchase_id,
        program=program_id,
        client=seeded.client_id,
        code=code,
    )
