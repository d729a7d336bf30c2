"""`largesse discounts`: what the API does, from a terminal (S1-132)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.discounting import asked
from tests.driving import drain
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.shells import Shell, a_shell


@pytest.fixture
def shell(app: Flask, manager: Caller) -> Iterator[Shell]:
    with a_shell(app, manager) as made:
        yield made


def test_s1_132_a_code_is_made_looked_at_paused_and_put_away(
    shell: Shell, app: Flask, house: House, seeded: Seeded
) -> None:
    made = shell.run("discounts", "create", "save10", "--percent", "12.5", "--max-uses", "3")
    identity = made.output.strip()
    storefront = key_caller(app, house, seeded.client_id)
    assert storefront.post("/discounts/apply", asked("SAVE10")).status_code == 201

    shown = shell.run("discounts", "show", identity).output.splitlines()
    listed = shell.run("discounts", "list", "--standing", "active").output
    moves = [
        shell.run("discounts", move, identity).output for move in ("pause", "resume", "archive")
    ]

    assert made.exit_code == 0
    assert shown[0] == "SAVE10 takes off 12.5 %, and is active."
    assert shown[1] == "Used 1 of 3, 1 of them not paid yet."
    assert [line.split()[1:6] for line in listed.splitlines()[1:]] == [
        ["SAVE10", "12.5", "%", "1", "of"]
    ]
    assert moves == ["SAVE10 is paused.\n", "SAVE10 is active.\n", "SAVE10 is draining.\n"]
    assert shell.run("discounts", "list", "--code", "other").output == "No discount codes.\n"


def test_s1_132_a_fixed_discount_has_its_currency(shell: Shell) -> None:
    """S2-127: with a tier."""
    options = ("--amount-minor", "500", "--min-subtotal-minor", "2000", "--product", "SKU-1")
    tiers = ("--tier", "10000:2000")
    fixed = ("discounts", "create", "FIVE", *options, "--max-uses-per-customer", "0")

    refused = shell.run(*fixed)
    too_fine = shell.run("discounts", "create", "FINE", "--percent", "12.345")
    untold = shell.run(*fixed, "--currency", "USD", "--tier", "10000")
    made = shell.run(*fixed, "--currency", "USD", *tiers)
    shell.run(
        *("discounts", "create", "TEN1", "--percent", "10", "--currency", "USD"), "--tier", "5:12.5"
    )

    assert (untold.exit_code, "10000:1500" in untold.output) == (2, True)
    assert "10 % (12.5 % from $0.05)" in shell.run("discounts", "list", "--code", "TEN1").output
    assert (too_fine.exit_code, "two decimals" in too_fine.output) == (2, True)
    assert refused.exit_code != 0
    assert "currency" in refused.output
    told = json.loads(shell.run("discounts", "show", made.output.strip(), "--json").output)
    assert (told["amount_minor"], told["max_uses_per_customer"]) == (500, None)
    words = shell.run("discounts", "show", made.output.strip()).output
    assert "FIVE takes off $5.00 ($20.00 from $100.00)" in words
    assert "From $20.00 on." in words
    assert "For SKU-1 alone." in words


def test_s2_131_codes_are_generated_and_moved_as_a_batch(shell: Shell, house: House) -> None:
    rules = ("--percent", "10", "--max-uses", "1", "--product", "SKU-1")
    options = ("--first-order-only", "--restore-on-refund", "slot", "--on-late", "refund")
    made = shell.run(
        "discounts",
        "generate",
        "--prefix",
        "SUN",
        "--count",
        "3",
        "--no-wait",
        *rules,
        *options,
        "--no-watch-leaks",
    )
    identity = made.output.strip()
    drain(house)

    listed = shell.run("discounts", "list", "--batch", identity, "--json")
    shown = [shell.run("discounts", "batch", identity, *move).output for move in ((), ("pause",))]
    shown.append(shell.run("discounts", "batch", identity, "archive").output)
    small = shell.run("discounts", "generate", "--length", "4", "--count", "9000", *rules)

    codes = json.loads(listed.output)["data"]
    assert [(len(code["code"]), code["code"][:4]) for code in codes] == [(17, "SUN-")] * 3
    assert (codes[0]["max_uses"], codes[0]["products"]) == (1, ["SKU-1"])
    assert [codes[0][name] for name in ("first_order_only", "restore_on_refund", "on_late")] == [
        *(True, "slot", "refund")
    ]
    assert codes[0]["watch_leaks"] is False
    one = shell.run("discounts", "create", "FIRST", "--percent", "10", *options)
    words = shell.run("discounts", "show", one.output.strip()).output.splitlines()
    assert "For a customer's first purchase alone." in words
    assert words[-3:] == ["restore_on_refund: slot", "on_late: refund", "watch_leaks: True"]
    assert shown == [
        f"The batch is {state}: 3 codes, 0 uses.\n" for state in ("active", "paused", "archived")
    ]
    assert small.exit_code != 0
    assert "pattern" in small.output


def test_s2_131_a_file_of_codes_is_imported(shell: Shell, house: House, tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("code,kind,percent_bp\nsave10,percent,1000\nsave20,half,2000\n")

    made = shell.run("discounts", "import", str(file), "--on-error", "skip", "--no-wait")
    drain(house)

    listed = shell.run("discounts", "list", "--batch", made.output.strip(), "--json")
    assert [code["code"] for code in json.loads(listed.output)["data"]] == ["SAVE10"]
