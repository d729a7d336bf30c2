-- FORCE hides every row from the owner too.
ALTER TABLE provisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE issued_daily NO FORCE ROW LEVEL SECURITY;
INSERT INTO issued_daily (campaign_id, day, source, currency, agency_id, client_id, cards,
                          charge_minor, cost_minor, cards_without_cost)
SELECT p.campaign_id, s.day, p.source, p.currency, p.agency_id, p.client_id, sum(s.sign),
       sum(s.sign * p.charge_minor),
       coalesce(sum(s.sign * p.cost_minor) FILTER (WHERE p.cost_currency = p.currency), 0),
       coalesce(sum(s.sign) FILTER
           (WHERE p.cost_minor IS NULL OR p.cost_currency IS DISTINCT FROM p.currency), 0)
FROM provisions p CROSS JOIN LATERAL (VALUES
    ((p.created_at AT TIME ZONE 'UTC')::date, 1),
    ((p.undone_at AT TIME ZONE 'UTC')::date, -1)) AS s (day, sign)
WHERE s.day IS NOT NULL
GROUP BY p.campaign_id, s.day, p.source, p.currency, p.agency_id, p.client_id;
ALTER TABLE issued_daily FORCE ROW LEVEL SECURITY;
ALTER TABLE provisions FORCE ROW LEVEL SECURITY;
