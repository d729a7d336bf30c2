"""Whether each account is the sum of what it says it is made of; a line per account that is not."""

BALANCES = """
SELECT 'account ' || a.id || ': balance ' || a.balance || ', postings ' ||
       coalesce(sum(p.amount), 0)
FROM accounts a LEFT JOIN postings p ON p.account_id = a.id
GROUP BY a.id, a.balance HAVING a.balance <> coalesce(sum(p.amount), 0)
"""
HELD = """
SELECT 'account ' || a.id || ': held ' || a.held || ', open holds ' ||
       coalesce(sum(h.amount - h.captured - h.voided), 0)
FROM accounts a LEFT JOIN holds h ON h.account_id = a.id AND h.state = 'open'
GROUP BY a.id, a.held HAVING a.held <> coalesce(sum(h.amount - h.captured - h.voided), 0)
"""
ZERO_SUM = """
SELECT 'currency ' || currency || ': all balances sum to ' || sum(balance)
FROM accounts GROUP BY currency HAVING sum(balance) <> 0
"""
BOUNDED = """
SELECT 'account ' || id || ': ' || balance || ' with ' || held || ' held'
FROM accounts WHERE NOT unlimited AND balance - held < 0
"""
