"""How an entry becomes a link: its stream, its canonical text and its hash; sealer and verifier agree here."""

import hashlib

#: What is not a tenant's has its own stream.
PLATFORM_STREAM = "platform"
#: The first link of a stream hangs on its name, so that no chain can be moved to another stream.
_GENESIS = "largesse audit "

#: SQL for an entry's stream; `{e}` is the table's alias.
STREAM = (
    "coalesce(nullif(concat_ws('/', {e}.agency_id::text, {e}.client_id::text), ''), "
    f"'{PLATFORM_STREAM}')"
)
#: SQL for what is hashed of an entry: jsonb orders its keys and writes each value in one way only.
#: The address is left out because it is forgotten; sequence and hash are what comes of it.
CANONICAL = """jsonb_build_object(
    'id', {e}.id,
    'at', to_char({e}.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'agency_id', {e}.agency_id, 'client_id', {e}.client_id,
    'actor_id', {e}.actor_id, 'actor_role', {e}.actor_role, 'on_behalf_of', {e}.on_behalf_of,
    'action', {e}.action, 'object_kind', {e}.object_kind, 'object_id', {e}.object_id,
    'detail', {e}.detail, 'request_id', {e}.request_id, 'job_id', {e}.job_id)::text"""


def stream_sql(alias: str) -> str:
    """The stream of the row `alias`, as SQL."""
    return STREAM.replace("{e}", alias)


def canonical_sql(alias: str) -> str:
    """The canonical text of the row `alias`, as SQL."""
    return CANONICAL.replace("{e}", alias)


def genesis(stream: str) -> bytes:
    """What the first entry of a stream is chained to."""
    return hashlib.sha256((_GENESIS + stream).encode()).digest()


def link(before: bytes, canonical: str) -> bytes:
    """The hash of an entry whose predecessor has the hash `before`."""
    return hashlib.sha256(before + canonical.encode()).digest()


def genesis_sql(stream: str) -> str:
    """`genesis` as SQL, of a stream given as SQL."""
    return f"sha256(convert_to('{_GENESIS}' || {stream}, 'UTF8'))"
