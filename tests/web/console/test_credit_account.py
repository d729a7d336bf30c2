"""The page of a credit account: its numbers, its course, its movements, its file (console.md 3)."""

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit
from tests.seeding import seed
from tests.web.console.conftest import visitor_of


def test_s4_048_an_account_shows_its_balance_its_parts_and_every_movement(
    app: Flask, house: House
) -> None:
    seeded = seed(house, credit_minor=10_000, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    submit(house, seeded, recipients_csv(1))
    drain(house)
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    path = f"/console/credit/{seeded.client_account}"

    tree, shown, file = (visitor.get(p) for p in ("/console/credit", path, f"{path}/statement.csv"))

    assert f'href="{path}"' in tree.text
    for words in ("$75.00", "Account above", "Cards issued", "Where the credit is as a table"):
        assert words in shown.text
    assert "style=" not in shown.text
    # S4-052: 25.00 within a week, and 75.00 are left.
    for words in ("In 21 days", "about $3.58 a day", "Available in the next 30 days as a table"):
        assert words in shown.text
    assert file.mimetype == "text/csv"
    assert "closing balance" in file.text
    assert visitor.get(f"/console/credit/{seeded.agency_account}").status_code == 404
