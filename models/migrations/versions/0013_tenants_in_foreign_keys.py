"""Foreign keys name the tenant: nothing can be hung under another's row.

Made to run beside the old code. It commits between its steps, and may be run again after a run that
was cut or refused.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TENANT = ("agency_id", "client_id")
#: What rows hang under, with keys that hold the tenant: (index, table, columns).
INDEXES = (
    ("uq_jobs_tenant", "jobs", ("id", *_TENANT)),
    ("uq_accounts_tenant", "accounts", ("id", *_TENANT)),
    ("uq_accounts_agency", "accounts", ("id", "agency_id")),
    ("uq_campaigns_tenant", "campaigns", (*_TENANT, "id")),
)
_OF_JOB = (("job_id", *_TENANT), "jobs", ("id", *_TENANT))
_OF_ACCOUNT = (("account_id", *_TENANT), "accounts", ("id", *_TENANT))
_OF_ACCOUNT_S_AGENCY = (("account_id", "agency_id"), "accounts", ("id", "agency_id"))
_IN_CAMPAIGN = ((*_TENANT, "campaign_id"), "campaigns", (*_TENANT, "id"))
_OF_AGENCY = (_TENANT, "clients", ("agency_id", "id"))
_CASCADE = " ON DELETE CASCADE"
#: (child, (its columns, parent, the parent's columns), what a deletion of the parent does).
KEYS = (
    ("chunks", _OF_JOB, _CASCADE),
    ("items", _OF_JOB, _CASCADE),
    ("job_inputs", _OF_JOB, _CASCADE),
    ("provisions", _OF_JOB, ""),
    ("provider_orders", _OF_JOB, ""),
    ("holds", _OF_ACCOUNT, ""),
    ("holds", _OF_ACCOUNT_S_AGENCY, ""),
    ("postings", _OF_ACCOUNT, ""),
    ("postings", _OF_ACCOUNT_S_AGENCY, ""),
    ("jobs", _IN_CAMPAIGN, ""),
    ("redemption_codes", _IN_CAMPAIGN, ""),
    ("accounts", _OF_AGENCY, ""),
    ("users", _OF_AGENCY, ""),
    ("api_keys", _OF_AGENCY, ""),
    ("invitations", _OF_AGENCY, ""),
    ("approvals", _OF_AGENCY, ""),
    ("erasures", _OF_AGENCY, ""),
)
#: A row of these is a client's or the platform's; an agency has none without a client.
WHOLE = ("jobs", "chunks", "items", "job_inputs")
#: A lock that somebody else holds is asked for again: seconds between, and how often.
PATIENCE_SECONDS, TRIES = 1.0, 60


def upgrade() -> None:
    """Each step locks for a moment; what reads whole tables lets everybody write meanwhile."""
    with op.get_context().autocommit_block():
        for index, table, columns in INDEXES:
            _build(index, table, columns)
        for table in WHOLE:
            name = f"ck_{table}_whole_tenant"
            condition = "(agency_id IS NULL) = (client_id IS NULL)"
            _forget(table, name)
            _change(table, f"ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        for child, (columns, parent, there), deletion in KEYS:
            name = f"fk_{child}_{'_'.join(columns)}_{parent}"
            key = f"({', '.join(columns)}) REFERENCES {parent} ({', '.join(there)}){deletion}"
            _forget(child, name, parent)
            _change(child, f"ADD CONSTRAINT {name} FOREIGN KEY {key} NOT VALID", parent)
            with _seen(child), _seen(parent):
                op.execute(f"ALTER TABLE {child} VALIDATE CONSTRAINT {name}")
        # An item exists in a chunk, which exists in a job: its own key says whose.
        _forget("items", "fk_items_job_id_jobs", "jobs")


def _build(index: str, table: str, columns: tuple[str, ...]) -> None:
    """Waits for every transaction that is older, however long it takes: it stops nobody."""
    op.execute("SET lock_timeout = 0")
    unfinished = (
        f"SELECT FROM pg_index WHERE indexrelid = to_regclass('{index}') AND NOT indisvalid"
    )
    if op.get_bind().exec_driver_sql(unfinished).first() is not None:
        op.execute(f"DROP INDEX CONCURRENTLY {index}")
    op.execute(
        f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {table} ({', '.join(columns)})"
    )
    op.execute("RESET lock_timeout")


def _forget(table: str, constraint: str, parent: str = "") -> None:
    there = f"SELECT FROM pg_constraint WHERE conname = '{constraint}'"
    if op.get_bind().exec_driver_sql(there).first() is not None:
        _change(table, f"DROP CONSTRAINT {constraint}", parent)


def _change(table: str, change: str, parent: str = "") -> None:
    """Change the table once both are locked, the parent first, as whoever writes them does."""
    mode = "SHARE ROW EXCLUSIVE" if "FOREIGN KEY" in change else "ACCESS EXCLUSIVE"
    both = f"{parent}, {table}" if parent else table
    _patiently(f"LOCK TABLE {both} IN {mode} MODE; ALTER TABLE {table} {change}")


@contextmanager
def _seen(table: str) -> Iterator[None]:
    """FORCE hides every row from the owner too: a validation that saw none would find none bad."""
    _patiently(
        f"DROP POLICY IF EXISTS validating ON {table}; "
        f"CREATE POLICY validating ON {table} TO CURRENT_USER USING (true)"
    )
    try:
        yield
    finally:
        _patiently(f"DROP POLICY validating ON {table}")


def _patiently(statements: str) -> None:
    """Run them in a transaction that waits for each lock a moment, and begins again."""
    connection = op.get_bind().connection.driver_connection
    for tried in range(1, TRIES + 1):
        try:
            connection.execute(f"BEGIN; SET LOCAL lock_timeout = '2s'; {statements}; COMMIT")
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            connection.execute("ROLLBACK")
            if tried == TRIES:
                raise
            time.sleep(PATIENCE_SECONDS)
