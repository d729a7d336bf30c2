-- What a card is charged at where that is not its face value: for a brand, or for one client.
CREATE TABLE prices (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    brand_id UUID NOT NULL,
    denomination_minor BIGINT,
    charge_minor BIGINT,
    charge_bp INTEGER,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_prices PRIMARY KEY (id),
    CONSTRAINT ck_prices_rule CHECK (num_nonnulls(charge_minor, charge_bp) = 1
        AND (charge_minor IS NULL OR denomination_minor IS NOT NULL)),
    CONSTRAINT ck_prices_charge_minor CHECK (charge_minor > 0),
    CONSTRAINT ck_prices_charge_bp CHECK (charge_bp > 0),
    CONSTRAINT ck_prices_tenant CHECK (num_nonnulls(agency_id, client_id) IN (0, 2)),
    CONSTRAINT fk_prices_brand_id_brands FOREIGN KEY (brand_id) REFERENCES brands (id),
    CONSTRAINT fk_prices_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_prices_current ON prices (brand_id, client_id, denomination_minor)
    NULLS NOT DISTINCT WHERE ended_at IS NULL;
CREATE INDEX ix_prices_brand_id_id ON prices (brand_id, id);
ALTER TABLE prices ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE prices ALTER COLUMN client_id SET STATISTICS 0;

-- A tenant sees what everybody is charged and its own prices, nobody else's.
ALTER TABLE prices ENABLE ROW LEVEL SECURITY;
CREATE POLICY platform ON prices TO largesse_platform USING (true);
CREATE POLICY system ON prices TO largesse_system USING (true);
CREATE POLICY readonly ON prices FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON prices FOR SELECT TO largesse_agency
  USING (client_id IS NULL
    OR agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON prices FOR SELECT TO largesse_client
  USING (client_id IS NULL
    OR client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT ON prices TO largesse_agency, largesse_client, largesse_readonly;
GRANT SELECT, INSERT, UPDATE ON prices TO largesse_platform, largesse_system;

ALTER TABLE brands
    ADD COLUMN country TEXT,
    ADD COLUMN min_margin_minor BIGINT DEFAULT 0;
ALTER TABLE brand_routes
    ADD COLUMN country TEXT,
    ADD COLUMN cost_bp INTEGER,
    ADD COLUMN cost_flat_minor BIGINT;

-- As before, but that a card which costs more than it may is passed over (EC-081); what a card costs
-- in another currency, or what nobody knows of it, stops nothing. Code that runs beside this one
-- calls them without the new argument.
DROP FUNCTION claim_cards(uuid, uuid, bigint, text, text, date, integer, boolean);
CREATE FUNCTION claim_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_source text,
    p_usable_from date, p_limit integer, p_wait boolean, p_cost_max bigint DEFAULT NULL)
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
          AND (p_cost_max IS NULL OR a.cost_minor IS NULL OR a.cost_minor <= p_cost_max
               OR a.cost_currency IS DISTINCT FROM p_currency)
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
          AND (p_cost_max IS NULL OR a.cost_minor IS NULL OR a.cost_minor <= p_cost_max
               OR a.cost_currency IS DISTINCT FROM p_currency)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE cards c SET state = 'issued', issued_at = issued_now
      WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  END IF;
END $$;

-- `dearer` counts what is passed over so.
DROP FUNCTION count_available_cards(uuid, uuid[], bigint[], text, date);
CREATE FUNCTION count_available_cards(
    p_client uuid, p_brands uuid[], p_denominations bigint[], p_currency text, p_usable_from date,
    p_cost_maxes bigint[] DEFAULT NULL)
  RETURNS TABLE (brand_id uuid, denomination_minor bigint, source text, cards bigint, dearer bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.brand, w.denomination, s.source, s.cards - s.dearer, s.dearer
    FROM unnest(p_brands, p_denominations, p_cost_maxes) AS w (brand, denomination, cost_max)
    CROSS JOIN LATERAL (
      SELECT c.source, count(*) AS cards,
        count(*) FILTER (WHERE c.cost_minor > w.cost_max AND c.cost_currency = p_currency) AS dearer
      FROM cards c
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
REVOKE ALL ON FUNCTION claim_cards, count_available_cards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_cards, count_available_cards TO largesse_client;
