"""Who redeems many different codes from one place is stopped, and told of; nobody else is (S4-111)."""

import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, client
from pipelines.audit import circumstances
from pipelines.provisioning.load_codes import CodesToLoad, load_codes
from pipelines.provisioning.suspicion import (
    _LATELY,
    CODES_OF_AGENT_TOLD,
    CODES_OF_NETWORK_MAX,
    refuse_collectors,
)
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import rows
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import signed_in
from web.app import create_app

HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
COLLECTOR, PHONE = "collector/1.0", "Mozilla/5.0 (a phone)"
CODES = [
    hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(CODES_OF_NETWORK_MAX + 2)
]


@pytest.fixture
def house(ground: Ground, database: Database) -> Iterator[House]:
    """A house that lets one network try more codes a minute than the rule lets it redeem."""
    with a_house(ground, database, LARGESSE_RATE_LIMITS="redeem-ip=1000/minute") as built:
        yield built


@pytest.fixture
def seeded(house: House) -> Seeded:
    seeded = seed(house, vendor=False)
    wanted = CodesToLoad(seeded.campaign_id, seeded.brand_id, 2500)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        load_codes(
            session,
            wanted,
            io.BytesIO("\n".join(["redemption_code", *CODES]).encode()),
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    return seeded


def redeemed(
    app: Flask, seeded: Seeded, code: str, *, address: str = HERE, agent: str = COLLECTOR
) -> TestResponse:
    return app.test_client().post(
        "/api/v1/redeem",
        json={"campaign": str(seeded.campaign_id), "redemption_code": code},
        headers={"User-Agent": agent},
        environ_base={"REMOTE_ADDR": address},
    )


def has_redeemed(house: House, seeded: Seeded, times: int) -> None:
    """As many other codes were redeemed from here a moment ago as an honest redemption notes."""
    copies = text(
        "INSERT INTO audit_entries (id, action, object_kind, agency_id, client_id, detail, address)"
        " SELECT gen_random_uuid(), action, object_kind, agency_id, client_id, detail, address"
        " FROM audit_entries, generate_series(1, :times) WHERE action = 'code.redeemed'"
    )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(copies, {"times": times})


def test_s4_111_a_network_that_redeems_many_codes_is_stopped_and_told_of(
    house: House, seeded: Seeded
):
    app = create_app(house)
    redeemed(app, seeded, CODES[0])
    has_redeemed(house, seeded, CODES_OF_NETWORK_MAX - 2)
    last = redeemed(app, seeded, CODES[1], agent=PHONE)
    before = len(rows(house, "SELECT 1 FROM jobs WHERE is_single"))

    refused = redeemed(app, seeded, CODES[-1])
    page = app.test_client().post(
        "/redeem",
        data={"campaign": str(seeded.campaign_id), "redemption_code": CODES[-1]},
        headers={"User-Agent": PHONE},
        environ_base={"REMOTE_ADDR": "198.51.100.200"},
    )
    own_again = redeemed(app, seeded, CODES[0])
    elsewhere = redeemed(app, seeded, CODES[-2], address=ELSEWHERE)
    circumstances.come_from(HERE)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(minutes=61)
        refuse_collectors(session, seeded.campaign_id, now=later)
    circumstances.forget()

    assert last.status_code == 200
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert (page.status_code, page.headers["Retry-After"]) == (429, "3600")
    assert "Yours stays good" in page.text
    assert [one.status_code for one in (own_again, elsewhere)] == [200, 200]
    assert len(rows(house, "SELECT 1 FROM jobs WHERE is_single")) == before + 1
    (told,) = rows(house, "SELECT * FROM alert_signals WHERE kind = 'suspicious_redemptions'")
    assert (told.subject_id, told.client_id) == (seeded.campaign_id, seeded.client_id)
    assert told.detail == {"codes": 60, "of_one_program": 1, "within_minutes": 60}


@pytest.mark.parametrize("agent", [COLLECTOR, ""])
def test_s4_111_one_program_that_redeems_many_codes_is_told_of_and_not_stopped(
    house: House, seeded: Seeded, agent: str
):
    """A class has equal phones; saying nothing of the program is a program too."""
    app = create_app(house)
    redeemed(app, seeded, CODES[0], agent=agent)
    has_redeemed(house, seeded, CODES_OF_AGENT_TOLD - 2)
    untold = rows(house, "SELECT 1 FROM alert_signals WHERE kind = 'suspicious_redemptions'")

    answers = [redeemed(app, seeded, code, agent=agent).status_code for code in CODES[1:3]]

    assert (untold, answers) == ([], [200, 200])
    told = rows(house, "SELECT * FROM alert_signals WHERE kind = 'suspicious_redemptions'")
    assert max(one.detail["of_one_program"] for one in told) >= CODES_OF_AGENT_TOLD


def test_s4_111_collectors_are_counted_by_an_index_of_redemptions(house: House, seeded: Seeded):
    values = {
        "now": "2026-01-01",
        "network": "198.51.100.0/24",
        "agent": "",
        "client": seeded.client_id,
        "campaign": str(seeded.campaign_id),
        "most": CODES_OF_NETWORK_MAX,
    }
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.execute(text(f"EXPLAIN {_LATELY.text}"), values).scalars().all()

    assert "ix_audit_entries_redeemed" in "\n".join(plan)


def test_s4_111_where_a_code_was_redeemed_is_shown_to_administrators_and_no_whole_address(
    house: House, seeded: Seeded
):
    app = create_app(house)
    redeemed(app, seeded, CODES[0])
    redeemed(app, seeded, CODES[1], agent=PHONE)
    admin = signed_in(app, house, Role.PLATFORM_ADMIN)

    told = admin.get("/audit?action=code.redeemed").json["data"]

    agents = [entry["detail"]["agent"] for entry in told]
    assert len(set(agents)) == 2
    assert {entry["address"] for entry in told} == {"198.51.100.0/24"}
    assert not any(word in str(told) for word in (HERE, COLLECTOR, PHONE, CODES[0]))
