-- What the tables of 0001 enforce by themselves: counters, the ledger's laws, card claims.

-- Chunk counters follow the items, statement by statement, so that they cannot disagree.
CREATE FUNCTION count_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    UPDATE chunks c SET
      pending = c.pending + d.pending, running = c.running + d.running,
      retrying = c.retrying + d.retrying, succeeded = c.succeeded + d.succeeded,
      failed = c.failed + d.failed, skipped = c.skipped + d.skipped,
      needs_review = c.needs_review + d.needs_review, cancelled = c.cancelled + d.cancelled,
      from_csv = c.from_csv + d.from_csv, from_buffer = c.from_buffer + d.from_buffer,
      from_api = c.from_api + d.from_api, updated_at = clock_timestamp()
    FROM (SELECT job_id, chunk_number,
            count(*) FILTER (WHERE state = 'pending') AS pending,
            count(*) FILTER (WHERE state = 'running') AS running,
            count(*) FILTER (WHERE state = 'retrying') AS retrying,
            count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE state = 'failed') AS failed,
            count(*) FILTER (WHERE state = 'skipped') AS skipped,
            count(*) FILTER (WHERE state = 'needs_review') AS needs_review,
            count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE state = 'succeeded' AND source = 'csv') AS from_csv,
            count(*) FILTER (WHERE state = 'succeeded' AND source = 'buffer') AS from_buffer,
            count(*) FILTER (WHERE state = 'succeeded' AND source = 'api') AS from_api
          FROM new_items GROUP BY job_id, chunk_number) d
    WHERE c.job_id = d.job_id AND c.number = d.chunk_number;
  ELSE
    UPDATE chunks c SET
      pending = c.pending + d.pending, running = c.running + d.running,
      retrying = c.retrying + d.retrying, succeeded = c.succeeded + d.succeeded,
      failed = c.failed + d.failed, skipped = c.skipped + d.skipped,
      needs_review = c.needs_review + d.needs_review, cancelled = c.cancelled + d.cancelled,
      from_csv = c.from_csv + d.from_csv, from_buffer = c.from_buffer + d.from_buffer,
      from_api = c.from_api + d.from_api, updated_at = clock_timestamp()
    FROM (SELECT job_id, chunk_number,
            coalesce(sum(one) FILTER (WHERE state = 'pending'), 0) AS pending,
            coalesce(sum(one) FILTER (WHERE state = 'running'), 0) AS running,
            coalesce(sum(one) FILTER (WHERE state = 'retrying'), 0) AS retrying,
            coalesce(sum(one) FILTER (WHERE state = 'succeeded'), 0) AS succeeded,
            coalesce(sum(one) FILTER (WHERE state = 'failed'), 0) AS failed,
            coalesce(sum(one) FILTER (WHERE state = 'skipped'), 0) AS skipped,
            coalesce(sum(one) FILTER (WHERE state = 'needs_review'), 0) AS needs_review,
            coalesce(sum(one) FILTER (WHERE state = 'cancelled'), 0) AS cancelled,
            coalesce(sum(one) FILTER (WHERE state = 'succeeded' AND source = 'csv'), 0)
              AS from_csv,
            coalesce(sum(one) FILTER (WHERE state = 'succeeded' AND source = 'buffer'), 0)
              AS from_buffer,
            coalesce(sum(one) FILTER (WHERE state = 'succeeded' AND source = 'api'), 0)
              AS from_api
          FROM (SELECT job_id, chunk_number, state, source, 1 AS one FROM new_items
                UNION ALL
                SELECT job_id, chunk_number, state, source, -1 FROM old_items) moved
          GROUP BY job_id, chunk_number) d
    WHERE c.job_id = d.job_id AND c.number = d.chunk_number;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER items_inserted AFTER INSERT ON items
  REFERENCING NEW TABLE AS new_items FOR EACH STATEMENT EXECUTE FUNCTION count_items();
CREATE TRIGGER items_updated AFTER UPDATE ON items
  REFERENCING NEW TABLE AS new_items OLD TABLE AS old_items
  FOR EACH STATEMENT EXECUTE FUNCTION count_items();

