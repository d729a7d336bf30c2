-- Who disables whom: a tenant its own account of a person, and what its own clients know of them;
-- the platform a person everywhere. Any client may give a person without credentials an account, and
-- then disable it: what other clients give them is no affair of its (decision 0039).
CREATE FUNCTION disabled_for(person users, p_agency uuid, p_client uuid) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN person.agency_id IS NULL
      OR (person.agency_id = p_agency AND coalesce(person.client_id = p_client, true))
    THEN person.disabled_at END
$$;

CREATE OR REPLACE FUNCTION know_client_users() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name,
                              disabled_at)
    VALUES (NEW.client_id, NEW.id, NEW.agency_id, NEW.email, NEW.email_normalised, NEW.name,
            NEW.disabled_at)
    ON CONFLICT DO NOTHING;
  ELSE
    UPDATE client_users c SET disabled_at = NEW.disabled_at
      WHERE c.user_id = NEW.id
        AND (current_setting('role') = 'largesse_platform' OR NEW.agency_id IS NULL
          OR (c.agency_id = NEW.agency_id AND coalesce(c.client_id = NEW.client_id, true)));
  END IF;
  RETURN NULL;
END $$;

-- As before, but for what it says of who is disabled: an account that another tenant has disabled is
-- no account of this one's.
CREATE OR REPLACE FUNCTION know_people(p_agency uuid, p_client uuid, p_ids uuid[], p_emails text[],
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
      disabled_at = disabled_for(u, p_agency, p_client)
    FROM unnest(p_emails, p_normalised, p_names) AS p (email, normalised, name)
    JOIN users u ON u.email_normalised = p.normalised
    WHERE c.client_id = p_client AND c.user_id = u.id AND c.email IS NULL AND c.external_id IS NULL;
  -- Of two rows about one person that come first, the one that says more; a row whose person was
  -- not made above finds none here.
  INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name,
                            external_id, disabled_at)
    SELECT p_client, u.id, p_agency, p.email, p.normalised, p.name, p.external_id,
      disabled_for(u, p_agency, p_client)
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

-- How many coupons a draw has set aside: what lies in its part of the deck is exactly these.
ALTER TABLE draws ADD COLUMN coupons INTEGER;
-- Who got how many, counted when the job ended: whoever reads the job reads no item.
ALTER TABLE draws ADD COLUMN shares JSONB;
