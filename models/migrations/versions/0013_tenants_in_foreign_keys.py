"""Foreign keys name the tenant: nothing can be hung under another client's row."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

#: What rows hang under: a key on (id, client_id) beside the one on id.
PARENTS = ("jobs", "accounts")
_TENANT = ("agency_id", "client_id")
#: (child, its columns, parent, the parent's columns, what a deletion of the parent does).
KEYS = (
    ("chunks", ("job_id", "client_id"), "jobs", ("id", "client_id"), "ON DELETE CASCADE"),
    ("items", ("job_id", "client_id"), "jobs", ("id", "client_id"), "ON DELETE CASCADE"),
    ("job_inputs", ("job_id", "client_id"), "jobs", ("id", "client_id"), "ON DELETE CASCADE"),
    ("provisions", ("job_id", "client_id"), "jobs", ("id", "client_id"), ""),
    ("provider_orders", ("job_id", "client_id"), "jobs", ("id", "client_id"), ""),
    ("holds", ("account_id", "client_id"), "accounts", ("id", "client_id"), ""),
    ("postings", ("account_id", "client_id"), "accounts", ("id", "client_id"), ""),
    ("jobs", ("client_id", "campaign_id"), "campaigns", ("client_id", "id"), ""),
    ("redemption_codes", ("client_id", "campaign_id"), "campaigns", ("client_id", "id"), ""),
    ("accounts", _TENANT, "clients", ("agency_id", "id"), ""),
    ("users", _TENANT, "clients", ("agency_id", "id"), ""),
    ("api_keys", _TENANT, "clients", ("agency_id", "id"), ""),
    ("invitations", _TENANT, "clients", ("agency_id", "id"), ""),
    ("approvals", _TENANT, "clients", ("agency_id", "id"), ""),
    ("erasures", _TENANT, "clients", ("agency_id", "id"), ""),
)
NAMES = [f"fk_{child}_{'_'.join(columns)}_{parent}" for child, columns, parent, *_ in KEYS]
TABLES = sorted({name for key in KEYS for name in (key[0], key[2])})
#: In this order; each may be done again after a run that was cut.
STEPS = (
    "SET lock_timeout = '5s'",
    *(
        f"ALTER TABLE {child} DROP CONSTRAINT IF EXISTS {name}"
        for (child, *_), name in zip(KEYS, NAMES, strict=True)
    ),
    *(f"DROP INDEX CONCURRENTLY IF EXISTS uq_{table}_id_client_id" for table in PARENTS),
    *(
        f"CREATE UNIQUE INDEX CONCURRENTLY uq_{table}_id_client_id ON {table} (id, client_id)"
        for table in PARENTS
    ),
    *(
        f"ALTER TABLE {child} ADD CONSTRAINT {name} FOREIGN KEY ({', '.join(columns)}) "
        f"REFERENCES {parent} ({', '.join(there)}) {deletion} NOT VALID"
        for (child, columns, parent, there, deletion), name in zip(KEYS, NAMES, strict=True)
    ),
    # FORCE hides every row from the owner too: a validation that saw none would find none bad.
    *(f"DROP POLICY IF EXISTS validating ON {table}" for table in TABLES),
    *(f"CREATE POLICY validating ON {table} TO CURRENT_USER USING (true)" for table in TABLES),
    *(
        f"ALTER TABLE {child} VALIDATE CONSTRAINT {name}"
        for (child, *_), name in zip(KEYS, NAMES, strict=True)
    ),
    *(f"DROP POLICY validating ON {table}" for table in TABLES),
    # An item exists in a chunk, which exists in a job: its own key says whose.
    "ALTER TABLE items DROP CONSTRAINT IF EXISTS fk_items_job_id_jobs",
    "RESET lock_timeout",
)


def upgrade() -> None:
    """Each step locks for a moment; what reads whole tables lets everybody write meanwhile."""
    with op.get_context().autocommit_block():
        for step in STEPS:
            op.execute(step)
