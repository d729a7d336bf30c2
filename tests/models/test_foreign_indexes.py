"""Foreign keys lead an index, so that what hangs under a row is found without reading a table."""

from sqlalchemy import Table, UniqueConstraint

from models.tables import metadata

#: (table, column that hangs) -> why no index of it is needed.
UNINDEXED = {
    ("accounts", "parent_id"): "There are as many accounts as tenants and campaigns.",
    ("alert_signals", "agency_id"): "Signals are folded and gone within seconds.",
    ("card_batches", "agency_id"): "Batches are read by their pool.",
    ("claims", "book_id"): "Books are never removed, and claims are read by partner and coupon.",
    ("claims", "offer_id"): "Offers are ended and never removed; claims are read by partner.",
    ("client_brands", "brand_id"): "Brands are never removed, and asked for by client.",
    ("invitations", "user_id"): "People are never removed, and invitations are read by tenant.",
    ("loaded_codes", "brand_id"): "Brands are never removed, and codes are read by campaign.",
    ("outgoing_mails", "user_id"): "People are never removed, and mails are read by their task.",
    ("partner_offers", "book_id"): "Books are never removed, and offers are read by partner.",
    ("prices", "agency_id"): "Prices are read by brand.",
    ("upload_drafts", "user_id"): "Drafts live for hours.",
    ("webhook_facts", "agency_id"): "Facts are published and gone within seconds.",
}


def leading(table: Table) -> set[str]:
    """Columns that come first in an index of the table."""
    unique = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys = [list(table.primary_key.columns), *(list(c.columns) for c in unique)]
    keys += [list(index.columns) for index in table.indexes]
    return {columns[0].name for columns in keys if columns}


def test_s1_034_every_foreign_key_leads_an_index_or_says_why_not() -> None:
    """S1-034, S3-085"""
    unindexed = set()
    for table in metadata().sorted_tables:
        for key in table.foreign_key_constraints:
            columns = [column.name for column in key.columns]
            if not leading(table) & set(columns):
                unindexed.add((table.name, columns[0]))

    assert unindexed == set(UNINDEXED)
