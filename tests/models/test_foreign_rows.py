"""No statement in a tenant's scope changes another tenant's rows, nor speaks for them (SEC-12)."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from models.database import scoped_transaction
from models.scope import agency, client
from pipelines.wiring import House
from tests.driving import rows
from tests.models.test_row_policies import TENANT
from tests.models.two_tenants import Two


@pytest.mark.parametrize("table", TENANT)
def test_a_statement_without_where_changes_nothing_of_another_tenant(
    two: Two, house: House, table: str
) -> None:
    """Forgotten WHERE, per table: what the other has is the same afterwards, or we were refused."""
    look = f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) AS d FROM {table} t WHERE client_id = :id"
    before = rows(house, look, id=two.other.client_id)
    for statement in (f"UPDATE {table} SET client_id = client_id", f"DELETE FROM {table}"):
        try:
            with scoped_transaction(house.sessions, client(two.one.client_id)) as session:
                session.execute(text(statement))
                session.rollback()
        except (IntegrityError, ProgrammingError):
            pass

    assert rows(house, look, id=two.other.client_id) == before


_FACT = """INSERT INTO webhook_facts (event_id, type, object_kind, object_id, agency_id, client_id, data)
    VALUES (gen_random_uuid(), 'job.finished', 'job', gen_random_uuid(), :agency, :client, '{}')"""
_SIGNAL = """INSERT INTO alert_signals (id, kind, severity, agency_id, client_id, detail)
    VALUES (gen_random_uuid(), 'low_credit', 'critical', :agency, :client, '{}')"""


@pytest.mark.parametrize("who", ["client", "agency"])
def test_a_fact_of_another_tenant_is_refused_for_it_would_be_signed_and_sent(
    two: Two, house: House, who: str
) -> None:
    """Also one of the platform, and one of another's client under the own agency."""
    one, other = two.one, two.other
    scope = agency(one.agency_id) if who == "agency" else client(one.client_id)
    foreign = ((other.agency_id, other.client_id), (other.agency_id, None), (None, None))
    for its_agency, its_client in foreign:
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            scoped_transaction(house.sessions, scope) as session,
        ):
            session.execute(text(_FACT), {"agency": its_agency, "client": its_client})
    with (
        pytest.raises((IntegrityError, ProgrammingError)),
        scoped_transaction(house.sessions, scope) as session,
    ):
        values = {"agency": one.agency_id, "client": other.client_id}
        session.execute(text(_FACT), values)
    with scoped_transaction(house.sessions, scope) as session:
        session.execute(text(_FACT), {"agency": one.agency_id, "client": one.client_id})

    written = rows(house, "SELECT agency_id, client_id FROM webhook_facts WHERE data = '{}'")
    assert {(row.agency_id, row.client_id) for row in written} == {(one.agency_id, one.client_id)}


@pytest.mark.parametrize("who", ["client", "agency"])
def test_trouble_of_another_tenant_cannot_be_noted_for_it_would_be_shown_and_mailed(
    two: Two, house: House, who: str
) -> None:
    """What a tenant's work finds wrong is that tenant's, or the platform's, which has no tenant."""
    one, other = two.one, two.other
    scope = agency(one.agency_id) if who == "agency" else client(one.client_id)
    foreign = [(other.agency_id, other.client_id), (other.agency_id, None)]
    foreign += [(one.agency_id, None)] if who == "client" else [(one.agency_id, other.client_id)]
    foreign += [(other.agency_id, one.client_id), (None, other.client_id)]
    for its_agency, its_client in foreign:
        with (
            pytest.raises((IntegrityError, ProgrammingError)),
            scoped_transaction(house.sessions, scope) as session,
        ):
            session.execute(text(_SIGNAL), {"agency": its_agency, "client": its_client})
    with scoped_transaction(house.sessions, scope) as session:
        session.execute(text(_SIGNAL), {"agency": one.agency_id, "client": one.client_id})
        session.execute(text(_SIGNAL), {"agency": None, "client": None})
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        scoped_transaction(house.sessions, scope) as session,
    ):
        session.execute(text("SELECT FROM alert_signals"))

    written = rows(house, "SELECT agency_id, client_id FROM alert_signals WHERE detail = '{}'")
    assert {(row.agency_id, row.client_id) for row in written} == {
        (one.agency_id, one.client_id),
        (None, None),
    }
