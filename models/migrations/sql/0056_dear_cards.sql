-- As before, but by an index that knows what cards cost: of one day the cheapest go first, and those
-- that cost too much are passed over in the index, not one by one (EC-081).
CREATE OR REPLACE FUNCTION claim_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_source text,
    p_usable_from date, p_limit integer, p_wait boolean, p_cost_max bigint DEFAULT NULL)
  RETURNS TABLE (card_id uuid, cost_minor bigint, cost_currency text, last4 text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  pools uuid[];
  at_most bigint := coalesce(p_cost_max, 9223372036854775807);
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
          AND known_cost(a.cost_minor, a.cost_currency, a.currency) <= at_most
          AND (a.client_id IS NULL OR a.client_id = p_client) AND a.pool_id = ANY (pools)
        ORDER BY a.expires_on, known_cost(a.cost_minor, a.cost_currency, a.currency), a.id
        LIMIT p_limit FOR NO KEY UPDATE)
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
          AND known_cost(a.cost_minor, a.cost_currency, a.currency) <= at_most
          AND (a.client_id IS NULL OR a.client_id = p_client) AND a.pool_id = ANY (pools)
        ORDER BY a.expires_on, known_cost(a.cost_minor, a.cost_currency, a.currency), a.id
        LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE cards c SET state = 'issued', issued_at = issued_now
      WHERE c.id = ANY (ARRAY(SELECT id FROM chosen))
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  END IF;
END $$;

-- Whether a card that a claim would look at is passed over for what it costs; one is enough to know.
CREATE OR REPLACE FUNCTION has_dearer_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_usable_from date,
    p_cost_max bigint) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  pools uuid[];
  kinds text[];
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are looked for in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT array_agg(p.id), array_agg(DISTINCT p.kind) INTO pools, kinds FROM card_pools p
  WHERE p.brand_id = p_brand AND p.denomination_minor = p_denomination
    AND p.currency = p_currency AND p.disabled_at IS NULL
    AND (p.client_id IS NULL OR p.client_id = p_client);
  -- In the order of the index of claims, so that nothing else is walked.
  RETURN EXISTS (
    SELECT FROM unnest(kinds) k (kind) CROSS JOIN LATERAL (
      SELECT a.id FROM cards a
      WHERE a.state = 'available' AND a.brand_id = p_brand
        AND a.denomination_minor = p_denomination AND a.currency = p_currency
        AND a.source = k.kind AND a.expires_on >= p_usable_from
        AND known_cost(a.cost_minor, a.cost_currency, a.currency) > p_cost_max
        AND a.pool_id = ANY (pools)
      ORDER BY a.expires_on, known_cost(a.cost_minor, a.cost_currency, a.currency), a.id
      LIMIT 1) found);
END $$;
REVOKE ALL ON FUNCTION has_dearer_cards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_dearer_cards TO largesse_client;
