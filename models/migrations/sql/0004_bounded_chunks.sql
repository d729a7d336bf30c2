-- Whatever the statistics say, work reads the rows it is about and no others: chunks know their
-- bounds, indexes lead to rows and not to tenants, and the functions over the stock leave the
-- planner one way through it (decision 0019).
-- The indexes come first, while others may still read; then come the locks that exclude everybody.

-- Row level security adds `client_id = ...` to every statement, so an index that begins with a
-- tenant and says nothing else offers itself for each of them. Lists go by tenant and id; nothing
-- lists provisions, holds or the ledger by tenant.
CREATE INDEX ix_provider_orders_client_id_id ON provider_orders (client_id, id);
CREATE INDEX ix_provider_orders_agency_id_id ON provider_orders (agency_id, id);
CREATE INDEX ix_provider_orders_client_id_state_id ON provider_orders (client_id, state, id);
CREATE INDEX ix_provider_orders_agency_id_state_id ON provider_orders (agency_id, state, id);
-- The routes that an item has tried; the partial ones know only what is open or has succeeded.
CREATE INDEX ix_provider_orders_job_id_position ON provider_orders (job_id, position);
CREATE INDEX ix_jobs_client_id_id ON jobs (client_id, id);
CREATE INDEX ix_jobs_agency_id_id ON jobs (agency_id, id);
-- What a transaction has undone is found by its own two marks, not among all that its client was
-- ever given.
CREATE INDEX ix_provisions_undone_job_id_undone_at ON provisions (undone_job_id, undone_at)
    WHERE undone_job_id IS NOT NULL;
DROP INDEX ix_provider_orders_client_id_state;
DROP INDEX ix_provider_orders_agency_id;
DROP INDEX ix_jobs_client_id_created_at;
DROP INDEX ix_jobs_agency_id_created_at;
DROP INDEX ix_provisions_client_id;
DROP INDEX ix_provisions_agency_id;
DROP INDEX ix_holds_client_id;
DROP INDEX ix_holds_agency_id;
DROP INDEX ix_transfers_client_id;
DROP INDEX ix_transfers_agency_id;
DROP INDEX ix_postings_client_id;
DROP INDEX ix_postings_agency_id;
-- A chunk's items are found by its bounds, and chunks are never deleted.
DROP INDEX ix_items_job_id_chunk_number;

-- NULL only for an import, which has no chunks of work, and for what older code lays out meanwhile.
ALTER TABLE chunks ADD COLUMN first_position INTEGER;
ALTER TABLE chunks ADD COLUMN last_position INTEGER;
-- FORCE hides every row from the owner too.
ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE chunks NO FORCE ROW LEVEL SECURITY;
ALTER TABLE items NO FORCE ROW LEVEL SECURITY;
UPDATE chunks c SET first_position = i.first_position, last_position = i.last_position
FROM (SELECT job_id, chunk_number, min(position) AS first_position,
        max(position) AS last_position
      FROM items GROUP BY job_id, chunk_number) i
WHERE c.job_id = i.job_id AND c.number = i.chunk_number
  AND EXISTS (SELECT FROM jobs j WHERE j.id = c.job_id AND j.kind <> 'card_import');
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
ALTER TABLE chunks FORCE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY;

