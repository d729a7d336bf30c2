"""Every column that holds sealed values: what rotation walks, and what no other column may do.

A new one: name it `<what>_sealed`, list it here, and let its migration make the two triggers of
`0010_key_versions.sql` on its table. A test compares this list with the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.sealing import Purpose


@dataclass(frozen=True, slots=True)
class SealedTable:
    """The sealed columns of one table, each with the purposes it may be sealed for.

    Every value is bound to its row by `row_id`, which is also the order of the walk.
    `rows_at_once` bounds what one chunk holds in memory and in locks.
    """

    name: str
    columns: Mapping[str, tuple[Purpose, ...]]
    rows_at_once: int
    row_id: str = "id"


SEALED: tuple[SealedTable, ...] = (
    SealedTable(
        "cards",
        {
            "sealed_number": (Purpose.CODES,),
            "sealed_pin": (Purpose.PINS,),
            "sealed_url": (Purpose.CODES,),
        },
        rows_at_once=1_000,
    ),
    SealedTable(
        "authenticators",
        {"secret_sealed": (Purpose.SECRETS,), "pending_sealed": (Purpose.SECRETS,)},
        rows_at_once=1_000,
        row_id="user_id",
    ),
    # Codes of books that seal them; the id is their coupon's.
    SealedTable("coupon_codes", {"code_sealed": (Purpose.CODES,)}, rows_at_once=1_000),
    SealedTable("vendor_tokens", {"token_sealed": (Purpose.SECRETS,)}, rows_at_once=1_000),
    # Keys of partners; one that has ended has no text.
    SealedTable("partner_secrets", {"secret_sealed": (Purpose.SECRETS,)}, rows_at_once=1_000),
    # What waits: a mail for a day at most, a registration for a day, an invitation for a week.
    SealedTable("outgoing_mails", {"sealed_letter": (Purpose.SECRETS,)}, rows_at_once=1_000),
    SealedTable("registrations", {"sealed_person": (Purpose.PII,)}, rows_at_once=1_000),
    SealedTable("invitations", {"sealed_guest": (Purpose.PII,)}, rows_at_once=1_000),
    SealedTable("erasures", {"sealed_email": (Purpose.PII,)}, rows_at_once=1_000),
    # Addresses that were corrected after the card was issued.
    SealedTable("deliveries", {"sealed_address": (Purpose.PII,)}, rows_at_once=1_000),
    # Files of cards, or of recipients: parts of a megabyte, gone when their job has read them.
    SealedTable("job_inputs", {"content": (Purpose.CODES, Purpose.PII)}, rows_at_once=4),
)
BY_NAME: Mapping[str, SealedTable] = {table.name: table for table in SEALED}


def is_sealed_under(column: str, comparison: str) -> str:
    """SQL that looks at the version alone: of a long value only its first byte is fetched."""
    version = f"get_byte(nullif(substr({column}, 1, 1), ''::bytea), 0)"
    return f"coalesce({version} {comparison}, false)"
