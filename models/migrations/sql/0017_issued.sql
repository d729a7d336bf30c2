-- Usage by day. A trigger writes deltas, so that whoever issues or undoes a card is counted, whatever
-- release it runs; deltas are only inserted, so nobody waits, and a duty adds them up.
CREATE TABLE issued_deltas (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    day DATE NOT NULL,
    source TEXT NOT NULL,
    currency TEXT NOT NULL,
    cards INTEGER NOT NULL,
    charge_minor BIGINT NOT NULL,
    cost_minor BIGINT NOT NULL,
    cards_without_cost INTEGER NOT NULL,
    CONSTRAINT pk_issued_deltas PRIMARY KEY (id),
    CONSTRAINT fk_issued_deltas_agency_id_client_id_campaign_id_campaigns
        FOREIGN KEY (agency_id, client_id, campaign_id) REFERENCES campaigns (agency_id, client_id, id)
);
CREATE INDEX ix_issued_deltas_client_id ON issued_deltas (client_id);
CREATE INDEX ix_issued_deltas_agency_id ON issued_deltas (agency_id);

CREATE TABLE issued_daily (
    campaign_id UUID NOT NULL,
    day DATE NOT NULL,
    source TEXT NOT NULL,
    currency TEXT NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    cards INTEGER NOT NULL,
    charge_minor BIGINT NOT NULL,
    cost_minor BIGINT NOT NULL,
    cards_without_cost INTEGER NOT NULL,
    CONSTRAINT pk_issued_daily PRIMARY KEY (campaign_id, day, source, currency),
    CONSTRAINT fk_issued_daily_agency_id_client_id_campaign_id_campaigns
        FOREIGN KEY (agency_id, client_id, campaign_id) REFERENCES campaigns (agency_id, client_id, id)
);
CREATE INDEX ix_issued_daily_agency_id_day ON issued_daily (agency_id, day);
CREATE INDEX ix_issued_daily_client_id_day ON issued_daily (client_id, day);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['issued_deltas', 'issued_daily'] LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN agency_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN client_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN campaign_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_platform, largesse_agency, largesse_client,
      largesse_system, largesse_readonly', t);
  END LOOP;
END $$;
GRANT INSERT ON issued_deltas
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT DELETE ON issued_deltas TO largesse_system;
GRANT INSERT, UPDATE ON issued_daily TO largesse_system;

-- Sums and what is not added up yet: exact whenever it is read.
CREATE VIEW issued WITH (security_invoker = true) AS
  SELECT agency_id, client_id, campaign_id, day, source, currency, cards, charge_minor, cost_minor,
         cards_without_cost FROM issued_daily
  UNION ALL
  SELECT agency_id, client_id, campaign_id, day, source, currency, cards, charge_minor, cost_minor,
         cards_without_cost FROM issued_deltas;
GRANT SELECT ON issued TO largesse_platform, largesse_agency, largesse_client, largesse_system,
  largesse_readonly;

CREATE FUNCTION count_issued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO issued_deltas (agency_id, client_id, campaign_id, day, source, currency, cards,
                               charge_minor, cost_minor, cards_without_cost)
    SELECT agency_id, client_id, campaign_id, (created_at AT TIME ZONE 'UTC')::date, source, currency,
           count(*), sum(charge_minor),
           coalesce(sum(cost_minor) FILTER (WHERE cost_currency = currency), 0),
           count(*) FILTER (WHERE cost_minor IS NULL OR cost_currency IS DISTINCT FROM currency)
    FROM new_provisions GROUP BY 1, 2, 3, 4, 5, 6;
  ELSE
    INSERT INTO issued_deltas (agency_id, client_id, campaign_id, day, source, currency, cards,
                               charge_minor, cost_minor, cards_without_cost)
    SELECT n.agency_id, n.client_id, n.campaign_id, (n.undone_at AT TIME ZONE 'UTC')::date, n.source,
           n.currency, -count(*), -sum(n.charge_minor),
           -coalesce(sum(n.cost_minor) FILTER (WHERE n.cost_currency = n.currency), 0),
           -count(*) FILTER (WHERE n.cost_minor IS NULL OR n.cost_currency IS DISTINCT FROM n.currency)
    FROM new_provisions n JOIN old_provisions o ON o.id = n.id
    WHERE n.undone_at IS NOT NULL AND o.undone_at IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6;
  END IF;
  RETURN NULL;
END $$;
-- Writers wait from here to the commit, so that each card is counted once: by the sum or the trigger.
CREATE TRIGGER provisions_inserted AFTER INSERT ON provisions
  REFERENCING NEW TABLE AS new_provisions FOR EACH STATEMENT EXECUTE FUNCTION count_issued();
CREATE TRIGGER provisions_updated AFTER UPDATE ON provisions
  REFERENCING NEW TABLE AS new_provisions OLD TABLE AS old_provisions
  FOR EACH STATEMENT EXECUTE FUNCTION count_issued();
