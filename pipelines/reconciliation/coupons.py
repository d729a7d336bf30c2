"""Whether coupons are as many as was counted: by their books, their people, their jobs and their days."""

from models.books import WHOLE_BOOK
from pipelines.books.recount import ASSIGNED, REDEEMED
from pipelines.reconciliation.invariant import Invariant, of_job

# Books in which somebody asks how many coupons one person, or all of them, have.
_COUNTS_PEOPLE = (
    "(b.max_assignments_per_user IS NOT NULL OR b.max_redemptions_per_user IS NOT NULL)"
)
_COUNTS_ITSELF = "(b.max_assignments IS NOT NULL OR b.max_redemptions IS NOT NULL)"
# What a limit was lifted from keeps its rows, and nobody reads them.
_COUNTS = f"""
SELECT 'book ' || book_id || ': a person''s coupons are not what is counted'
FROM (SELECT c.book_id, c.user_id, {ASSIGNED} AS assigned, {REDEEMED} AS redeemed
      FROM coupons c JOIN books b ON b.id = c.book_id
      WHERE c.user_id IS NOT NULL AND {_COUNTS_PEOPLE} GROUP BY c.book_id, c.user_id) l
FULL JOIN (SELECT n.book_id, n.user_id, n.assigned, n.redeemed
           FROM coupon_counts n JOIN books b ON b.id = n.book_id
           WHERE n.user_id <> '{WHOLE_BOOK}' AND {_COUNTS_PEOPLE}) r USING (book_id, user_id)
WHERE coalesce(r.assigned, 0) <> coalesce(l.assigned, 0)
   OR coalesce(r.redeemed, 0) <> coalesce(l.redeemed, 0)
UNION ALL
SELECT 'book ' || b.id || ': ' || coalesce(n.assigned || ' assigned and ' || n.redeemed
    || ' redemptions counted', 'no count') || ', ' || l.assigned || ' and ' || l.redeemed
FROM books b LEFT JOIN coupon_counts n ON n.book_id = b.id AND n.user_id = '{WHOLE_BOOK}'
CROSS JOIN LATERAL (SELECT {ASSIGNED} AS assigned, {REDEEMED} AS redeemed FROM coupons c
                    WHERE c.book_id = b.id AND c.user_id IS NOT NULL) l
WHERE {_COUNTS_ITSELF} AND (n.assigned IS DISTINCT FROM l.assigned
                            OR n.redeemed IS DISTINCT FROM l.redeemed)
"""
_STOCK = """
SELECT 'book ' || book_id || ': its stock is not what its coupons are'
FROM (SELECT book_id, count(*) FILTER (WHERE state = 'unassigned') AS unassigned,
        count(*) FILTER (WHERE state = 'assigned') AS assigned,
        count(*) FILTER (WHERE state = 'locked') AS locked,
        count(*) FILTER (WHERE state = 'redeemed') AS redeemed,
        count(*) FILTER (WHERE state = 'void') AS void, sum(redemptions) AS redemptions
      FROM coupons GROUP BY book_id) c
FULL JOIN (SELECT book_id, sum(unassigned) AS unassigned, sum(assigned) AS assigned,
        sum(locked) AS locked, sum(redeemed) AS redeemed, sum(void) AS void,
        sum(redemptions) AS redemptions
      FROM book_stock GROUP BY book_id) s USING (book_id)
WHERE (coalesce(c.unassigned, 0), coalesce(c.assigned, 0), coalesce(c.locked, 0),
       coalesce(c.redeemed, 0), coalesce(c.void, 0), coalesce(c.redemptions, 0))
  <> (coalesce(s.unassigned, 0), coalesce(s.assigned, 0), coalesce(s.locked, 0),
      coalesce(s.redeemed, 0), coalesce(s.void, 0), coalesce(s.redemptions, 0))
"""
# One pass over the events and one over the sums, which are a row per book and day.
_USAGE = """
SELECT 'book ' || book_id || ': its usage on ' || day || ' is not what was done to its coupons'
FROM (SELECT book_id, (at AT TIME ZONE 'UTC')::date AS day,
        count(*) FILTER (WHERE move = 'assigned') AS assigned,
        count(*) FILTER (WHERE move = 'released') AS released,
        count(*) FILTER (WHERE move = 'redeemed') AS redeemed,
        count(*) FILTER (WHERE move = 'voided') AS voided
      FROM coupon_events GROUP BY 1, 2) e
FULL JOIN (SELECT book_id, day, sum(assigned) AS assigned, sum(released) AS released,
        sum(redeemed) AS redeemed, sum(voided) AS voided
      FROM coupon_usage GROUP BY book_id, day) u USING (book_id, day)
WHERE (coalesce(e.assigned, 0), coalesce(e.released, 0), coalesce(e.redeemed, 0),
       coalesce(e.voided, 0))
  <> (coalesce(u.assigned, 0), coalesce(u.released, 0), coalesce(u.redeemed, 0),
      coalesce(u.voided, 0))
"""
_MADE = f"""
SELECT 'job ' || j.id || ': ' || coalesce(d.codes, 0) || ' codes counted, ' || coalesce(n.codes, 0)
    || ' there'
FROM jobs j
LEFT JOIN (SELECT job_id, sum(succeeded) AS codes FROM chunks GROUP BY job_id) d ON d.job_id = j.id
LEFT JOIN (SELECT load_job_id, count(*) AS codes FROM coupons GROUP BY load_job_id) n
  ON n.load_job_id = j.id
WHERE {of_job("j.id")} AND j.kind IN ('code_generation', 'code_import')
  AND coalesce(d.codes, 0) <> coalesce(n.codes, 0)
"""

# A code is found by its index and by nothing else.
_INDEX = """
SELECT 'book ' || book_id || ': a coupon is not found by one code, or a code finds no coupon'
FROM (SELECT book_id, id, client_id FROM coupons) c
FULL JOIN (SELECT book_id, coupon_id AS id, client_id, count(*) AS codes FROM code_index
           GROUP BY 1, 2, 3) x USING (book_id, id, client_id)
WHERE c.id IS NULL OR x.codes IS DISTINCT FROM 1 GROUP BY book_id
"""

INVARIANTS = (
    Invariant(
        "codes",
        "Every generated or uploaded code is there",
        f"jobs j WHERE {of_job('j.id')} AND j.kind IN ('code_generation', 'code_import')",
        _MADE,
    ),
    Invariant("code-index", "A coupon is found by its one code", "coupons", _INDEX, False),
    Invariant("book-stock", "A book's stock is its coupons", "coupons", _STOCK, False),
    Invariant(
        "coupon-usage",
        "Coupons' usage by day is what was done to them",
        "coupon_events",
        _USAGE,
        False,
    ),
    Invariant(
        "coupon-counts",
        "Coupons counted towards a limit are somebody's",
        f"books b WHERE {_COUNTS_PEOPLE} OR {_COUNTS_ITSELF}",
        _COUNTS,
        False,
    ),
)
