"""What a check of a balance sheet foretells is what opening it makes (S4-016)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from models import clock
from models.balance_sheets import BalanceSheet
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.openings.check import check_sheet
from pipelines.openings.open_sheet import apply_sheet, sheet_row
from tests.web.test_balance_sheets import HEADER, Start, start

__all__ = ["start"]


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


PLACES = (",,", "Acme,,", "Acme,Contoso,", 'Acme,Contoso,"Spring, own"', "Acme,Fabrikam,")


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(st.tuples(st.sampled_from(PLACES), st.sampled_from(["CHF", "EUR", "USD"])), min_size=1)
)
def test_s4_016_a_check_foretells_the_accounts_that_are_made(
    start: Start, lines: set[tuple[str, str]]
) -> None:
    """One row of a new currency opens it for every tenant; each example is rolled back."""
    sheet = HEADER + "".join(f"{place},{currency},1,\n" for place, currency in sorted(lines))
    limits, sheet_id = start.house.limits, new_id()
    kept = {"id": sheet_id, "sha256": b"s", "file": sheet.encode(), "reason": "r", "report": {}}
    with (
        pytest.raises(Undone),
        scoped_transaction(start.house.sessions, PLATFORM) as session,
    ):
        foretold = check_sheet(session, sheet.encode(), limits).missing_accounts
        session.execute(insert(BalanceSheet).values(**kept, asked_by=sheet_id))
        now = clock.now(session)
        apply_sheet(session, sheet_id, actor_id=sheet_id, limits=limits, now=now)
        assert sheet_row(session, sheet_id).report["made"]["accounts"] == foretold
        raise Undone