-- The ledger: rows are added and never touched again, and each transfer sums to zero.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% rows are never changed; write a reversal', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE ON transfers
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_immutable BEFORE UPDATE OR DELETE ON postings
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_kept BEFORE TRUNCATE ON transfers
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_kept BEFORE TRUNCATE ON postings
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Sealing fills sequence and chain_hash once; nothing else of an audit row may change.
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.sequence IS NULL
     AND ROW(NEW.id, NEW.at, NEW.agency_id, NEW.client_id, NEW.actor_id, NEW.action,
             NEW.object_kind, NEW.object_id, NEW.detail, NEW.request_id)
         IS NOT DISTINCT FROM
         ROW(OLD.id, OLD.at, OLD.agency_id, OLD.client_id, OLD.actor_id, OLD.action,
             OLD.object_kind, OLD.object_id, OLD.detail, OLD.request_id) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit entries are never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entries_immutable BEFORE UPDATE OR DELETE ON audit_entries
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_kept BEFORE TRUNCATE ON audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_transfer_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  the_transfer uuid := CASE WHEN TG_TABLE_NAME = 'transfers' THEN NEW.id END;
  moved bigint;
  total bigint;
  owed bigint;
BEGIN
  IF the_transfer IS NULL THEN
    the_transfer := (to_jsonb(NEW) ->> 'transfer_id')::uuid;
  END IF;
  SELECT coalesce(sum(p.amount), 0), coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0)
    INTO total, moved FROM postings p WHERE p.transfer_id = the_transfer;
  SELECT t.amount INTO owed FROM transfers t WHERE t.id = the_transfer;
  IF total <> 0 OR moved IS DISTINCT FROM owed THEN
    RAISE EXCEPTION 'postings of a transfer must sum to zero and move its amount'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_balanced';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transfer_balanced AFTER INSERT ON transfers
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transfer_balanced();
CREATE CONSTRAINT TRIGGER posting_balanced AFTER INSERT ON postings
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transfer_balanced();

-- Inventory is the platform's: tenants reach it only through these functions.
CREATE FUNCTION claim_cards(
    p_client uuid, p_brand uuid, p_denomination bigint, p_currency text, p_source text,
    p_usable_from date, p_limit integer, p_wait boolean)
  RETURNS TABLE (card_id uuid, cost_minor bigint, cost_currency text, last4 text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are claimed in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- MATERIALIZED: a plan that chose once per card would take more than were asked for.
  IF p_wait THEN
    RETURN QUERY
      WITH chosen AS MATERIALIZED (
        SELECT a.id FROM cards a
        WHERE a.state = 'available' AND a.brand_id = p_brand
          AND a.denomination_minor = p_denomination AND a.currency = p_currency
          AND a.source = p_source AND a.expires_on >= p_usable_from
          AND (a.client_id IS NULL OR a.client_id = p_client)
        ORDER BY a.expires_on, a.id LIMIT p_limit FOR NO KEY UPDATE)
      UPDATE cards c SET state = 'issued' FROM chosen WHERE c.id = chosen.id
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
      UPDATE cards c SET state = 'issued' FROM chosen WHERE c.id = chosen.id
      RETURNING c.id, c.cost_minor, c.cost_currency, c.last4;
  END IF;
END $$;

CREATE FUNCTION count_available_cards(
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
      GROUP BY c.source) s
    WHERE p_client = nullif(current_setting('app.client_id', true), '')::uuid
$$;

-- One look by index per group and pool kind. A card that a claim has locked is still available.
CREATE FUNCTION stocked_sources(
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
      LIMIT 1) found;
END $$;

-- A card a vendor sold for one of the tenant's own orders; false = that card is already known.
CREATE FUNCTION keep_vendor_card(
    p_id uuid, p_order uuid, p_state text, p_sealed_number bytea, p_sealed_pin bytea,
    p_sealed_url bytea, p_blind_index bytea, p_last4 text, p_expires_on date,
    p_denomination bigint, p_currency text, p_cost bigint, p_cost_currency text,
    p_brand uuid, p_client uuid)
  RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid
     OR p_state NOT IN ('issued', 'quarantined') THEN
    RAISE EXCEPTION 'a vendor card is kept in the scope of its client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT EXISTS (SELECT FROM provider_orders o WHERE o.id = p_order AND o.client_id = p_client
                 AND o.brand_id = p_brand) THEN
    RAISE EXCEPTION 'a vendor card is kept for an order of its client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO cards (id, client_id, brand_id, denomination_minor, currency, source, state,
                     sealed_number, sealed_pin, sealed_url, blind_index, last4, expires_on,
                     cost_minor, cost_currency, provider_order_id)
  VALUES (p_id, p_client, p_brand, p_denomination, p_currency, 'api', p_state,
          p_sealed_number, p_sealed_pin, p_sealed_url, p_blind_index, p_last4,
          coalesce(p_expires_on, '2099-12-31'), p_cost, p_cost_currency, p_order)
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION claim_cards, count_available_cards, stocked_sources, keep_vendor_card
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_cards, count_available_cards, stocked_sources, keep_vendor_card
  TO largesse_client;

