-- Who may do what in the database. Logins own nothing; scope roles get exactly these rights.
-- Tenant tables: one equality policy per scope role. FORCE: the owner sees nothing either.

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['agencies', 'clients', 'campaigns', 'client_brands', 'jobs', 'chunks',
      'items', 'job_inputs', 'provisions', 'redemption_codes', 'provider_orders', 'accounts',
      'holds', 'transfers', 'postings', 'audit_entries'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
    EXECUTE format('GRANT SELECT, INSERT ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['agencies', 'clients', 'campaigns', 'client_brands', 'jobs', 'chunks',
      'items', 'job_inputs', 'provisions', 'redemption_codes', 'provider_orders', 'accounts',
      'holds'] LOOP
    EXECUTE format('GRANT UPDATE ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
  END LOOP;
END $$;
GRANT DELETE ON client_brands, redemption_codes, job_inputs
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE (sequence, chain_hash) ON audit_entries TO largesse_system;
GRANT DELETE ON jobs, chunks, items TO largesse_system;
GRANT USAGE ON SEQUENCE postings_id_seq
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;

-- Shared inventory and identity.
ALTER TABLE cards ENABLE ROW LEVEL SECURITY;
CREATE POLICY platform ON cards TO largesse_platform USING (true);
CREATE POLICY system ON cards TO largesse_system USING (true);
CREATE POLICY readonly ON cards FOR SELECT TO largesse_readonly USING (true);
-- A tenant sees the cards it was given: the policy of provisions narrows the sub-select.
CREATE POLICY own ON cards FOR SELECT TO largesse_agency, largesse_client
  USING (EXISTS (SELECT FROM provisions p WHERE p.card_id = cards.id));
GRANT SELECT ON cards TO largesse_agency, largesse_client;
GRANT SELECT, INSERT, UPDATE ON cards TO largesse_platform, largesse_system;

ALTER TABLE card_pools ENABLE ROW LEVEL SECURITY;
CREATE POLICY platform ON card_pools TO largesse_platform USING (true);
CREATE POLICY system ON card_pools TO largesse_system USING (true);
CREATE POLICY readonly ON card_pools FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON card_pools TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON card_pools TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON card_pools
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;

GRANT SELECT ON brands, brand_routes TO largesse_agency, largesse_client;
GRANT SELECT, INSERT, UPDATE ON brands, brand_routes TO largesse_platform, largesse_system;
GRANT DELETE ON brand_routes TO largesse_platform;
GRANT SELECT, INSERT, UPDATE ON users, sign_ins, api_keys TO largesse_system;
GRANT DELETE ON sign_ins TO largesse_system;

-- Plumbing.
GRANT SELECT, INSERT, UPDATE, DELETE ON tasks
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT, INSERT ON idempotency_keys
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE, DELETE ON idempotency_keys TO largesse_system;
GRANT SELECT, INSERT, DELETE ON schedule_runs TO largesse_system;
GRANT SELECT, UPDATE ON vendor_accounts TO largesse_client, largesse_platform;
GRANT SELECT, INSERT, UPDATE ON vendor_accounts TO largesse_system;

-- keep_vendor_card runs as the owner, who sees only the orders of the client in scope.
CREATE POLICY owner ON provider_orders FOR SELECT TO largesse_owner
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);

-- Every row, but no hash of a credential: nobody proves anything with those.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO largesse_readonly;
REVOKE SELECT ON users, sign_ins, api_keys FROM largesse_readonly;
GRANT SELECT (id, email, email_normalised, name, role, agency_id, client_id, disabled_at,
  created_at) ON users TO largesse_readonly;
GRANT SELECT (id, user_id, kind, expires_at, last_used_at, revoked_at, created_at)
  ON sign_ins TO largesse_readonly;
GRANT SELECT (id, agency_id, client_id, name, prefix, scopes, expires_at, last_used_at,
  revoked_at, created_by, created_at) ON api_keys TO largesse_readonly;
GRANT SELECT ON alembic_version TO largesse_web, largesse_worker, largesse_system;
