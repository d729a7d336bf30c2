"""Look at the catalogue: whether tenants are kept apart as the models say (security.md section 3)."""

from sqlalchemy import Connection, text

from models.base import TableClass
from models.scope import ScopeRole
from models.tables import CLASSES

#: The names of policies that migrations make; the owner's let the schema's functions do their work.
_OF_THE_OWNER = ("owner", "owner_makes", "owner_adopts")
POLICIES = ("platform", "agency", "client", "system", "readonly", *_OF_THE_OWNER)
_TENANT_TABLES = text("""
SELECT c.relname, c.relrowsecurity AS is_on, c.relforcerowsecurity AS is_forced,
    ARRAY(SELECT DISTINCT r.rolname::text FROM pg_policy p, pg_roles r
          WHERE p.polrelid = c.oid AND r.oid = ANY (p.polroles)) AS roles,
    ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid
          AND p.polname <> ALL (CAST(:policies AS text[])) ORDER BY 1) AS unknown
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname = ANY(:tables)
""")
# A materialized view holds rows of everybody, whoever looks. An extension's own views, such as
# pg_stat_statements, show no row of ours.
_VIEWS = text("""
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
    AND (c.relkind = 'm' OR (c.relkind = 'v'
         AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)))
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname
""")
_LOGIN = text("""
SELECT r.rolsuper AS is_superuser, r.rolbypassrls AS passes_by,
    EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid
            AND c.relnamespace = 'public'::regnamespace) AS owns
FROM pg_roles r WHERE r.rolname = session_user
""")


def isolation_faults(connection: Connection) -> list[str]:
    """What is wrong with the walls between tenants, each with what to do."""
    tables = [name for name, kind in CLASSES.items() if kind is TableClass.TENANT]
    needed = {role.value for role in ScopeRole}
    faults = []
    for row in connection.execute(_TENANT_TABLES, {"tables": tables, "policies": [*POLICIES]}):
        if not (row.is_on and row.is_forced):
            faults.append(
                f"Row security of {row.relname} is not on and forced. As largesse_owner: ALTER TABLE "
                f"{row.relname} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY."
            )
        if lacking := sorted(needed - set(row.roles)):
            faults.append(
                f"{row.relname} has no policy for {', '.join(lacking)}. Restore the schema of this "
                "release (models/migrations)."
            )
        faults += [
            f"{row.relname} has a policy of another release or hand, {name}, which may show rows of "
            f"every tenant. As largesse_owner: DROP POLICY {name} ON {row.relname}."
            for name in row.unknown
        ]
    faults += [
        f"The view {name} shows rows of every tenant. Drop it, or make it WITH (security_invoker=true)."
        for name in connection.execute(_VIEWS).scalars()
    ]
    return faults


def login_faults(connection: Connection) -> list[str]:
    """Whether this connection's own login may look past the walls."""
    row = connection.execute(_LOGIN).one()
    faults = []
    if row.is_superuser or row.passes_by:
        faults.append(
            "This process connected as a superuser, for whom tenant policies do not hold. "
            "Use the largesse_* logins that `largesse migrate` makes."
        )
    if row.owns:
        faults.append(
            "This process connected as the owner of tables, who could change their policies. "
            "Use the largesse_* logins that `largesse migrate` makes."
        )
    return faults
