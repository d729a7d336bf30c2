-- The audit log tells more, is numbered and chained per stream, and its heads are witnessed.
ALTER TABLE audit_entries ADD COLUMN actor_role TEXT;
ALTER TABLE audit_entries ADD COLUMN on_behalf_of UUID;
ALTER TABLE audit_entries ADD COLUMN job_id UUID;
ALTER TABLE audit_entries ADD COLUMN address TEXT;
ALTER TABLE audit_entries ALTER COLUMN job_id SET STATISTICS 0;

CREATE UNIQUE INDEX uq_audit_entries_sequence ON audit_entries (agency_id, client_id, sequence)
    NULLS NOT DISTINCT WHERE sequence IS NOT NULL;
CREATE INDEX ix_audit_entries_at_id ON audit_entries (at, id);
CREATE INDEX ix_audit_entries_actor_id_at ON audit_entries (actor_id, at)
    WHERE actor_id IS NOT NULL;
CREATE INDEX ix_audit_entries_address ON audit_entries (at) WHERE address IS NOT NULL;

CREATE TABLE audit_heads (
    stream TEXT NOT NULL,
    sequence BIGINT DEFAULT 0 NOT NULL,
    hash BYTEA NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_audit_heads PRIMARY KEY (stream)
);
CREATE TABLE audit_witnesses (
    stream TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_audit_witnesses PRIMARY KEY (stream, sequence)
);

-- Who writes an entry says neither when it was nor where it stands in its chain.
REVOKE INSERT ON audit_entries
    FROM largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT INSERT (id, agency_id, client_id, actor_id, actor_role, on_behalf_of, action, object_kind,
    object_id, detail, request_id, job_id, address) ON audit_entries
    TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE (address) ON audit_entries TO largesse_system;
GRANT SELECT, INSERT, UPDATE ON audit_heads TO largesse_system;
GRANT SELECT, INSERT ON audit_witnesses TO largesse_system;
GRANT SELECT ON audit_heads, audit_witnesses TO largesse_readonly;

-- Sealing fills sequence and chain_hash once, and an address may be forgotten. Nothing else of an
-- entry changes, whoever asks.
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE'
     AND ROW(NEW.id, NEW.at, NEW.agency_id, NEW.client_id, NEW.actor_id, NEW.actor_role,
             NEW.on_behalf_of, NEW.action, NEW.object_kind, NEW.object_id, NEW.detail,
             NEW.request_id, NEW.job_id)
         IS NOT DISTINCT FROM
         ROW(OLD.id, OLD.at, OLD.agency_id, OLD.client_id, OLD.actor_id, OLD.actor_role,
             OLD.on_behalf_of, OLD.action, OLD.object_kind, OLD.object_id, OLD.detail,
             OLD.request_id, OLD.job_id)
     AND (NEW.address IS NULL OR NEW.address IS NOT DISTINCT FROM OLD.address)
     AND (ROW(NEW.sequence, NEW.chain_hash) IS NOT DISTINCT FROM ROW(OLD.sequence, OLD.chain_hash)
          OR (OLD.sequence IS NULL AND OLD.chain_hash IS NULL
              AND NEW.sequence IS NOT NULL AND NEW.chain_hash IS NOT NULL)) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit entries are never changed' USING ERRCODE = 'restrict_violation';
END $$;

-- A head only goes on, and a witness stands.
CREATE FUNCTION refuse_head_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.stream = OLD.stream
     AND (NEW.sequence > OLD.sequence
          OR (NEW.sequence = OLD.sequence AND NEW.hash = OLD.hash)) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the head of an audit chain only goes on' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_heads_go_on BEFORE UPDATE OR DELETE ON audit_heads
  FOR EACH ROW EXECUTE FUNCTION refuse_head_change();
CREATE TRIGGER audit_heads_kept BEFORE TRUNCATE ON audit_heads
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_witnesses_immutable BEFORE UPDATE OR DELETE ON audit_witnesses
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_witnesses_kept BEFORE TRUNCATE ON audit_witnesses
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Requests to forget a person; the address is sealed, and gone when the work is done.
CREATE TABLE erasures (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    state TEXT DEFAULT 'running' NOT NULL,
    sealed_email BYTEA,
    asked_by UUID NOT NULL,
    until_job_id UUID NOT NULL,
    after_job_id UUID NOT NULL,
    after_position INTEGER DEFAULT 0 NOT NULL,
    items INTEGER DEFAULT 0 NOT NULL,
    provisions INTEGER DEFAULT 0 NOT NULL,
    redemption_codes INTEGER DEFAULT 0 NOT NULL,
    drafts INTEGER DEFAULT 0 NOT NULL,
    users INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_erasures PRIMARY KEY (id),
    CONSTRAINT ck_erasures_state CHECK (state IN ('running', 'finished'))
);
CREATE INDEX ix_erasures_agency_id_id ON erasures (agency_id, id);
CREATE INDEX ix_erasures_client_id_id ON erasures (client_id, id);
ALTER TABLE erasures ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE erasures ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON erasures TO largesse_platform USING (true);
CREATE POLICY system ON erasures TO largesse_system USING (true);
CREATE POLICY readonly ON erasures FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON erasures TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON erasures TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT ON erasures
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE ON erasures TO largesse_system;
GRANT SELECT ON erasures TO largesse_readonly;
