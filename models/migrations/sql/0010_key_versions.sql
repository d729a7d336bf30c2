-- Key versions that sealed values rest on are known without looking at the values: whatever is
-- sealed passes a trigger, which notes a new version and refuses one that is being retired.

CREATE TABLE key_versions (
    version SMALLINT NOT NULL,
    state TEXT DEFAULT 'live' NOT NULL,
    check_value BYTEA,
    carries_index BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_key_versions PRIMARY KEY (version),
    CONSTRAINT ck_key_versions_state CHECK (state IN ('live', 'retiring', 'retired')),
    CONSTRAINT ck_key_versions_version CHECK (version BETWEEN 1 AND 255)
);
GRANT SELECT, INSERT, UPDATE ON key_versions TO largesse_system;
GRANT SELECT ON key_versions TO largesse_readonly;

CREATE TABLE resealings (
    table_name TEXT NOT NULL,
    target_version SMALLINT NOT NULL,
    run INTEGER DEFAULT 1 NOT NULL,
    done_until UUID,
    passes INTEGER DEFAULT 1 NOT NULL,
    looked_at BIGINT DEFAULT 0 NOT NULL,
    resealed BIGINT DEFAULT 0 NOT NULL,
    passed_over BIGINT DEFAULT 0 NOT NULL,
    unopened BIGINT DEFAULT 0 NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_resealings PRIMARY KEY (table_name)
);
GRANT SELECT, INSERT, UPDATE ON resealings TO largesse_system;
GRANT SELECT ON resealings TO largesse_readonly;

-- What a living process seals with, and how often a value did not open for it.
ALTER TABLE processes ADD COLUMN key_version SMALLINT;
ALTER TABLE processes ADD COLUMN unopened BIGINT DEFAULT 0 NOT NULL;

-- The shared lock keeps a retirement waiting until every transaction that has sealed something is
-- over; its own statement, so that the look after it is taken when the lock is held.
CREATE FUNCTION admit_key_versions(p_versions integer[]) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_versions IS NULL THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('sealing:versions', 0));
  IF EXISTS (SELECT FROM key_versions k WHERE k.version = ANY (p_versions) AND k.state <> 'live')
  THEN
    RAISE EXCEPTION 'this key version seals nothing any more' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  INSERT INTO key_versions (version)
    SELECT DISTINCT v FROM unnest(p_versions) v
    WHERE NOT EXISTS (SELECT FROM key_versions k WHERE k.version = v)
    ON CONFLICT DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION admit_key_versions FROM PUBLIC;

-- The columns are the trigger's arguments. Their first byte is the version; only it is fetched.
CREATE FUNCTION admit_inserted() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  each_column text;
  found integer[];
BEGIN
  FOREACH each_column IN ARRAY TG_ARGV LOOP
    EXECUTE format('SELECT array_agg(DISTINCT get_byte(substr(%1$I, 1, 1), 0)) FROM inserted
      WHERE length(%1$I) > 0', each_column) INTO found;
    PERFORM admit_key_versions(found);
  END LOOP;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION admit_inserted FROM PUBLIC;

CREATE FUNCTION admit_changed() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  each_column text;
  sealed bytea;
BEGIN
  FOREACH each_column IN ARRAY TG_ARGV LOOP
    EXECUTE format('SELECT ($1).%I', each_column) INTO sealed USING NEW;
    IF length(sealed) > 0 THEN
      PERFORM admit_key_versions(ARRAY[get_byte(sealed, 0)]);
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION admit_changed FROM PUBLIC;

-- Every column that is called sealed_* or *_sealed, whichever migration made it, and the parts of uploads.
-- What is there already is looked through once. FORCE hides rows from the owner too.
DO $$
DECLARE
  t record;
  each_column text;
BEGIN
  FOR t IN
    SELECT c.relname, c.relforcerowsecurity AS is_forced,
      array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
      AND a.atttypid = 'bytea'::regtype
      AND (a.attname LIKE 'sealed\_%' OR a.attname LIKE '%\_sealed' OR (c.relname = 'job_inputs' AND a.attname = 'content'))
    GROUP BY c.relname, c.relforcerowsecurity
  LOOP
    EXECUTE format('CREATE TRIGGER sealed_inserted AFTER INSERT ON %I
      REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION admit_inserted(%s)',
      t.relname, (SELECT string_agg(quote_literal(c), ', ') FROM unnest(t.columns) c));
    EXECUTE format('CREATE TRIGGER sealed_changed AFTER UPDATE OF %s ON %I
      FOR EACH ROW EXECUTE FUNCTION admit_changed(%s)',
      (SELECT string_agg(quote_ident(c), ', ') FROM unnest(t.columns) c), t.relname,
      (SELECT string_agg(quote_literal(c), ', ') FROM unnest(t.columns) c));
    IF t.is_forced THEN
      EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', t.relname);
    END IF;
    FOREACH each_column IN ARRAY t.columns LOOP
      EXECUTE format('INSERT INTO key_versions (version)
        SELECT DISTINCT get_byte(substr(%1$I, 1, 1), 0) FROM %2$I WHERE length(%1$I) > 0
        ON CONFLICT DO NOTHING', each_column, t.relname);
    END LOOP;
    IF t.is_forced THEN
      EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.relname);
    END IF;
  END LOOP;
END $$;
