"""The audit page: in words, filtered by its address, scoped to its reader (console.md 13)."""

import ast
from pathlib import Path

import pytest
from flask import Flask

import pipelines
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.tenants.campaigns import change_campaign
from pipelines.wiring import House
from tests.auditing import as_superuser, seal_all, witness
from tests.conftest import Database
from tests.driving import recipients_csv, rows, submit
from tests.seeding import ACTOR, Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of
from web.console.audit_words import ACTIONS, action_words, fact_words


def rename(house: House, seeded: Seeded, name: str) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        change_campaign(
            session,
            seeded.campaign_id,
            {"name": name},
            version=None,
            actor_id=ACTOR,
            limits=house.limits,
        )


def test_an_entry_is_told_in_words_with_before_and_after(
    house: House, bob: Visitor, seeded: Seeded
):
    rename(house, seeded, "Autumn")

    page = bob.get("/console/audit").text

    assert "Campaign changed" in page
    assert "name: Campaign → Autumn" in page
    assert "somebody not known any more" in page
    assert "Nothing is sealed yet" in page


def test_the_page_says_how_far_the_chain_is_sealed_and_witnessed(
    house: House, bob: Visitor, seeded: Seeded
):
    rename(house, seeded, "Autumn")
    seal_all(house)
    sealed = bob.get("/console/audit").text
    witness(house)
    witnessed = bob.get("/console/audit").text

    (head,) = rows(
        house, "SELECT sequence FROM audit_heads WHERE stream LIKE :s", s=f"%/{seeded.client_id}"
    )
    assert f"Sealed to {head.sequence}; not witnessed yet." in sealed
    assert f"witnessed to {head.sequence} on" in witnessed


def test_the_filter_is_the_address_and_goes_on_through_the_pages(
    house: House, bob: Visitor, seeded: Seeded
):
    for number in range(51):
        rename(house, seeded, f"Name {number}")

    first = bob.get("/console/audit?action=campaign.changed").text
    older = first.rpartition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = bob.get(older).text

    assert first.count("Campaign changed</") == 50 + 1
    assert "action=campaign.changed" in older
    assert "name: Campaign → Name 0" in second
    assert 'rel="next"' not in second
    assert "audit.csv?action=campaign.changed" in first


def test_an_empty_filter_and_an_end_are_told_apart(house: House, bob: Visitor, seeded: Seeded):
    rename(house, seeded, "Autumn")
    (first,) = rows(
        house,
        "SELECT id FROM audit_entries WHERE client_id = :c ORDER BY at, id LIMIT 1",
        c=seeded.client_id,
    )

    assert "No entry matches" in bob.get("/console/audit?action=brand.created").text
    assert "There is nothing older" in bob.get(f"/console/audit?before={first.id}").text


def test_a_log_without_an_entry_says_what_will_be_there(
    house: House, database: Database, bob: Visitor
):
    as_superuser(database, "DELETE FROM audit_entries")

    assert "Nothing was done yet" in bob.get("/console/audit").text


@pytest.mark.parametrize("query", ["object_id=x", "actor_id=x", "from=x", "to=x"])
def test_a_filter_that_cannot_be_read_finds_nothing(
    house: House, bob: Visitor, seeded: Seeded, query: str
):
    rename(house, seeded, "Autumn")

    answer = bob.get(f"/console/audit?{query}")

    assert answer.status_code == 200
    assert "No entry matches" in answer.text


def test_the_reader_sees_their_own_tenant_only(
    app: Flask, house: House, bob: Visitor, seeded: Seeded
):
    other = seed(house, vendor=False)
    rename(house, other, "Secret plan")

    assert "Secret plan" not in bob.get("/console/audit").text
    assert "Secret plan" not in bob.get("/console/audit.csv").text
    assert "Secret plan" not in bob.get(f"/console/audit?object_id={other.campaign_id}").text


def test_who_may_not_read_it_does_not_find_it(app: Flask, house: House, seeded: Seeded):
    manager = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    assert manager.get("/console/audit").status_code == 403
    assert "/console/audit" not in manager.get("/console/").text


def test_the_job_page_leads_to_its_history(house: House, bob: Visitor, seeded: Seeded):
    job_id = submit(house, seeded, recipients_csv(1))

    page = bob.get(f"/console/jobs/{job_id}").text

    assert f"/console/audit?object_id={job_id}" in page
    assert "Job submitted" in bob.get(f"/console/audit?object_id={job_id}").text


#: `record`, and the helpers that slices have around it.
RECORDERS = {"record", "record_work", "audit_own", "_record", "_audit", "audit_move"}
RECORDERS |= {"audit_campaign"}


def action_of(call: ast.Call) -> list[ast.expr]:
    """What a call records: beside the session, or as its `action`."""
    beside = call.args[1:2] if getattr(call.func, "id", "") in RECORDERS else []
    return beside + [word.value for word in call.keywords if word.arg == "action"]


def test_every_action_that_is_recorded_has_words():
    found = {
        value.value
        for path in Path(pipelines.__path__[0]).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for given in action_of(call)
        for value in ast.walk(given)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }

    assert {"card.revealed", "campaign.changed", "sign_in.failed", "job.paused"} <= found
    assert {"codes.generated", "codes.imported"} <= found
    assert found - set(ACTIONS) == set()


def test_an_action_without_words_is_shown_by_its_name():
    assert action_words("vault.opened_twice") == "Vault opened twice"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["USD", "EUR"], "of: USD → EUR"),
        ([None, True], "of: – → yes"),
        ([1000, 2000], "of: 1,000 → 2,000"),
        ("text", "of: text"),
        ("", "of: –"),
    ],
)
def test_facts_in_words(value: object, words: str):
    assert fact_words("of", value) == words
