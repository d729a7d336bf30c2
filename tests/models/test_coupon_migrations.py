"""What was done to coupons, and their codes, come through the migrations that move them."""

import psycopg
import pytest

from models.schema import migrate
from ops.bootstrap import database_url
from tests.conftest import Ground

_BOOK = """
INSERT INTO agencies (id, agency_id, name)
    SELECT n, n, 'Agency' FROM CAST('00000000-0000-0000-0000-00000000000a' AS uuid) n;
INSERT INTO clients (id, client_id, agency_id, name) VALUES ('00000000-0000-0000-0000-00000000000c',
    '00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-00000000000a', 'Client');
INSERT INTO books (id, agency_id, client_id, name, created_by)
    SELECT '00000000-0000-0000-0000-00000000000b', agency_id, id, 'Book', id FROM clients;
"""
_MOVED = """
INSERT INTO coupon_events (coupon_id, number, book_id, agency_id, client_id, move, at)
    SELECT gen_random_uuid(), 1, b.id, b.agency_id, b.client_id, e.move, CAST(e.at AS timestamptz)
    FROM books b CROSS JOIN (VALUES ('assigned', '2026-03-01T23:30:00-02:00'),
        ('assigned', '2026-03-01T23:59:59Z'), ('locked', '2026-03-02T10:00:00Z'),
        ('redeemed', '2026-03-02T12:00:00Z'), ('redeemed', '2026-03-02T13:00:00Z'),
        ('released', '2026-03-02T14:00:00Z'), ('voided', '2026-03-03T00:00:00Z')) e (move, at);
"""
_CODES = """
INSERT INTO coupons (book_id, id, agency_id, client_id, code, blind_index, draw_key, load_job_id)
    SELECT b.id, uuidv7(), agency_id, client_id, 'CODE-' || n, sha256(('CODE-' || n)::bytea), n, b.id
    FROM books b, generate_series(1, 3) n;
"""


def _admin(ground: Ground, owner_url: str) -> psycopg.Connection:
    """The superuser, who sees every row of the database that the owner migrates."""
    name = owner_url.rpartition("/")[2].partition("?")[0]
    return psycopg.connect(database_url(ground.servers.admin_url, name), autocommit=True)


def test_s1_118_s3_150_what_was_done_to_coupons_before_is_counted_by_its_day(
    ground: Ground, empty: str
) -> None:
    """0062, as the owner: by days in UTC; what is done afterwards is counted beside it, once."""
    migrate(empty, revision="0061")
    usage = "SELECT day::text, assigned, released, redeemed, voided FROM coupon_usage ORDER BY day"
    with _admin(ground, empty) as admin:
        admin.execute(_BOOK)
        admin.execute(_MOVED)

        migrate(empty, revision="0062")

        before = admin.execute(usage).fetchall()
        admin.execute(
            "INSERT INTO coupon_events (coupon_id, number, book_id, agency_id, client_id, move, at) "
            "SELECT coupon_id, 2, book_id, agency_id, client_id, move, at FROM coupon_events"
        )
        after = admin.execute(usage).fetchall()
        forced = "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'coupon_events'"
        assert admin.execute(forced).fetchall() == [(True,)]

    days = [("2026-03-01", 1, 0, 0, 0), ("2026-03-02", 1, 1, 2, 0), ("2026-03-03", 0, 0, 0, 1)]
    assert before == days
    assert after == sorted(days * 2)


def test_ec024_ec101_codes_that_were_there_before_are_found_by_their_index(
    ground: Ground, empty: str
) -> None:
    """0065, as the owner, from whom policies hide every row: none is left out, none comes twice."""
    migrate(empty, revision="0064")
    with _admin(ground, empty) as admin:
        admin.execute(_BOOK)
        admin.execute(_CODES)

        migrate(empty, revision="0065")

        found = admin.execute(
            "SELECT c.code, x.blind_index = sha256(c.code::bytea), x.client_id = c.client_id "
            "FROM code_index x JOIN coupons c ON (c.book_id, c.id) = (x.book_id, x.coupon_id) "
            "ORDER BY 1"
        ).fetchall()
        forced = "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relname = ANY(%s)"
        assert len(admin.execute(forced, (["coupons", "code_index"],)).fetchall()) == 2
        with pytest.raises(psycopg.errors.UniqueViolation):
            admin.execute(
                "INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id) "
                "SELECT blind_index, book_id, gen_random_uuid(), agency_id, client_id FROM code_index"
            )

    assert found == [(f"CODE-{n}", True, True) for n in (1, 2, 3)]
