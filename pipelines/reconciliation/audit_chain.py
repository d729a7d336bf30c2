"""The newest part of every audit chain, checked by the database itself, in bounded time.

`largesse audit verify` walks whole chains and compares witnesses; this asks the same question of
the newest entries in another way, so that one mistake of ours does not hide in both.
"""

from pipelines.audit.chain import canonical_sql, genesis_sql, stream_sql

#: Entries looked at, newest first; and the heads of all streams.
NEWEST = 20_000

# An entry is checked when the one before it is among them: who committed late stands elsewhere.
VIOLATIONS = f"""
SELECT 'audit ' || s.stream || ' ' || s.sequence || ': not what was sealed'
FROM (
    SELECT {stream_sql("e")} AS stream, e.sequence, e.chain_hash, {canonical_sql("e")} AS canonical,
        lag(e.sequence) OVER chain AS sequence_before, lag(e.chain_hash) OVER chain AS hash_before
    FROM (SELECT * FROM audit_entries WHERE sequence IS NOT NULL
          ORDER BY at DESC, id DESC LIMIT {NEWEST}) e
    WINDOW chain AS (PARTITION BY e.agency_id, e.client_id ORDER BY e.sequence)) s
LEFT JOIN audit_heads h ON h.stream = s.stream
WHERE h.sequence IS NULL OR s.sequence > h.sequence
   OR (s.sequence = 1 AND s.chain_hash IS DISTINCT FROM
       sha256({genesis_sql("s.stream")} || convert_to(s.canonical, 'UTF8')))
   OR (s.sequence_before = s.sequence - 1 AND s.chain_hash IS DISTINCT FROM
       sha256(s.hash_before || convert_to(s.canonical, 'UTF8')))
UNION ALL
-- The one name of a stream is an agency's, or a client's whose entries do not name its agency.
SELECT 'audit ' || h.stream || ' ' || h.sequence || ': the head is not its last entry'
FROM (SELECT *, CASE WHEN stream <> 'platform' THEN split_part(stream, '/', 1)::uuid END AS agency,
        nullif(split_part(stream, '/', 2), '')::uuid AS client
      FROM audit_heads WHERE sequence > 0) h
WHERE NOT EXISTS (SELECT FROM audit_entries e WHERE e.agency_id = h.agency
        AND e.client_id = h.client AND e.sequence = h.sequence AND e.chain_hash = h.hash)
  AND NOT EXISTS (SELECT FROM audit_entries e WHERE e.agency_id = h.agency AND h.client IS NULL
        AND e.client_id IS NULL AND e.sequence = h.sequence AND e.chain_hash = h.hash)
  AND NOT EXISTS (SELECT FROM audit_entries e WHERE h.agency IS NULL AND e.agency_id IS NULL
        AND e.client_id IS NULL AND e.sequence = h.sequence AND e.chain_hash = h.hash)
  AND NOT EXISTS (SELECT FROM audit_entries e WHERE h.client IS NULL AND e.agency_id IS NULL
        AND e.client_id = h.agency AND e.sequence = h.sequence AND e.chain_hash = h.hash)
"""
