-- Addresses of tenants that are told of events, the events, and what became of each telling.
CREATE TABLE webhook_endpoints (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    url TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    events TEXT[],
    state TEXT DEFAULT 'enabled' NOT NULL,
    disabled_for TEXT,
    disabled_at TIMESTAMP WITH TIME ZONE,
    secret_version INTEGER DEFAULT 1 NOT NULL,
    old_secret_until TIMESTAMP WITH TIME ZONE,
    succeeded_at TIMESTAMP WITH TIME ZONE,
    failing_since TIMESTAMP WITH TIME ZONE,
    told_level SMALLINT DEFAULT 0 NOT NULL,
    is_slow BOOLEAN DEFAULT false NOT NULL,
    calling_until TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_endpoints PRIMARY KEY (id),
    CONSTRAINT ck_webhook_endpoints_state CHECK (state IN ('enabled', 'disabled', 'deleted')),
    CONSTRAINT ck_webhook_endpoints_disabled
        CHECK ((state = 'enabled') = (disabled_at IS NULL)),
    CONSTRAINT fk_webhook_endpoints_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_webhook_endpoints_tenant ON webhook_endpoints (id, agency_id, client_id);
CREATE UNIQUE INDEX uq_webhook_endpoints_agency ON webhook_endpoints (id, agency_id);
CREATE INDEX ix_webhook_endpoints_agency_id_id ON webhook_endpoints (agency_id, id);
CREATE INDEX ix_webhook_endpoints_client_id_id ON webhook_endpoints (client_id, id);
CREATE INDEX ix_webhook_endpoints_failing_since ON webhook_endpoints (failing_since)
  WHERE failing_since IS NOT NULL;
ALTER TABLE webhook_endpoints ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE webhook_endpoints ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON webhook_endpoints TO largesse_platform USING (true);
CREATE POLICY system ON webhook_endpoints TO largesse_system USING (true);
CREATE POLICY readonly ON webhook_endpoints FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON webhook_endpoints TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON webhook_endpoints TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON webhook_endpoints TO largesse_readonly;

CREATE TABLE webhook_facts (
    number BIGSERIAL NOT NULL,
    event_id UUID NOT NULL,
    type TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    data JSONB NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_facts PRIMARY KEY (number),
    CONSTRAINT fk_webhook_facts_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
ALTER TABLE webhook_facts ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE webhook_facts ALTER COLUMN client_id SET STATISTICS 0;
GRANT INSERT ON webhook_facts
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT USAGE ON SEQUENCE webhook_facts_number_seq
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT, DELETE ON webhook_facts TO largesse_system;
GRANT SELECT ON webhook_facts TO largesse_readonly;

CREATE TABLE webhook_sequences (
    object_id UUID NOT NULL,
    last BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_webhook_sequences PRIMARY KEY (object_id)
);
CREATE INDEX ix_webhook_sequences_at ON webhook_sequences (at);
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_sequences TO largesse_system;
GRANT SELECT ON webhook_sequences TO largesse_readonly;

CREATE TABLE webhook_deliveries (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    endpoint_id UUID NOT NULL,
    event_id UUID NOT NULL,
    type TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    object_agency_id UUID,
    object_client_id UUID,
    data JSONB NOT NULL,
    happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    is_test BOOLEAN DEFAULT false NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    tries JSONB DEFAULT '[]' NOT NULL,
    outcome TEXT,
    next_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_deliveries PRIMARY KEY (id),
    CONSTRAINT ck_webhook_deliveries_state
        CHECK (state IN ('waiting', 'delivered', 'failed', 'cancelled')),
    CONSTRAINT ck_webhook_deliveries_ended CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT ck_webhook_deliveries_next CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CONSTRAINT fk_webhook_deliveries_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id),
    CONSTRAINT fk_webhook_deliveries_endpoint_id_webhook_endpoints
        FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id),
    CONSTRAINT fk_webhook_deliveries_endpoint_id_agency_id_webhook_endpoints
        FOREIGN KEY (endpoint_id, agency_id) REFERENCES webhook_endpoints (id, agency_id),
    CONSTRAINT fk_webhook_deliveries_endpoint_id_agency_id_client_id_w_1efb
        FOREIGN KEY (endpoint_id, agency_id, client_id)
        REFERENCES webhook_endpoints (id, agency_id, client_id)
);
CREATE INDEX ix_webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, next_at)
  WHERE state = 'waiting';
CREATE INDEX ix_webhook_deliveries_endpoint_id_id ON webhook_deliveries (endpoint_id, id);
CREATE INDEX ix_webhook_deliveries_agency_id_id ON webhook_deliveries (agency_id, id);
CREATE INDEX ix_webhook_deliveries_client_id_id ON webhook_deliveries (client_id, id);
CREATE INDEX ix_webhook_deliveries_ended_at ON webhook_deliveries (ended_at)
  WHERE ended_at IS NOT NULL;
ALTER TABLE webhook_deliveries ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE webhook_deliveries ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON webhook_deliveries TO largesse_platform USING (true);
CREATE POLICY system ON webhook_deliveries TO largesse_system USING (true);
CREATE POLICY readonly ON webhook_deliveries FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON webhook_deliveries TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON webhook_deliveries TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT DELETE ON webhook_deliveries TO largesse_system;
GRANT SELECT ON webhook_deliveries TO largesse_readonly;
