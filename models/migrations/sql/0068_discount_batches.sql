-- Codes that one job generated or imported are a batch, and are paused, resumed and put away together.

CREATE TABLE discount_batches (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_discount_batches PRIMARY KEY (id),
    CONSTRAINT ck_discount_batches_state CHECK (state IN ('active', 'paused', 'archived')),
    CONSTRAINT fk_discount_batches_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_discount_batches_tenant ON discount_batches (id, agency_id, client_id);
CREATE INDEX ix_discount_batches_client_id_id ON discount_batches (client_id, id);

ALTER TABLE discount_codes ADD COLUMN batch_id UUID;
ALTER TABLE discount_codes
  ADD CONSTRAINT fk_discount_codes_batch_id_agency_id_client_id_discount_batches
  FOREIGN KEY (batch_id, agency_id, client_id)
  REFERENCES discount_batches (id, agency_id, client_id);
CREATE INDEX ix_discount_codes_batch_id_id ON discount_codes (batch_id, id)
  WHERE batch_id IS NOT NULL;

-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE discount_batches ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE discount_batches ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE discount_batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE discount_batches FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON discount_batches TO largesse_platform USING (true);
CREATE POLICY system ON discount_batches TO largesse_system USING (true);
CREATE POLICY readonly ON discount_batches FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON discount_batches TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON discount_batches TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON discount_batches
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON discount_batches TO largesse_readonly;
