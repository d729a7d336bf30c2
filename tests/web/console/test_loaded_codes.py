"""Codes that bring a card: loaded whole, refused if they can be guessed, withdrawn (S4-092, EC-065)."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.provisioning.code_counts import CodeCounts, codes_by_value, count_codes
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.test_redeem_page import CODE, OTHER, load, typed
from web.app import create_app


@pytest.fixture
def manager(app: Flask, house: House, seeded: Seeded) -> Caller:
    """Codes of $25.00 are loaded for the campaign."""
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    assert load(manager, seeded, f"redemption_code\n{CODE}\n{OTHER}\n").status_code == 201
    return manager


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Two cards in stock and no vendor."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    return seeded


@pytest.fixture
def app(house: House) -> Flask:
    """Nobody works in this process while a request waits."""
    return create_app(replace(house, limits=replace(house.limits, redeem_wait_seconds=0.0)))


def test_codes_are_loaded_whole_known_ones_are_told_and_none_is_kept_as_text(
    house: House, seeded: Seeded, manager: Caller
):
    typed_again = load(
        manager, seeded, f"redemption_code\n{CODE.lower()}\nNEWC-7K2M-9QXA\nnewc-7k2m-9qxa\n"
    )
    before = table_sizes(house)
    wrong = load(manager, seeded, "redemption_code\nNEWC-7K2M-9QXB\nA-1\nsp ace-123456\n\n")
    nowhere = load(manager, seeded, "redemption_code\nNEWC-7K2M-9QXC\n", brand_id=str(new_id()))
    counted = manager.get(f"/campaigns/{seeded.campaign_id}/redemption-codes")

    assert typed_again.json == {
        "loaded": 1,
        "duplicate_count": 2,
        "left_withdrawn": 0,
        "duplicates": [
            {"row": 1, "code": "already_loaded"},
            {"row": 3, "code": "duplicate_in_file"},
        ],
    }
    assert wrong.status_code == 422
    assert [(one["row"], one["code"]) for one in wrong.json["errors"]] == [
        (2, "code_length"),
        (3, "code_charset"),
    ]
    assert (nowhere.status_code, table_sizes(house)) == (422, before)
    assert counted.json == {
        "loaded": 3,
        "redeemed": 0,
        "withdrawn": 0,
        "open": 3,
        "at_least": False,
    }
    dump = " ".join(str(row) for row in rows(house, "SELECT * FROM loaded_codes"))
    assert CODE not in dump
    (entry,) = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'codes.loaded' ORDER BY at LIMIT 1"
    )
    assert entry.detail["loaded"] == 2


def test_ec065_no_more_than_a_bound_of_the_codes_of_a_value_are_looked_at_to_tell_of_them(
    house: House, seeded: Seeded, manager: Caller
):
    """EC-065: two are of $25.00, one of $30.00; a withdrawal counts every one."""
    load(manager, seeded, "redemption_code\nNEWC-7K2M-9QXA\n", denomination_minor=3000)
    counted = {}
    for bound in (2, 3):
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            found = codes_by_value(session, seeded.campaign_id, at_most=bound)
        counted[bound] = [(one.denomination_minor, one.counts) for one in found]
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        all_of_them = codes_by_value(session, seeded.campaign_id, at_most=None)
        total = count_codes(session, seeded.campaign_id)

    assert counted == {
        2: [(2500, CodeCounts(2, 0, 0, at_least=True)), (3000, CodeCounts(1, 0, 0))],
        3: [(2500, CodeCounts(2, 0, 0)), (3000, CodeCounts(1, 0, 0))],
    }
    assert [one.counts for one in all_of_them] == [CodeCounts(2, 0, 0), CodeCounts(1, 0, 0)]
    assert total == CodeCounts(3, 0, 0)


def test_codes_that_are_found_by_trying_are_refused(house: House, seeded: Seeded, manager: Caller):
    before = table_sizes(house)
    counted_up = "".join(f"CODE-2026-{number:08d}\n" for number in range(30))
    binary = "ABAB-BABA-ABBA\nBABA-ABAB-BAAB\n"

    refused = [load(manager, seeded, f"redemption_code\n{file}") for file in (counted_up, binary)]
    short = load(manager, seeded, "redemption_code\nABC-123-XYZ\n")

    assert {(one.status_code, one.json["code"]) for one in refused} == {
        (422, "pattern_space_too_small")
    }
    assert "at random" in refused[0].json["detail"]
    assert short.json["errors"][0]["code"] == "code_length"
    assert table_sizes(house) == before


def test_a_known_code_of_another_value_refuses_the_file(
    house: House, seeded: Seeded, manager: Caller
):
    before = table_sizes(house)

    refused = load(
        manager, seeded, f"redemption_code\nNEWC-7K2M-9QXA\n{CODE}\n", denomination_minor="5000"
    )

    assert refused.status_code == 422
    assert [(one["row"], one["code"]) for one in refused.json["errors"]] == [(2, "code_differs")]
    assert table_sizes(house) == before


def test_open_codes_are_withdrawn_once_per_key_and_loaded_again_with_the_right_value(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    path = f"/campaigns/{seeded.campaign_id}/redemption-codes"
    used = typed(browser, seeded).status_code
    body = {"reason": "Printed with a wrong value", "denomination_minor": 2500}

    nameless = manager.post(f"{path}/withdraw", body)
    others = manager.post(f"{path}/withdraw", body | {"denomination_minor": 1}, Idempotency_Key="a")
    first = manager.post(f"{path}/withdraw", body, Idempotency_Key="k")
    gone, kept = typed(browser, seeded, OTHER), typed(browser, seeded)
    file = f"redemption_code\n{OTHER}\n"
    left = load(manager, seeded, file, denomination_minor="1000")
    still_gone = typed(browser, seeded, OTHER)
    again = load(manager, seeded, file, denomination_minor="1000", reopen_withdrawn="true")
    repeat = manager.post(f"{path}/withdraw", body, Idempotency_Key="k")
    good = typed(browser, seeded, OTHER)

    assert (used, nameless.status_code) == (303, 400)
    assert others.json == {"loaded": 2, "redeemed": 1, "withdrawn": 0, "open": 1, "at_least": False}
    assert first.json == {"loaded": 2, "redeemed": 1, "withdrawn": 1, "open": 0, "at_least": False}
    assert (gone.status_code, kept.status_code, still_gone.status_code) == (404, 303, 404)
    assert left.json == {
        "loaded": 0,
        "duplicate_count": 1,
        "left_withdrawn": 1,
        "duplicates": [{"row": 1, "code": "already_withdrawn"}],
    }
    assert (again.status_code, again.json["loaded"]) == (201, 1)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert (repeat.json["withdrawn"], good.status_code) == (0, 303)
    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'codes.withdrawn'")
    assert [one.detail["withdrawn"] for one in told] == [0, 1]
    assert told[1].detail["reason"] == body["reason"]


def test_ec065_the_codes_of_a_file_are_withdrawn_over_http(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    path = f"/api/v1/campaigns/{seeded.campaign_id}/redemption-codes/withdraw-listed"

    def withdraw(file: str, **asked: str):
        return manager.client.post(
            path, query_string=asked, data=file, content_type="text/csv", headers=manager.headers
        )

    before = table_sizes(house)
    silent = withdraw(f"redemption_code\n{OTHER}\n")
    wrong = withdraw(f"redemption_code\n{OTHER}\nA-1\n", reason="Leaked")
    sizes = table_sizes(house)
    done = withdraw(f"redemption_code\nNOTO-7K2M-OURS\n{OTHER}\n", reason="Leaked")

    assert (silent.status_code, wrong.status_code, sizes) == (422, 422, before)
    assert [(one["row"], one["code"]) for one in wrong.json["errors"]] == [(2, "code_length")]
    assert done.json == {
        "withdrawn": 1,
        "unchanged_count": 1,
        "unchanged": [{"row": 1, "code": "unknown_code"}],
    }
    assert (typed(browser, seeded, OTHER).status_code, typed(browser, seeded).status_code) == (
        404,
        303,
    )
