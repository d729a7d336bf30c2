-- A source that is switched off is passed over by claims; its cards stay where they are.
ALTER TABLE card_pools ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE;

-- A card file, by a number that people can say; its counts are those of its job and its cards.
CREATE TABLE card_batches (
    id UUID NOT NULL,
    number BIGINT GENERATED ALWAYS AS IDENTITY,
    agency_id UUID,
    client_id UUID,
    pool_id UUID NOT NULL,
    sha256 BYTEA,
    keeps_file BOOLEAN DEFAULT true NOT NULL,
    quarantined_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_card_batches PRIMARY KEY (id),
    CONSTRAINT uq_card_batches_number UNIQUE (number),
    CONSTRAINT fk_card_batches_pool_id_card_pools FOREIGN KEY (pool_id) REFERENCES card_pools (id),
    CONSTRAINT fk_card_batches_id_jobs FOREIGN KEY (id) REFERENCES jobs (id),
    CONSTRAINT fk_card_batches_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
-- A file is taken once on the whole platform, whoever's pool it is for.
CREATE UNIQUE INDEX uq_card_batches_file ON card_batches (sha256)
    WHERE sha256 IS NOT NULL AND keeps_file;
CREATE INDEX ix_card_batches_pool_id_number ON card_batches (pool_id, number);
ALTER TABLE card_batches ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE card_batches ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE card_batches ENABLE ROW LEVEL SECURITY;
CREATE POLICY platform ON card_batches TO largesse_platform USING (true);
CREATE POLICY system ON card_batches TO largesse_system USING (true);
CREATE POLICY readonly ON card_batches FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON card_batches TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON card_batches TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT ON card_batches
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE (quarantined_at, keeps_file) ON card_batches TO largesse_system;
GRANT SELECT ON card_batches TO largesse_readonly;

-- Files that came before get their numbers in the order in which they came.
ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY;
INSERT INTO card_batches (id, agency_id, client_id, pool_id, sha256, keeps_file, created_at)
SELECT j.id, j.agency_id, j.client_id, p.id, j.upload_sha256,
    row_number() OVER (PARTITION BY j.upload_sha256 ORDER BY j.id) = 1, j.created_at
FROM jobs j JOIN card_pools p ON p.id = CAST(j.spec->>'pool_id' AS uuid)
WHERE j.kind = 'card_import' ORDER BY j.id;
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;

-- The pools of a claim are named first: none but these is looked at, and where all are switched off
-- no card is. A card that somebody waits for and that is set aside meanwhile is not taken: its state
-- is looked at again. `issued_at` tells what a pool gives out in a week.
CREATE OR REPLACE FUNCTION claim_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_source text,
    p_usable_from date, p_limit integer, p_wait boolean)
  RETURNS TABLE (card_id uuid, cost_minor bigint, cost_currency text, last4 text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  pools uuid[];
  -- The house's clock (models/clock.py).
  issued_now timestamptz := transaction_timestamp()
    + coalesce(nullif(current_setting('app.clock_offset', true), ''), '0')::interval;
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are claimed in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT array_agg(p.id) INTO pools FROM card_pools p
  WHERE p.brand_id = p_brand AND p.denomination_minor = p_denomination
    AND p.currency = p_currency AND p.kind = p_source AND p.disabled_at IS NULL
    AND (p.client_id IS NULL OR p.client_id = p_client);
  IF pools IS NULL THEN
    RETURN;
  END IF;
  IF p_wait THEN
    RETURN QUERY
      WITH chosen AS MATERIALIZED (
        SELECT a.id FROM cards a
        WHERE a.state = 'available' AND a.brand_id = p_brand
          AND a.denomination_minor = p_denomination AND a.currency = p_currency
          AND a.source = p_source AND a.expires_on >= p_usable_from
          AND (a.client_id IS NULL OR a.client_id = p_client) AND a.pool_id = ANY (pools)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE)
      UPDATE cards c SET state = 'issued', issued_at = issued_now
      WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  ELSE
    RETURN QUERY
      WITH chosen AS MATERIALIZED (
        SELECT a.id FROM cards a
        WHERE a.state = 'available' AND a.brand_id = p_brand
          AND a.denomination_minor = p_denomination AND a.currency = p_currency
          AND a.source = p_source AND a.expires_on >= p_usable_from
          AND (a.client_id IS NULL OR a.client_id = p_client) AND a.pool_id = ANY (pools)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE cards c SET state = 'issued', issued_at = issued_now
      WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION count_available_cards(
    p_client uuid, p_brands uuid[], p_denominations bigint[], p_currency text, p_usable_from date)
  RETURNS TABLE (brand_id uuid, denomination_minor bigint, source text, cards bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.brand, w.denomination, s.source, s.cards
    FROM unnest(p_brands, p_denominations) AS w (brand, denomination)
    CROSS JOIN LATERAL (
      SELECT c.source, count(*) AS cards FROM cards c
      WHERE c.state = 'available' AND c.brand_id = w.brand
        AND c.denomination_minor = w.denomination AND c.currency = p_currency
        AND c.expires_on >= p_usable_from
        AND (c.client_id IS NULL OR c.client_id = p_client)
        AND c.pool_id = ANY (ARRAY(
          SELECT p.id FROM card_pools p
          WHERE p.brand_id = w.brand AND p.denomination_minor = w.denomination
            AND p.currency = p_currency AND p.disabled_at IS NULL
            AND (p.client_id IS NULL OR p.client_id = p_client)))
      GROUP BY c.source) s
    WHERE p_client = nullif(current_setting('app.client_id', true), '')::uuid
$$;

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
    SELECT DISTINCT p.brand_id, p.denomination_minor, p.kind
    FROM unnest(p_brands, p_denominations) AS w (brand, denomination)
    JOIN card_pools p ON p.brand_id = w.brand AND p.denomination_minor = w.denomination
      AND p.currency = p_currency AND p.disabled_at IS NULL
      AND (p.client_id IS NULL OR p.client_id = p_client)
    CROSS JOIN LATERAL (
      SELECT 1 FROM cards c
      WHERE c.state = 'available' AND c.pool_id = p.id AND c.expires_on >= p_usable_from
      ORDER BY c.expires_on LIMIT 1) found;
END $$;

-- As before, but for a card of a batch that was set aside after it was given: it is set aside too.
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
    SELECT c.id, b.id AS pool, b.client_id AS pool_client,
      (c.source = 'api' AND b.id IS NULL) OR EXISTS (
        SELECT FROM card_batches s WHERE s.id = c.import_job_id AND s.quarantined_at IS NOT NULL)
        AS is_kept_aside
    FROM cards c LEFT JOIN LATERAL (
        SELECT b.id, b.client_id FROM card_pools b
        WHERE c.source = 'api' AND b.kind = 'buffer' AND b.brand_id = c.brand_id
          AND b.denomination_minor = c.denomination_minor AND b.currency = c.currency
          AND (b.client_id IS NULL OR b.client_id = p_client)
        ORDER BY b.client_id NULLS LAST, b.id LIMIT 1) b ON true
    WHERE c.id = ANY (p_cards) AND c.id = ANY (ARRAY(SELECT card_id FROM given_back))
      AND c.state = 'issued'
      -- An array, so that only these cards are looked up whatever the planner believes.
      AND c.id <> ALL (ARRAY(SELECT p.card_id FROM provisions p
                             WHERE p.card_id = ANY (p_cards) AND p.undone_at IS NULL))
    ORDER BY c.id FOR NO KEY UPDATE OF c)
  UPDATE cards c SET
      pool_id = coalesce(u.pool, c.pool_id),
      client_id = CASE WHEN u.pool IS NULL THEN c.client_id ELSE u.pool_client END,
      source = CASE WHEN u.pool IS NULL THEN c.source ELSE 'buffer' END,
      state = CASE WHEN u.is_kept_aside THEN 'quarantined' ELSE 'available' END
    FROM undone u WHERE c.id = u.id AND c.id = ANY (ARRAY(SELECT id FROM undone));
  GET DIAGNOSTICS returned = ROW_COUNT;
  RETURN returned;
END $$;
