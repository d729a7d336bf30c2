"""What is over at partners is forgotten in time and not before: tokens, visits, secrets, refusals (SEC-40)."""

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.partners.forget import FORGOTTEN_AT_ONCE
from pipelines.partners.secrets import rotate_secret
from pipelines.queue.kinds import RETENTION
from pipelines.wiring import House, build_handlers
from tests.driving import rows
from tests.later import later
from tests.partnering import full_partner, make_partner
from tests.seeding import ACTOR, Seeded, seed

TABLES = ("spent_tokens", "widget_sessions", "partner_refusals")
_SPENT = """
INSERT INTO spent_tokens (partner_id, jti_hash, forget_at)
SELECT gen_random_uuid(), CAST(CAST(n AS text) AS bytea), now() - interval '1 hour'
FROM generate_series(1, :many) n
"""


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def pass_of(house: House) -> int:
    """One pass of the duty, as a worker does it; how many more it asked for."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("DELETE FROM tasks WHERE kind = 'retention'"))
        build_handlers(house).by_name[RETENTION.name].run(session, None, clock.now(session))
    return len(rows(house, "SELECT 1 FROM tasks WHERE kind = 'retention'"))


def left(house: House) -> tuple[int, ...]:
    """How many rows of each table are there."""
    return tuple(rows(house, f"SELECT count(*) AS n FROM {name}")[0].n for name in TABLES)


def has_text(house: House) -> list[bool]:
    """Of each secret, whether its text is there."""
    found = rows(house, "SELECT secret_sealed IS NOT NULL AS it FROM partner_secrets ORDER BY id")
    return [row.it for row in found]


@pytest.mark.parametrize(
    ("ahead", "remain"),
    [
        ({"minutes": 50}, (1, 1, 1)),
        ({"hours": 2}, (0, 1, 1)),
        ({"days": 36}, (0, 1, 1)),
        ({"days": 38}, (0, 0, 1)),
        ({"days": 92}, (0, 0, 0)),
    ],
)
def test_each_trace_of_a_visit_is_kept_for_its_time(
    house: House, seeded: Seeded, ahead: dict[str, float], remain: tuple[int, ...]
) -> None:
    full_partner(house, seeded)

    with later(house, **ahead) as then:
        assert pass_of(then) == 0

    assert left(house) == remain
    assert len(rows(house, "SELECT 1 FROM claims")) == 1
    assert len(rows(house, "SELECT 1 FROM partner_users")) == 1


def test_an_ended_secret_loses_its_text_and_the_present_one_does_not(
    house: House, seeded: Seeded
) -> None:
    partner = make_partner(house, seeded)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        rotate_secret(
            session,
            partner.id,
            overlap_seconds=3600,
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )

    pass_of(house)
    before = has_text(house)
    with later(house, hours=2) as then:
        pass_of(then)

    assert (before, has_text(house)) == ([True, True], [False, True])


def test_a_full_pass_is_followed_by_another(house: House, seeded: Seeded) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(text(_SPENT), {"many": FORGOTTEN_AT_ONCE + 1})

    followed = [(pass_of(house), left(house)[0]) for _ in range(2)]

    assert followed == [(1, 1), (0, 0)]
