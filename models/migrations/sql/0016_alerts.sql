-- Whoever notices trouble writes a signal, in any scope; a duty of the system folds and deletes them.
CREATE TABLE alert_signals (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject_id UUID,
    agency_id UUID,
    client_id UUID,
    severity TEXT NOT NULL,
    level INTEGER DEFAULT 0 NOT NULL,
    is_over BOOLEAN DEFAULT false NOT NULL,
    detail JSONB NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_alert_signals PRIMARY KEY (id),
    CONSTRAINT ck_alert_signals_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT fk_alert_signals_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
ALTER TABLE alert_signals ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE alert_signals ALTER COLUMN client_id SET STATISTICS 0;
GRANT INSERT ON alert_signals
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT, DELETE ON alert_signals TO largesse_system;
GRANT SELECT ON alert_signals TO largesse_readonly;

CREATE TABLE alerts (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject_id UUID,
    agency_id UUID,
    client_id UUID,
    severity TEXT NOT NULL,
    level INTEGER DEFAULT 0 NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    seen INTEGER DEFAULT 1 NOT NULL,
    detail JSONB NOT NULL,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    acknowledged_by UUID,
    acknowledged_at TIMESTAMP WITH TIME ZONE,
    resolved_by UUID,
    resolved_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_alerts PRIMARY KEY (id),
    CONSTRAINT ck_alerts_state CHECK (state IN ('open', 'acknowledged', 'resolved')),
    CONSTRAINT ck_alerts_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_alerts_resolved CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
    CONSTRAINT fk_alerts_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_alerts_open ON alerts (kind, subject_id, agency_id, client_id)
    NULLS NOT DISTINCT WHERE state <> 'resolved';
CREATE INDEX ix_alerts_agency_id_id ON alerts (agency_id, id);
CREATE INDEX ix_alerts_client_id_id ON alerts (client_id, id);
CREATE INDEX ix_alerts_resolved_at ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;
ALTER TABLE alerts ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE alerts ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON alerts TO largesse_platform USING (true);
CREATE POLICY system ON alerts TO largesse_system USING (true);
CREATE POLICY readonly ON alerts FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON alerts TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON alerts TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
-- The system raises and ends them; a person acknowledges and resolves.
GRANT SELECT ON alerts TO largesse_platform, largesse_agency, largesse_client, largesse_readonly;
GRANT UPDATE (state, acknowledged_by, acknowledged_at, resolved_by, resolved_at) ON alerts
  TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT, INSERT, UPDATE, DELETE ON alerts TO largesse_system;
