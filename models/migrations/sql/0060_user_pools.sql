-- People as a client knows them, and the pools it puts them in.

-- Whoever came by an external id alone has no address.
ALTER TABLE users ALTER COLUMN email DROP NOT NULL, ALTER COLUMN email_normalised DROP NOT NULL;
ALTER TABLE users ADD CONSTRAINT ck_users_address
  CHECK ((email IS NULL) = (email_normalised IS NULL) AND (email IS NOT NULL OR role = 'end_user'))
  NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT ck_users_address;

-- Who got the mail of an invitation, a registration or a reset has the address; whose password somebody
-- above has chosen may be anybody.
ALTER TABLE users ADD COLUMN proven_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invitations NO FORCE ROW LEVEL SECURITY;
UPDATE users SET proven_at = now() WHERE password_hash IS NOT NULL
  AND ((role = 'end_user' AND client_id IS NULL) OR id IN (SELECT user_id FROM invitations));
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;

-- A person is one row of `users`, whoever knows them; what a client said of them is the client's own.
CREATE TABLE client_users (
    client_id UUID NOT NULL,
    user_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    email TEXT,
    email_normalised TEXT,
    name TEXT DEFAULT '' NOT NULL,
    external_id TEXT,
    disabled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_client_users PRIMARY KEY (client_id, user_id),
    CONSTRAINT ck_client_users_external_id CHECK (length(external_id) BETWEEN 1 AND 255),
    CONSTRAINT fk_client_users_user_id_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_client_users_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE INDEX ix_client_users_user_id ON client_users (user_id);
CREATE UNIQUE INDEX uq_client_users_email ON client_users (client_id, email_normalised)
  WHERE email_normalised IS NOT NULL;
CREATE UNIQUE INDEX uq_client_users_external_id ON client_users (client_id, external_id)
  WHERE external_id IS NOT NULL;
CREATE INDEX ix_client_users_agency_id_user_id ON client_users (agency_id, user_id);

CREATE TABLE user_pools (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    members INTEGER DEFAULT 0 NOT NULL,
    members_version INTEGER DEFAULT 1 NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_user_pools PRIMARY KEY (id),
    CONSTRAINT ck_user_pools_members CHECK (members >= 0),
    CONSTRAINT fk_user_pools_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_user_pools_tenant ON user_pools (id, agency_id, client_id);
CREATE UNIQUE INDEX uq_user_pools_name ON user_pools (client_id, lower(name))
  WHERE archived_at IS NULL;
CREATE INDEX ix_user_pools_client_id_id ON user_pools (client_id, id);
CREATE INDEX ix_user_pools_agency_id_id ON user_pools (agency_id, id);

CREATE TABLE user_pool_members (
    pool_id UUID NOT NULL,
    user_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    added_by UUID NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_user_pool_members PRIMARY KEY (pool_id, user_id),
    CONSTRAINT fk_user_pool_members_pool_id_agency_id_client_id_user_pools
        FOREIGN KEY (pool_id, agency_id, client_id) REFERENCES user_pools (id, agency_id, client_id),
    CONSTRAINT fk_user_pool_members_client_id_user_id_client_users
        FOREIGN KEY (client_id, user_id) REFERENCES client_users (client_id, user_id)
);
CREATE INDEX ix_user_pool_members_user_id ON user_pool_members (user_id);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['client_users', 'user_pools', 'user_pool_members'] LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN agency_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN client_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_readonly', t);
  END LOOP;
END $$;
GRANT DELETE ON user_pool_members
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
-- The functions below run as the owner: they look for whom a client may not see, make nobody but
-- people without credentials or tenant, and change only such ones.
CREATE POLICY owner ON client_users TO largesse_owner USING (true);
CREATE POLICY owner ON users FOR SELECT TO largesse_owner USING (true);
CREATE POLICY owner_makes ON users FOR INSERT TO largesse_owner
  WITH CHECK (role = 'end_user' AND agency_id IS NULL AND client_id IS NULL AND password_hash IS NULL);
CREATE POLICY owner_adopts ON users FOR UPDATE TO largesse_owner
  USING (role = 'end_user' AND agency_id IS NULL AND client_id IS NULL AND password_hash IS NULL
    AND disabled_at IS NULL)
  WITH CHECK (true);

-- How many are in a pool, and that its preview is out of date (EC-092).
CREATE FUNCTION count_pool_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    UPDATE user_pools p SET members = p.members + m.moved, members_version = p.members_version + 1
    FROM (SELECT pool_id, count(*) AS moved FROM moved GROUP BY 1) m WHERE p.id = m.pool_id;
  ELSE
    UPDATE user_pools p SET members = p.members - m.moved, members_version = p.members_version + 1
    FROM (SELECT pool_id, count(*) AS moved FROM moved GROUP BY 1) m WHERE p.id = m.pool_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER members_added AFTER INSERT ON user_pool_members
  REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION count_pool_members();
CREATE TRIGGER members_removed AFTER DELETE ON user_pool_members
  REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION count_pool_members();

-- Whoever is made for a client is known to it; whoever is disabled is so for everybody.
CREATE FUNCTION know_client_users() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name,
                              disabled_at)
    VALUES (NEW.client_id, NEW.id, NEW.agency_id, NEW.email, NEW.email_normalised, NEW.name,
            NEW.disabled_at)
    ON CONFLICT DO NOTHING;
  ELSE
    UPDATE client_users SET disabled_at = NEW.disabled_at WHERE user_id = NEW.id;
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION know_client_users FROM PUBLIC;
CREATE TRIGGER users_made AFTER INSERT ON users FOR EACH ROW
  WHEN (NEW.client_id IS NOT NULL) EXECUTE FUNCTION know_client_users();
CREATE TRIGGER users_disabled AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (NEW.disabled_at IS DISTINCT FROM OLD.disabled_at) EXECUTE FUNCTION know_client_users();
-- FORCE hides every row from the owner too, but for the policies above.
INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name, disabled_at)
  SELECT client_id, id, agency_id, email, email_normalised, name, disabled_at FROM users
  WHERE client_id IS NOT NULL;

