-- People and API keys behind row policies, as every other row of a tenant; what proves who somebody
-- is stays out of reach: tenants' roles are granted columns, never the table (SEC-05, SEC-12).

-- A role belongs to one tier. With the policies, which compare the tenant alone, this is why nobody
-- who writes within a client makes an administrator of more.
ALTER TABLE users ADD CONSTRAINT ck_users_place CHECK (CASE
    WHEN role IN ('platform_admin', 'platform_support')
      THEN agency_id IS NULL AND client_id IS NULL
    WHEN role IN ('agency_admin', 'agency_viewer')
      THEN agency_id IS NOT NULL AND client_id IS NULL
    WHEN role IN ('client_admin', 'campaign_manager', 'client_viewer')
      THEN agency_id IS NOT NULL AND client_id IS NOT NULL
    ELSE role = 'end_user' END) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT ck_users_place;

ALTER TABLE api_keys ADD COLUMN allowed_cidrs TEXT[] DEFAULT '{}' NOT NULL;
-- The key whose place this one takes; both live while the older one's time runs out.
ALTER TABLE api_keys ADD COLUMN replaces UUID;

-- Lists go by tenant and id (decision 0019). Those who work here are few among millions of end
-- users, and are listed apart from them; whoever is disabled is rare among both.
CREATE INDEX ix_users_staff ON users (id) WHERE role <> 'end_user';
CREATE INDEX ix_users_staff_agency_id ON users (agency_id, id) WHERE role <> 'end_user';
CREATE INDEX ix_users_staff_client_id ON users (client_id, id) WHERE role <> 'end_user';
CREATE INDEX ix_users_end_users_agency_id ON users (agency_id, id) WHERE role = 'end_user';
CREATE INDEX ix_users_end_users_client_id ON users (client_id, id) WHERE role = 'end_user';
CREATE INDEX ix_users_disabled ON users (id) WHERE disabled_at IS NOT NULL;
CREATE INDEX ix_users_disabled_agency_id ON users (agency_id, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX ix_users_disabled_client_id ON users (client_id, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX ix_api_keys_agency_id_id ON api_keys (agency_id, id);
CREATE INDEX ix_api_keys_client_id_id ON api_keys (client_id, id);
CREATE INDEX ix_api_keys_replaces ON api_keys (replaces) WHERE replaces IS NOT NULL;
DROP INDEX ix_api_keys_client_id;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['users', 'api_keys'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
  END LOOP;
END $$;
-- A hash is written when somebody is made, and read by the system alone.
GRANT SELECT (id, email, email_normalised, name, role, agency_id, client_id, disabled_at,
    created_at),
  INSERT (id, email, email_normalised, name, password_hash, role, agency_id, client_id),
  UPDATE (name, role, disabled_at)
  ON users TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT (id, agency_id, client_id, name, prefix, scopes, allowed_cidrs, replaces, expires_at,
    last_used_at, revoked_at, created_by, created_at),
  INSERT (id, agency_id, client_id, name, prefix, key_hash, scopes, allowed_cidrs, replaces,
    expires_at, created_by),
  UPDATE (expires_at, revoked_at)
  ON api_keys TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT (allowed_cidrs, replaces) ON api_keys TO largesse_readonly;

-- Whoever manages people ends their sign-ins: the policy of users narrows the sub-select.
ALTER TABLE sign_ins ENABLE ROW LEVEL SECURITY;
CREATE POLICY platform ON sign_ins TO largesse_platform USING (true);
CREATE POLICY system ON sign_ins TO largesse_system USING (true);
CREATE POLICY readonly ON sign_ins FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY own ON sign_ins TO largesse_agency, largesse_client
  USING (EXISTS (SELECT FROM users u WHERE u.id = sign_ins.user_id));
GRANT SELECT (id, user_id, kind, impersonator_id, expires_at, last_used_at, revoked_at,
    created_at),
  UPDATE (revoked_at)
  ON sign_ins TO largesse_platform, largesse_agency, largesse_client;
-- Digests of addresses: who manages somebody sees until when they wait, and lets them try again.
GRANT SELECT (account, rests_until), DELETE ON sign_in_failures
  TO largesse_platform, largesse_agency, largesse_client;
-- And takes a lost second factor away, without ever seeing what it was.
ALTER TABLE authenticators ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['authenticators', 'recovery_codes'] LOOP
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY own ON %I TO largesse_agency, largesse_client
      USING (EXISTS (SELECT FROM users u WHERE u.id = %I.user_id))$p$, t, t);
  END LOOP;
END $$;
GRANT SELECT (user_id, confirmed_at), DELETE ON authenticators
  TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT (user_id), DELETE ON recovery_codes
  TO largesse_platform, largesse_agency, largesse_client;