-- The index is in the order of the claim: without these settings a plan may fetch and sort the
-- whole stock for the first few hundred. ARRAY and ANY: the cards chosen are looked up one by one,
-- never joined with the whole stock.
-- MATERIALIZED: a plan that chose once per card would take more than were asked for.
CREATE OR REPLACE FUNCTION claim_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_source text,
    p_usable_from date, p_limit integer, p_wait boolean)
  RETURNS TABLE (card_id uuid, cost_minor bigint, cost_currency text, last4 text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are claimed in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF p_wait THEN
    RETURN QUERY
      WITH chosen AS MATERIALIZED (
        SELECT a.id FROM cards a
        WHERE a.state = 'available' AND a.brand_id = p_brand
          AND a.denomination_minor = p_denomination AND a.currency = p_currency
          AND a.source = p_source AND a.expires_on >= p_usable_from
          AND (a.client_id IS NULL OR a.client_id = p_client)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE)
      UPDATE cards c SET state = 'issued' WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  ELSE
    RETURN QUERY
      WITH chosen AS MATERIALIZED (
        SELECT a.id FROM cards a
        WHERE a.state = 'available' AND a.brand_id = p_brand
          AND a.denomination_minor = p_denomination AND a.currency = p_currency
          AND a.source = p_source AND a.expires_on >= p_usable_from
          AND (a.client_id IS NULL OR a.client_id = p_client)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE cards c SET state = 'issued' WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  END IF;
END $$;

-- ORDER BY makes it the first entry of an index. Without it a plan for any kind of pool may read
-- the table from its start, past all that was ever issued, and all of it where a kind has none.
CREATE OR REPLACE FUNCTION stocked_sources(
    p_client uuid, p_brands uuid[], p_denominations bigint[], p_currency text, p_usable_from date)
  RETURNS TABLE (brand_id uuid, denomination_minor bigint, source text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are looked for in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN QUERY
    SELECT w.brand, w.denomination, k.kind
    FROM unnest(p_brands, p_denominations) AS w (brand, denomination)
    CROSS JOIN (VALUES ('csv'), ('buffer')) AS k (kind)
    CROSS JOIN LATERAL (
      SELECT 1 FROM cards c
      WHERE c.state = 'available' AND c.brand_id = w.brand
        AND c.denomination_minor = w.denomination AND c.currency = p_currency
        AND c.source = k.kind AND c.expires_on >= p_usable_from
        AND (c.client_id IS NULL OR c.client_id = p_client)
      ORDER BY c.expires_on, c.id LIMIT 1) found;
END $$;

CREATE OR REPLACE FUNCTION return_cards(p_client uuid, p_job uuid, p_cards uuid[]) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  returned integer;
  -- The house's clock (models/clock.py).
  undone_now timestamptz := transaction_timestamp()
    + coalesce(nullif(current_setting('app.clock_offset', true), ''), '0')::interval;
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are returned in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  WITH given_back AS MATERIALIZED (
    SELECT p.card_id FROM provisions p
    WHERE p.undone_job_id = p_job AND p.undone_at = undone_now AND p.client_id = p_client
      AND p.revealed_at IS NULL),
  undone AS MATERIALIZED (
    SELECT c.id, c.source = 'api' AS is_bought, b.id AS pool, b.client_id AS pool_client
    FROM cards c LEFT JOIN LATERAL (
        SELECT b.id, b.client_id FROM card_pools b
        WHERE c.source = 'api' AND b.kind = 'buffer' AND b.brand_id = c.brand_id
          AND b.denomination_minor = c.denomination_minor AND b.currency = c.currency
          AND (b.client_id IS NULL OR b.client_id = p_client)
        ORDER BY b.client_id NULLS LAST, b.id LIMIT 1) b ON true
    WHERE c.id = ANY (p_cards) AND c.id = ANY (ARRAY(SELECT card_id FROM given_back))
      AND c.state = 'issued'
      AND NOT EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id AND p.undone_at IS NULL)
    ORDER BY c.id FOR NO KEY UPDATE OF c)
  UPDATE cards c SET
      pool_id = coalesce(u.pool, c.pool_id),
      client_id = CASE WHEN u.pool IS NULL THEN c.client_id ELSE u.pool_client END,
      source = CASE WHEN u.pool IS NULL THEN c.source ELSE 'buffer' END,
      state = CASE WHEN u.is_bought AND u.pool IS NULL THEN 'quarantined' ELSE 'available' END
    FROM undone u WHERE c.id = u.id AND c.id = ANY (ARRAY(SELECT id FROM undone));
  GET DIAGNOSTICS returned = ROW_COUNT;
  RETURN returned;
END $$;

-- Statistics of who owns how many rows are wrong for whoever comes new: the planner then takes all
-- that a tenant or a large job has for one row, and a statement that should read one row reads all
-- of it, for each of its rows. Without them it takes one row in two hundred to be theirs, which is
-- never the way to a row that another index names. Ids that hardly two rows share keep theirs.
DO $$
DECLARE
  ids record;
BEGIN
  FOR ids IN
    SELECT c.relname, a.attname FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND NOT a.attisdropped AND (
        a.attname IN ('agency_id', 'client_id', 'campaign_id', 'tenant_id')
        OR (a.attname = 'job_id' AND c.relname IN ('items', 'provisions')))
  LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', ids.relname, ids.attname);
    -- What was learnt before would stay. PostgreSQL 17 and older cannot forget it: there it fades
    -- with the rows it was learnt from.
    IF to_regprocedure('pg_catalog.pg_clear_attribute_stats(text,text,text,boolean)') IS NOT NULL
    THEN
      EXECUTE format('SELECT pg_clear_attribute_stats(%L, %L, %L, false)', 'public', ids.relname,
                     ids.attname);
    END IF;
  END LOOP;
END $$;