-- Make a client in scope know these people, by address or by its own id of them, and make those
-- whom nobody knows. Who is known by an address alone is given the external id that stands beside it.
-- It says nothing of what other clients know: whoever is new to the client is new. By what name it
-- calls them stays with the client.
CREATE FUNCTION know_people(p_agency uuid, p_client uuid, p_ids uuid[], p_emails text[],
    p_normalised text[], p_names text[], p_external_ids text[])
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  -- The role that was taken is still told here, where the owner's rights are in force.
  IF NOT coalesce(CASE current_setting('role')
      WHEN 'largesse_client' THEN p_client = nullif(current_setting('app.client_id', true), '')::uuid
      WHEN 'largesse_agency' THEN p_agency = nullif(current_setting('app.agency_id', true), '')::uuid
      ELSE current_setting('role') = 'largesse_platform' END, false) THEN
    RAISE EXCEPTION 'the client is not one in scope' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- `models/locks.py` names it: of two at once the second sees whom the first has made.
  PERFORM pg_advisory_xact_lock(hashtextextended('known_people:' || p_client, 0));
  -- One person for each address and each external id, so that nobody is made whom no client knows.
  INSERT INTO users (id, email, email_normalised, name, role)
    SELECT p.id, p.email, p.normalised, '', 'end_user'
    FROM (SELECT *, row_number() OVER (PARTITION BY normalised ORDER BY external_id IS NULL, n)
            AS by_address, row_number() OVER (PARTITION BY external_id ORDER BY normalised IS NULL, n)
            AS by_external_id
          FROM unnest(p_ids, p_emails, p_normalised, p_names, p_external_ids) WITH ORDINALITY
            AS given (id, email, normalised, name, external_id, n)) p
    WHERE coalesce(p.normalised, p.external_id) IS NOT NULL
      AND (p.normalised IS NULL OR p.by_address = 1)
      AND (p.external_id IS NULL OR p.by_external_id = 1)
      AND NOT EXISTS (SELECT FROM client_users c WHERE c.client_id = p_client
                      AND c.email_normalised = p.normalised)
      AND NOT EXISTS (SELECT FROM client_users c WHERE c.client_id = p_client
                      AND c.external_id = p.external_id)
    ORDER BY p.normalised
    ON CONFLICT (email_normalised) DO NOTHING;
  -- Whom an erasure has made nobody to the client, and who is somebody to another one, comes anew.
  UPDATE client_users c SET email = p.email, email_normalised = p.normalised, name = p.name,
      disabled_at = u.disabled_at
    FROM unnest(p_emails, p_normalised, p_names) AS p (email, normalised, name)
    JOIN users u ON u.email_normalised = p.normalised
    WHERE c.client_id = p_client AND c.user_id = u.id AND c.email IS NULL AND c.external_id IS NULL;
  -- Of two rows about one person that come first, the one that says more; a row whose person was
  -- not made above finds none here.
  INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name,
                            external_id, disabled_at)
    SELECT p_client, u.id, p_agency, p.email, p.normalised, p.name, p.external_id, u.disabled_at
    FROM unnest(p_ids, p_emails, p_normalised, p_names, p_external_ids) WITH ORDINALITY
      AS p (id, email, normalised, name, external_id, n)
    LEFT JOIN users a ON a.email_normalised = p.normalised
    JOIN users u ON u.id = coalesce(a.id, p.id)
    ORDER BY p.normalised IS NULL OR p.external_id IS NULL, p.n
    ON CONFLICT DO NOTHING;
  UPDATE client_users c SET external_id = p.external_id
    FROM (SELECT DISTINCT ON (external_id) normalised, external_id
          FROM unnest(p_normalised, p_external_ids) AS given (normalised, external_id)
          WHERE normalised IS NOT NULL AND external_id IS NOT NULL ORDER BY external_id, normalised) p
    WHERE c.client_id = p_client AND c.email_normalised = p.normalised AND c.external_id IS NULL
      AND NOT EXISTS (SELECT FROM client_users x WHERE x.client_id = p_client
                      AND x.external_id = p.external_id);
