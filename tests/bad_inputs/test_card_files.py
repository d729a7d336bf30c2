"""Every bad file of cards gets the answer of the table, and no card of it is kept (B01-B62)."""

import secrets
from pathlib import Path

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.bad_inputs.cards import AT_ONCE, HEADER, ROWS, WITHIN
from tests.bad_inputs.sending import assert_refused, leaves_nothing, send_cards
from tests.bad_inputs.table import Bad, each
from tests.canary import MARK
from tests.driving import drain, rows, view
from tests.intake import items_of, table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

#: What a refused import leaves: the job that says so, what was asked and by whom, and that a key
#: was used to seal.
PLUMBING = {
    "jobs",
    "chunks",
    "card_batches",
    "items",
    "audit_entries",
    "idempotency_keys",
    "key_versions",
    "webhook_facts",
}


@each(*AT_ONCE)
def test_a_bad_start_is_refused_and_leaves_nothing(
    admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    content = bad.content

    answer = leaves_nothing(house, temporary, lambda: send_cards(admin, seeded, content))

    assert_refused(answer, bad)


def imported(house: House, admin: Caller, seeded: Seeded, content: bytes, query: str = "") -> str:
    """Send a file and work it in; the job's id, after which only plumbing has rows."""
    before = table_sizes(house)
    answer = send_cards(admin, seeded, content, query)
    assert answer.status_code == 202
    drain(house)
    after = table_sizes(house)
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= PLUMBING | ({"cards"} if "skip" in query else set())
    return answer.json["id"]


@each(*WITHIN)
def test_a_file_that_breaks_further_in_fails_its_job(
    admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    job = view(house, imported(house, admin, seeded, bad.content))

    assert (job["state"], job["error"]["code"]) == ("failed", bad.code)


@each(*ROWS)
def test_one_bad_row_keeps_every_card_out(
    admin: Caller, seeded: Seeded, house: House, temporary: Path, bad: Bad
) -> None:
    job_id = imported(house, admin, seeded, bad.content)

    job = view(house, job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "rows_refused")
    assert items_of(house, job_id, "position", "code") == [(2, bad.row)]


def test_b36_a_card_may_have_cost_nothing(
    admin: Caller, seeded: Seeded, house: House, temporary: Path
) -> None:
    content = f"{HEADER}{MARK}{secrets.token_hex(4)},,,0\n".encode()

    assert view(house, imported(house, admin, seeded, content, "?on_error=skip"))["state"] == (
        "succeeded"
    )


def test_b52_a_card_of_any_pool_is_known_and_its_owner_is_not_named(
    admin: Caller, client_admin: Caller, seeded: Seeded, house: House, temporary: Path
) -> None:
    """A client's own pool of the same brand learns that the card is known, and nothing else."""
    number = f"{MARK}{secrets.token_hex(4)}"
    imported(house, admin, seeded, f"card_number\n{number}\n".encode(), "?on_error=skip")
    body = {"denomination_minor": 2500, "currency": "USD", "kind": "csv"}
    pool = client_admin.post("/gift-card-pools", body | {"brand_id": str(seeded.brand_id)}).json[
        "id"
    ]
    answer = client_admin.client.post(
        f"/api/v1/gift-card-pools/{pool}/cards",
        data=f"card_number\n{number.lower()}\n",
        content_type="text/csv",
        headers=client_admin.headers | {"Idempotency-Key": "k"},
    )
    drain(house)

    found = items_of(house, answer.json["id"], "code", "detail")
    assert found == [("duplicate_card", "This card is known already.")]


def test_b53_the_same_cards_in_another_order_are_all_known(
    admin: Caller, seeded: Seeded, house: House, temporary: Path
) -> None:
    numbers = [f"{MARK}{secrets.token_hex(4)}" for _ in range(3)]
    content = ("card_number\n" + "\n".join(numbers) + "\n").encode()
    imported(house, admin, seeded, content, "?on_error=skip")

    same = send_cards(admin, seeded, content)
    turned = ("card_number\n" + "\n".join(reversed(numbers)) + "\n").encode()
    job_id = imported(house, admin, seeded, turned)

    assert (same.status_code, same.json["code"]) == (409, "duplicate_upload")
    assert [code for (code,) in items_of(house, job_id, "code")] == ["duplicate_card"] * 3


def test_b56_leading_zeros_belong_to_the_number(
    admin: Caller, seeded: Seeded, house: House, temporary: Path
) -> None:
    before = table_sizes(house)["cards"]
    digits = str(secrets.randbelow(10**6)).zfill(6)
    content = f"card_number\n00{digits}\n0{digits}\n{digits}\n".encode()

    imported(house, admin, seeded, content, "?on_error=skip")

    assert table_sizes(house)["cards"] == before + 3


@pytest.mark.parametrize("role", [Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER, Role.AGENCY_VIEWER])
def test_b61_who_may_not_stock_pools_sends_nothing(
    house: House, app: Flask, seeded: Seeded, temporary: Path, role: Role
) -> None:
    caller = signed_in(app, house, role, seeded)

    answer = leaves_nothing(
        house, temporary, lambda: send_cards(caller, seeded, b"card_number\nX\n")
    )

    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_b61_a_pool_of_somebody_else_is_not_there(
    house: House, seeded: Seeded, temporary: Path, client_admin: Caller
) -> None:
    other = seed(house, vendor=False)

    answer = leaves_nothing(
        house, temporary, lambda: send_cards(client_admin, other, b"card_number\nX\n")
    )

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_b62_an_import_whose_worker_dies_is_not_half_visible(
    admin: Caller, seeded: Seeded, house: House, temporary: Path
) -> None:
    """One transaction works a file in: until it commits there is no card, and it starts anew."""
    numbers = "".join(f"{MARK}{secrets.token_hex(4)}\n" for _ in range(50))
    answer = send_cards(admin, seeded, f"card_number\n{numbers}".encode())
    before = table_sizes(house)["cards"]
    rows(house, "UPDATE tasks SET attempts = 1 RETURNING id")

    drain(house)

    assert view(house, answer.json["id"])["state"] == "succeeded"
    assert table_sizes(house)["cards"] == before + 50
    assert table_sizes(house)["job_inputs"] == 0
