"""What was taken of disputed top-ups is what transfers moved, and who owes is restricted (EC-077)."""

VIOLATIONS = """
SELECT 'receivable ' || r.id || ': taken ' || r.taken || ', transfers ' || coalesce(m.moved, 0)
FROM receivables r LEFT JOIN (
    SELECT split_part(client_ref, ':', 2) AS receivable, sum(amount) AS moved FROM transfers
    WHERE kind = 'claw_back' GROUP BY 1) m ON m.receivable = r.id::text
WHERE r.taken <> coalesce(m.moved, 0)
UNION ALL
SELECT 'account ' || a.id || ': restricted without owing, or owing without being restricted'
FROM accounts a WHERE (a.restricted_at IS NOT NULL) <> EXISTS (
    SELECT FROM receivables r WHERE r.account_id = a.id AND r.settled_at IS NULL)
"""
