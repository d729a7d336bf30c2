-- Cards that older code issues beside this have no delivery: nothing was promised for them.
CREATE TABLE deliveries (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    job_id UUID NOT NULL,
    position INTEGER NOT NULL,
    channel TEXT NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    sending INTEGER DEFAULT 1 NOT NULL,
    sealed_address BYTEA,
    address_key BYTEA,
    attempts INTEGER DEFAULT 0 NOT NULL,
    tries JSONB DEFAULT '[]' NOT NULL,
    code TEXT,
    good_until TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_deliveries PRIMARY KEY (id),
    CONSTRAINT uq_deliveries_job_id_position UNIQUE (job_id, position),
    CONSTRAINT ck_deliveries_channel CHECK (channel IN ('email', 'sms')),
    CONSTRAINT ck_deliveries_state CHECK (state IN ('waiting', 'sent', 'failed', 'cancelled')),
    CONSTRAINT ck_deliveries_ended CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT ck_deliveries_corrected_address
        CHECK ((sealed_address IS NULL) = (address_key IS NULL)),
    CONSTRAINT fk_deliveries_job_id_position_provisions
        FOREIGN KEY (job_id, position) REFERENCES provisions (job_id, position),
    CONSTRAINT fk_deliveries_job_id_agency_id_client_id_jobs
        FOREIGN KEY (job_id, agency_id, client_id) REFERENCES jobs (id, agency_id, client_id)
);
-- What still waits: proofs look for it, and it is soon gone.
CREATE INDEX ix_deliveries_job_id_position ON deliveries (job_id, position)
  WHERE state = 'waiting';
-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE deliveries ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE deliveries ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE deliveries ALTER COLUMN job_id SET STATISTICS 0;

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON deliveries TO largesse_platform USING (true);
CREATE POLICY system ON deliveries TO largesse_system USING (true);
CREATE POLICY readonly ON deliveries FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON deliveries TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON deliveries TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON deliveries
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON deliveries TO largesse_readonly;

-- Whatever is sealed notes its key version (0010).
CREATE TRIGGER sealed_inserted AFTER INSERT ON deliveries
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('sealed_address');
CREATE TRIGGER sealed_changed AFTER UPDATE OF sealed_address ON deliveries
  FOR EACH ROW EXECUTE FUNCTION admit_changed('sealed_address');