END $$;
REVOKE ALL ON FUNCTION know_people FROM PUBLIC;
GRANT EXECUTE ON FUNCTION know_people TO largesse_client, largesse_agency, largesse_platform;

-- Who is asked to be forgotten as a client's person, by their id until it is done.
ALTER TABLE erasures ADD COLUMN user_id UUID;

-- Give a person without credentials, tenant or end an account in scope; NULL if the address is nobody's
-- or is somebody's already. What others gave them and know of them stays; how they come to be known
-- is not told. Of two at once the second finds somebody.
CREATE FUNCTION adopt_person(p_email text, p_normalised text, p_name text, p_password_hash text,
    p_role text, p_agency uuid, p_client uuid)
  RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  adopted uuid;
BEGIN
  IF NOT coalesce(CASE current_setting('role')
      WHEN 'largesse_client' THEN p_client = nullif(current_setting('app.client_id', true), '')::uuid
      WHEN 'largesse_agency' THEN p_agency = nullif(current_setting('app.agency_id', true), '')::uuid
      ELSE current_setting('role') IN ('largesse_platform', 'largesse_system') END, false) THEN
    RAISE EXCEPTION 'the place of the account is not one in scope'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  UPDATE users SET email = p_email, name = p_name, password_hash = p_password_hash, role = p_role,
      agency_id = p_agency, client_id = p_client, proven_at = NULL
    WHERE email_normalised = p_normalised AND role = 'end_user' AND agency_id IS NULL
      AND client_id IS NULL AND password_hash IS NULL AND disabled_at IS NULL
    RETURNING id INTO adopted;
  IF adopted IS NOT NULL AND p_client IS NOT NULL THEN
    INSERT INTO client_users AS c (client_id, user_id, agency_id, email, email_normalised, name)
      VALUES (p_client, adopted, p_agency, p_email, p_normalised, p_name)
      ON CONFLICT (client_id, user_id) DO UPDATE SET email = excluded.email,
        email_normalised = excluded.email_normalised, disabled_at = NULL,
        name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE c.name END;
  END IF;
  RETURN adopted;
END $$;
REVOKE ALL ON FUNCTION adopt_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adopt_person
  TO largesse_client, largesse_agency, largesse_platform, largesse_system;
